/* checker: starting a checkpassword program (cr.yp.to/checkpwd): credentials on descriptor 3,
 * the program to become after the checker's own arguments. */
#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "auth/invocation.h"
#include "auth/request.h"

/* A checker, later perhaps a session, that runs. */
struct checker {
	pid_t pid;
	bool has_group; /* it leads a process group */
	int status_fd;  /* read end: an octet of announce.h, or an errno if it could not be
			   started */
	int stderr_fd;  /* read end of what stands in for its standard error, or -1 */
};

/* Starts a checker with the credentials of request (valid ones) and the timestamp on
 * descriptor 3. relay_stderr gives it a pipe for a standard error. Descriptors 3 to 9 must be
 * taken, so that no pipe lies where a checker looks for something. Returns false with errno;
 * nothing is open then. */
bool checker_start(struct checker *c, struct setup *s, const struct request *request,
	const char *timestamp, bool relay_stderr);

/* Sends the signal to the checker and what it started. Returns false with errno (EPERM where it
 * has become another user and this process is not root). */
bool checker_kill(const struct checker *c, int signal_number);

/* Closes a descriptor, if it is open, and makes it -1. */
void checker_close_end(int *fd);

/* Closes both descriptors. */
void checker_close(struct checker *c);

#endif
