/* login: the AUTHORIZATION state (RFC 1939 section 4), run by the greeter. */
#ifndef LOGIN_H
#define LOGIN_H

#include "options.h"

/* Why the greeter ended; its exit status, from which the monitor writes the log. */
enum login_end {
	LOGIN_GRANTED = 0, /* the session answers from here on */
	LOGIN_QUIT = 10,
	LOGIN_EOF,
	LOGIN_TIMEOUT,
	LOGIN_BROKEN,
	LOGIN_BAD_COMMANDS,
	LOGIN_FAILURES,
	LOGIN_ORPHAN,
	LOGIN_NO_JAIL,           /* the privileges could not be given up */
	LOGIN_CLEARTEXT_REFUSED, /* it left after being told that passwords need TLS */
	LOGIN_NO_PROXY,          /* what came first was no header of the PROXY protocol */
};

/* Greets, takes credentials and has them checked through monitor_fd until somebody is let in or
 * the conversation is over, at deadline_ms (of clock_now_ms) at the latest. timestamp goes into
 * the banner where APOP is on, and counts on descriptor 3 in any case. */
enum login_end login_run(
	const struct settings *o, int monitor_fd, const char *timestamp, int64_t deadline_ms);

#endif
