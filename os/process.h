/* process: resets what a superserver leaves in the processes that it starts. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Unblocks all signals, and restores the default action of those that superservers and shells
 * ignore: waitpid fails while SIGCHLD is ignored. Ignores SIGPIPE, so that a write reports a
 * client that has gone. Sets umask 077. Opens /dev/null as descriptor 2 if that is closed,
 * since the next file opened would become standard error. Returns false with EBADF if
 * descriptor 0 or 1 is closed. */
bool process_reset(void);

/* Closes every descriptor above 2 except those from first to last (none if first > last). */
void process_close_others(int first, int last);

/* For a child between fork and exec: restores the default actions, also of SIGPIPE, and
 * unblocks all signals. */
void process_default_signals(void);

/* The directories of programs if the environment has no PATH. */
#define PROCESS_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The first descriptor that means nothing to checkers. */
#define PROCESS_LOWEST_FREE 10

/* Opens /dev/null (close-on-exec) as every descriptor from 3 to PROCESS_LOWEST_FREE - 1, which
 * must be closed, so that none of them becomes one of this program's own. Returns false with
 * errno. */
bool process_take_low_descriptors(void);

/* Writes the path of a program to path and returns it: name itself if it has a slash, else the
 * first executable file of that name in the directories of PATH, else name, which execve will
 * not find. */
const char *process_find_program(const char *name, char *path, size_t capacity);

/* The same for a program that is installed beside this one: the path is in the directory of the
 * running program if such an executable file is there. */
const char *process_find_beside(const char *name, char *path, size_t capacity);

/* Waits for the end of a child. Returns its status as of waitpid; 0 without a child (pid is not
 * above 0, or the child was waited for before). */
int process_await(pid_t pid);

/* For the log: what it means that a process died by this signal (wait_status as of waitpid), or
 * an empty text.
 */
const char *process_death_note(int wait_status);

#endif
