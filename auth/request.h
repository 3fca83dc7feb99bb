/* request: what the greeter may ask of the monitor, and what the monitor answers. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "pop3/policy.h"

/* What descriptor 3 of a checkpassword program may carry in all. */
#define REQUEST_CREDENTIALS_OCTETS 512

/* How often a client may try to log in. */
#define REQUEST_TRIES 3

/* The most of login and password that a request can carry: a token is long. */
#define REQUEST_OCTETS 13312

/* Greeter to monitor, one datagram of exactly request_length octets. octets holds the login and
 * after it the password, the digest or the token, without a separator. With MECHANISM_PROXY it
 * holds a struct proxy_client instead, whose size is login_octets. */
struct request {
	/* enum mechanism: of a login, or MECHANISM_STLS or MECHANISM_PROXY; or
	 * REQUEST_NAMES_USER */
	uint16_t kind;
	uint16_t language; /* enum language: for the session */
	uint16_t login_octets;
	uint16_t password_octets;
	char octets[REQUEST_OCTETS];
};

/* The longest such name. */
#define REQUEST_NAME_OCTETS 255

/* No login and no answer: the name that a client gave where no password is taken, for the log.
 */
#define REQUEST_NAMES_USER MECHANISM_COUNT

#define REQUEST_LEAST offsetof(struct request, octets)

/* How many octets of a request are sent, by the lengths in it. If the lengths are not
 * permitted, this can be more than sizeof(struct request). */
size_t request_length(const struct request *request);

/* Monitor to greeter, a datagram of this one octet. */
enum request_verdict {
	VERDICT_GRANTED = 1,
	VERDICT_REFUSED,
	VERDICT_MISCONFIGURED,
	VERDICT_TEMPORARY,
};

/* The limits that a request must keep. */
struct request_limits {
	mechanism_set offered;   /* on this connection, as it stands */
	size_t credentials_most; /* octets on descriptor 3 */
	size_t timestamp_octets;
	unsigned tries; /* logins asked for, this one included */
	unsigned names; /* of REQUEST_NAMES_USER, this one included */
};

/* The limits on a connection as it stands, before its first request: tries and names are 0. */
struct request_limits request_limits_of(const struct settings *o, const char *timestamp);

/* Whether there is room, in a request and on descriptor 3, for a login and a password that are
 * so many octets together. */
bool request_has_room(const struct request_limits *limits, size_t octets);

/* Whether a request is permitted. Its mechanism must be offered. At most REQUEST_TRIES logins
 * are permitted. Login and password must not be empty, must not contain NUL, CR or LF, and must
 * fit into descriptor 3 together with the timestamp. A request for STLS must be empty, and one
 * of MECHANISM_PROXY must have the size of a struct proxy_client. REQUEST_TRIES names are
 * permitted where USER or APOP is not offered. */
bool request_permitted(const struct request *request, const struct request_limits *limits);

/* Whether the request is a login, with credentials. */
bool request_is_login(const struct request *request);

/* What the exit status (as of waitpid) of a checker means that did not start the session. 1, 3,
 * 20, 21, 23 and those marked in also_refused (256 elements): refused. 2, 100, 126 and 127:
 * misconfigured. Everything else: temporary. */
enum request_verdict request_verdict_of(int wait_status, const bool *also_refused);

#endif
