/* auth: the monitor, and its conversation with the greeter and with checkpassword. */
#ifndef AUTH_H
#define AUTH_H

#include <stdint.h>

#include "options.h"

/* What descriptor 3 of a checkpassword program may carry in all. */
#define AUTH_CREDENTIALS_OCTETS 512
#define AUTH_TRIES 3
#define AUTH_TIMESTAMP_OCTETS 128

enum auth_mechanism { AUTH_USER = 1, AUTH_APOP };

/* Greeter to monitor, one datagram of exactly this size. octets begins with the login, the
 * password (or the digest) follows at once. */
struct auth_request {
	uint16_t mechanism;
	uint16_t login_octets;
	uint16_t password_octets;
	char octets[AUTH_CREDENTIALS_OCTETS];
};

/* Monitor to greeter, a datagram of this one octet. */
enum auth_verdict {
	AUTH_GRANTED = 1,
	AUTH_REFUSED,
	AUTH_MISCONFIGURED,
	AUTH_TEMPORARY,
};

/* True if the request is one that may be run: known mechanism, lengths that add up, login and
 * password not empty and without NUL, CR and LF, and no more than 512 octets on descriptor 3
 * together with a timestamp of timestamp_octets. */
bool auth_request_valid(const struct auth_request *request, size_t timestamp_octets);

/* What the exit status (as of waitpid) of a checker that did not start the session means: 1, 3
 * and 20 refused; 2, 100, 126, 127 misconfigured; all else temporary. */
enum auth_verdict auth_judge(int wait_status);

/* Serves one connection on descriptors 0 and 1: forks the greeter, runs checkers for it, waits
 * for the session. Returns the exit status of the process. */
int auth_serve(const struct options *o);

#endif
