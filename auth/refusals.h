/* refusals: the credentials that the checker refused on this connection, so that a client which
 * tries one password in several ways is not taken for one that guesses. Pure but for the key.
 */
#ifndef REFUSALS_H
#define REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/request.h"

/* Zeroed: none yet. What is kept is a hash with a key of this process, and no copy of a
 * password. */
struct refusals {
	uint64_t key[2];
	uint64_t hashes[REQUEST_TRIES];
	size_t count;
};

/* Remembers that the checker refused the credentials of request. Digests (APOP, CRAM-MD5) are
 * not remembered: they differ each time. Without random octets for the key nothing is. */
void refusals_add(struct refusals *r, const struct request *request);

/* Whether the checker refused the same login and password before, in whatever command they
 * came. */
bool refusals_have(const struct refusals *r, const struct request *request);

/* Forgets all of them. */
void refusals_forget(struct refusals *r);

#endif
