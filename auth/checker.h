/* checker: starts a checkpassword program (cr.yp.to/checkpwd). The credentials are on
 * descriptor 3. The command of the session follows the checker's own arguments. */
#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "auth/invocation.h"
#include "auth/request.h"

/* A running checker, or the session that it has become. */
struct checker {
	pid_t pid;
	bool has_group; /* it leads a process group */
	int status_fd;  /* read end: brings a struct handover, or the errno of a failed start */
	int stderr_fd;  /* read end of the pipe that is its standard error, or -1 */
};

/* Starts a checker with the credentials of request, which must be permitted, and the timestamp
 * on descriptor 3. With logs_stderr its standard error is a pipe. Descriptors 3 to 9 must be
 * open already, so that no pipe of this function gets a number that has a meaning for checkers.
 * Returns false with errno; nothing is open then. */
bool checker_start(struct checker *c, struct invocation *s, const struct request *request,
	const char *timestamp, bool logs_stderr);

/* Sends the signal to the checker and to the processes that it started. Returns false with
 * errno: EPERM if the checker has become another user and this process is not root. */
bool checker_kill(const struct checker *c, int signal_number);

/* Closes a descriptor, if it is open, and makes it -1. */
void checker_close_end(int *fd);

/* Closes both descriptors. */
void checker_close(struct checker *c);

#endif
