/* checker: starting a checkpassword program, and hearing what became of it.
 *
 * The interface is the one of cr.yp.to/checkpwd: credentials on descriptor 3, the program to
 * become behind the checker's own arguments. */
#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "auth.h"
#include "options.h"
#include "peer.h"

/* The descriptor on which the session tells that it runs. */
#define CHECKER_STATUS_FD 7

/* What a session writes to that descriptor; nothing else means "logged in". */
#define CHECKER_SESSION_RUNS 'L'

#define CHECKER_ARGUMENTS 64
#define CHECKER_VARIABLES 64
#define CHECKER_TEXT_OCTETS 2048

/* The command line and the environment of checkers, made once a connection. Pointers lead into
 * text, the options and this process's own environment. */
struct checker_setup {
	char *arguments[CHECKER_ARGUMENTS];
	char *environment[CHECKER_VARIABLES];
	size_t argument_count, variable_count;
	size_t text_octets;
	char *mechanism; /* where in text the value of AUTH_MECHANISM stands */
	char text[CHECKER_TEXT_OCTETS];
};

/* Fills the setup. Returns false where the command line is too long for it. */
bool checker_prepare(struct checker_setup *s, const struct options *o, const struct peer *p);

/* A checker, later perhaps a session, that runs. */
struct checker {
	pid_t pid;
	bool has_group; /* it leads a process group */
	int status_fd;  /* read end: a byte, or an errno if the program could not be started */
	int stderr_fd;  /* read end of what stands in for its standard error, or -1 */
};

/* Starts a checker with the credentials of request (valid ones) and the timestamp on
 * descriptor 3. relay_stderr gives it a pipe for a standard error. Returns false with errno;
 * nothing is open then. */
bool checker_start(struct checker *c, struct checker_setup *s,
	const struct auth_request *request, const char *timestamp, bool relay_stderr);

/* Sends the signal to the checker and what it started. Returns false with errno (EPERM where it
 * has become another user and this process is not root). */
bool checker_kill(const struct checker *c, int signal_number);

/* Closes the descriptors. */
void checker_close(struct checker *c);

/* For the session: tells the monitor that it runs, and closes status_fd (-1: there is no
 * monitor). Where the checker closed the descriptor the connection is marked instead: of all
 * that a checker leaves alone only that is shared with the monitor, and the signal number of
 * its open file is unused. */
void checker_tell_session_runs(int status_fd);

/* For the monitor: whether the connection bears that mark. */
bool checker_connection_marked(void);

#endif
