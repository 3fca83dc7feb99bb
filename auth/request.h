/* request: what the greeter may ask of the monitor, and what the monitor answers. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pop3/policy.h"

/* What descriptor 3 of a checkpassword program may carry in all. */
#define REQUEST_CREDENTIALS_OCTETS 512

/* How often a client may try to log in. */
#define REQUEST_TRIES 3

/* The most of login and password that a request can carry: a token is long. */
#define REQUEST_OCTETS 13312

/* Greeter to monitor, one datagram of exactly request_length octets. octets begins with the
 * login, the password (the digest, the token) follows at once; with MECHANISM_PROXY it begins
 * with a struct proxy_client instead, whose size is login_octets. Behind it nothing is sent. */
struct request {
	uint16_t kind; /* enum mechanism: a way to log in, or MECHANISM_STLS and MECHANISM_PROXY
			*/
	uint16_t language; /* enum language: for the session */
	uint16_t login_octets;
	uint16_t password_octets;
	char octets[REQUEST_OCTETS];
};

#define REQUEST_LEAST offsetof(struct request, octets)

/* How many octets of a request are sent, by the lengths in it; more than there is room for if
 * they are not those of a permitted one. */
size_t request_length(const struct request *request);

/* Monitor to greeter, a datagram of this one octet. */
enum request_verdict {
	VERDICT_GRANTED = 1,
	VERDICT_REFUSED,
	VERDICT_MISCONFIGURED,
	VERDICT_TEMPORARY,
};

/* What a request is measured by. */
struct request_limits {
	mechanism_set offered;   /* on this connection, as it stands */
	size_t credentials_most; /* octets on descriptor 3 */
	size_t timestamp_octets;
	unsigned tries; /* logins asked for, this one included */
};

/* Whether a request may be run: what is not offered may not be asked for; a login at most
 * REQUEST_TRIES times; lengths must add up, login and password not be empty nor hold NUL, CR or
 * LF, and fit descriptor 3 together with the timestamp. STLS carries nothing, PROXY the size of
 * what it carries. */
bool request_permitted(const struct request *request, const struct request_limits *limits);

/* Whether credentials come with it. */
bool request_is_login(const struct request *request);

/* What the exit status (as of waitpid) of a checker that did not start the session means: 1, 3,
 * 20, 21, 23 and those marked in also_refused (256 of them) refused; 2, 100, 126, 127
 * misconfigured; all else temporary. */
enum request_verdict request_verdict_of(int wait_status, const bool *also_refused);

#endif
