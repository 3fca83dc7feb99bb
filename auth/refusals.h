/* refusals: remembers the credentials that the checker refused on this connection. A mail
 * program that tries one password with several mechanisms then makes one guess and not several.
 */
#ifndef REFUSALS_H
#define REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/request.h"

/* Begins zeroed. It holds hashes with a random key, and no copy of a password. */
struct refusals {
	uint64_t key[2];
	uint64_t hashes[REQUEST_TRIES];
	size_t count;
};

/* Remembers that the checker refused the credentials of request. Digests (APOP, CRAM-MD5) are
 * not remembered, because they differ each time. If the kernel has no random octets for the
 * key, nothing is remembered. */
void refusals_add(struct refusals *r, const struct request *request);

/* Whether the checker has refused the same login and password before, with any command. */
bool refusals_have(const struct refusals *r, const struct request *request);

/* Forgets all of them. */
void refusals_forget(struct refusals *r);

#endif
