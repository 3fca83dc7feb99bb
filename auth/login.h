/* login: the AUTHORIZATION state (RFC 1939 section 4), run by the greeter. */
#ifndef LOGIN_H
#define LOGIN_H

#include "options.h"

/* Why the greeter ended; its exit status, from which the monitor writes the log. */
enum login_end {
	LOGIN_GRANTED = 0, /* the session serves the client from here on */
	LOGIN_QUIT = 10,
	LOGIN_EOF,
	LOGIN_TIMEOUT,
	LOGIN_BROKEN,
	LOGIN_BAD_COMMANDS,
	LOGIN_FAILURES,
	LOGIN_ORPHAN,
	LOGIN_NO_JAIL,           /* the privileges could not be given up */
	LOGIN_CLEARTEXT_REFUSED, /* the client left after it was told that passwords need TLS */
	LOGIN_NO_PROXY,          /* the connection did not begin with a PROXY header */
	LOGIN_CHECK,             /* the client left without a word */
};

/* Greets the client, takes credentials and has them checked through monitor_fd, until a login
 * succeeds or the conversation is over, at deadline_ms (of clock_now_ms) at the latest.
 * timestamp is in the greeting if APOP is on. It goes to descriptor 3 of the checker in any
 * case, so its length counts towards the limit there. */
enum login_end login_run(
	const struct settings *o, int monitor_fd, const char *timestamp, int64_t deadline_ms);

#endif
