/* greeter: the child that talks to strangers, as the process that waits for it sees it. */
#ifndef GREETER_H
#define GREETER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "options.h"

struct greeter {
	int fd; /* -1: it has been told that somebody is in, or is gone */
	pid_t pid;
	const char *ip; /* of its client, for the log */
	unsigned tries; /* logins that it asked for */
};

/* Forks it; it greets, and ends at deadline_ms at the latest. Returns false with errno. */
bool greeter_start(struct greeter *g, const struct settings *o, const char *timestamp,
	int64_t deadline_ms);

/* Ends the greeter, if there still is one: gives it grace_ms to end by itself and logs how it
 * ended; with 0 it is killed at once and without a word, as there is nothing left for it to do.
 */
void greeter_end(struct greeter *g, int64_t grace_ms, const sigset_t *while_waiting);

#endif
