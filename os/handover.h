/* handover: how a session tells the monitor that it runs, and the id of a connection in the
 * log. Only this means "logged in": the exit status alone cannot tell whether the checker or
 * the session has exited. */
#ifndef HANDOVER_H
#define HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The descriptor that the checker inherits, and the session after it. */
#define HANDOVER_FD 7

/* What a session writes there. */
struct handover {
	unsigned char runs; /* HANDOVER_SESSION_RUNS */
	pid_t pid;          /* of the session: a checker may have forked */
} __attribute__((packed));

#define HANDOVER_SESSION_RUNS 'L'

/* What the monitor understands. */
enum handover_form {
	HANDOVER_WHOLE,
	HANDOVER_OCTET, /* the first octet alone: the program was replaced while the client
			   logged in, and its monitor is of the first version */
};

/* How long a session waits for its monitor, in milliseconds. */
#define HANDOVER_WAIT_MS 1000

/* For the session: writes the message to status_fd (-1: there is no monitor). If the checker
 * has closed the descriptor, the connection is marked instead: the session shares its open file
 * with the monitor, no checker closes it, and the signal number of F_SETSIG is not used for
 * anything else. Returns the descriptor, for handover_finish, or -1. */
int handover_announce(int status_fd, enum handover_form form);

/* For the session: waits until the monitor has logged the login, so that no line about the end
 * of the session comes before that, and closes the descriptor. The monitor closes its end then.
 */
void handover_finish(int announced_fd);

/* For the monitor, before it starts a checker: removes a mark of an earlier session, which
 * stays if the open file outlives that session. */
void handover_unmark_connection(void);

/* For the monitor: whether the connection is marked. */
bool handover_connection_is_marked(void);

/* For the first process of a connection: gives the log lines of this process, and of those that
 * it starts, one id. That is POP3D_SESSION if pop3d-tls has left it in the environment, or else
 * a new one. */
void handover_begin_session(void);

#endif
