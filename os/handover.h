/* handover: how a session tells the monitor that it runs, and the id of a connection in the
 * log. After exec an exit status is the session's own, so this and nothing else means "logged
 * in". */
#ifndef HANDOVER_H
#define HANDOVER_H

#include <stdbool.h>

/* The descriptor that a checker inherits for it. */
#define HANDOVER_FD 7

/* What a session writes there. */
#define HANDOVER_SESSION_RUNS 'L'

/* For the session: says so on status_fd and closes it (-1: there is no monitor). Where the
 * checker closed the descriptor the connection is marked instead: of all that a checker leaves
 * alone only that is shared with the monitor, and the signal number of its open file is unused.
 */
void handover_announce(int status_fd);

/* For the monitor, before it starts a checker: takes away a mark that an earlier session left
 * on an open file that outlives it. */
void handover_unmark_connection(void);

/* For the monitor: whether the connection bears that mark. */
bool handover_connection_is_marked(void);

/* For the first process of a connection: has its lines, and those of all that it starts, end in
 * one id: that of POP3D_SESSION, which pop3d-tls left in the environment, or a new one there.
 */
void handover_begin_session(void);

#endif
