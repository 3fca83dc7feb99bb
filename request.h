/* request: what the greeter may ask of the monitor, and what the monitor answers. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What descriptor 3 of a checkpassword program may carry in all. */
#define REQUEST_CREDENTIALS_OCTETS 512

/* How often a client may try to log in. */
#define REQUEST_TRIES 3

enum request_mechanism { REQUEST_USER = 1, REQUEST_APOP };

/* Greeter to monitor, one datagram of exactly this size. octets begins with the login, the
 * password (or the digest) follows at once. */
struct request {
	uint16_t mechanism;
	uint16_t login_octets;
	uint16_t password_octets;
	char octets[REQUEST_CREDENTIALS_OCTETS];
};

/* Monitor to greeter, a datagram of this one octet. */
enum request_verdict {
	VERDICT_GRANTED = 1,
	VERDICT_REFUSED,
	VERDICT_MISCONFIGURED,
	VERDICT_TEMPORARY,
};

/* Whether a request may be run as the tries-th one (from 1) of a connection: the table in
 * request.c says which mechanisms there are and how often each may be tried; lengths must add
 * up, login and password not be empty nor hold NUL, CR or LF, and fit descriptor 3 together
 * with a timestamp of timestamp_octets. apop: whether APOP is offered. */
bool request_permitted(
	const struct request *request, size_t timestamp_octets, unsigned tries, bool apop);

/* What the exit status (as of waitpid) of a checker that did not start the session means: 1, 3
 * and 20 refused; 2, 100, 126, 127 misconfigured; all else temporary. */
enum request_verdict request_judge(int wait_status);

#endif
