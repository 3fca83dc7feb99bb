/* process: undoing what a superserver leaves behind in the processes it starts. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/* Unblocks all signals and gives those that superservers and shells ignore their default action
 * (SIGCHLD ignored would make waitpid fail), except SIGPIPE, which is ignored: a client that
 * went away is an error of a write. Sets umask 077. Makes sure that descriptors 0 and 1 are
 * open (returns false with EBADF if not) and that 2 is: /dev/null if it was closed, or the next
 * file opened would be taken for it. */
bool process_reset(void);

/* Closes every descriptor above 2 except keep (-1: none). */
void process_close_others(int keep);

/* For a child between fork and exec: default actions, SIGPIPE's as well, and no signal blocked.
 */
void process_default_signals(void);

#endif
