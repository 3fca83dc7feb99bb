/* auth: the logins of one connection, and the conversation with checkpassword about them. */
#ifndef AUTH_H
#define AUTH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/checker.h"
#include "auth/checker_log.h"
#include "auth/invocation.h"
#include "options.h"
#include "peer/peer.h"

#define AUTH_TIMESTAMP_OCTETS 128
#define AUTH_GRACE_MS 5000 /* from a polite request to SIGKILL */
#define AUTH_LOOK_MS 50    /* between two looks for the mark of a session */
#define AUTH_SLACK_MS 500  /* for the greeter to see that its time is over */

struct monitor {
	struct options *options;
	struct peer peer;
	struct setup setup;
	int greeter_fd; /* -1: it has been told that somebody is in, or is gone */
	pid_t greeter_pid;
	unsigned tries;
	bool relay_stderr;
	bool logged_in;
	int64_t deadline_ms; /* of the login */
	struct checker checker;
	struct relay relay;
	int exec_errno;         /* why the checker could not be started, or 0 */
	int exit_status;        /* of the session */
	sigset_t while_waiting; /* signals blocked while nothing is waited for come then */
	char login[256]; /* quoted for the log, short enough to leave room for all else */
	char timestamp[AUTH_TIMESTAMP_OCTETS];
};

/* Runs a checker for each login that the greeter asks for, until one becomes a session and that
 * is over, or the greeter is. Returns the exit status of the process. */
int auth_serve_logins(struct monitor *m);

#endif
