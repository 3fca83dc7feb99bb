/* greeter: starts and ends the child that talks to strangers. login.h is what runs in the
 * child. */
#ifndef GREETER_H
#define GREETER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "options.h"

struct greeter {
	int fd; /* the monitor's end of the socket pair; -1: the greeter was ended */
	pid_t pid;
	const char *ip;    /* of its client, for the log */
	unsigned tries;    /* logins that it asked for */
	unsigned names;    /* that it gave for the log */
	bool is_for_proxy; /* its client is a proxy, and nobody behind it */
};

/* Forks the greeter, which serves the client until deadline_ms at the latest. Returns false
 * with errno. */
bool greeter_start(struct greeter *g, const struct settings *o, const char *timestamp,
	int64_t deadline_ms);

/* Ends the greeter, if it was not ended before. It has grace_ms to exit by itself, and its end
 * is logged. With grace_ms 0 it is killed at once, and nothing is logged. */
void greeter_end(struct greeter *g, int64_t grace_ms, const sigset_t *while_waiting);

#endif
