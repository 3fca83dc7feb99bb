/* process: undoing what a superserver leaves behind in the processes it starts. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Unblocks all signals and gives those that superservers and shells ignore their default action
 * (SIGCHLD ignored would make waitpid fail), except SIGPIPE, which is ignored: a client that
 * went away is an error of a write. Sets umask 077. Makes sure that descriptors 0 and 1 are
 * open (returns false with EBADF if not) and that 2 is: /dev/null if it was closed, or the next
 * file opened would be taken for it. */
bool process_reset(void);

/* Closes every descriptor above 2 except those from first to last (none if first > last). */
void process_close_others(int first, int last);

/* For a child between fork and exec: default actions, SIGPIPE's as well, and no signal blocked.
 */
void process_default_signals(void);

/* Where programs are looked for if the environment does not say. */
#define PROCESS_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The first descriptor that has no meaning to checkers. */
#define PROCESS_LOWEST_FREE 10

/* Takes the descriptors from 3 up to that, which must be closed, with /dev/null
 * (close-on-exec), so that none of them is ever one of this program's own. Returns false with
 * errno. */
bool process_take_low_descriptors(void);

/* Writes to path where the program is: name itself if it has a slash, else the first executable
 * file of that name in the directories of PATH, else name (which execve will not find). Returns
 * path. */
const char *process_find_program(const char *name, char *path, size_t capacity);

/* For the log: what a death by this signal (wait_status as of waitpid) means, or an empty text.
 */
const char *process_death_note(int wait_status);

#endif
