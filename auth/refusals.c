/* refusals: see refusals.h. */
#include "auth/refusals.h"

#include <string.h>
#include <sys/random.h>

#include "lib/siphash.h"

/* Whether two equal requests with this mechanism are the same guess. Sets *kind, because the
 * same octets as a password and as a token are different guesses. */
static bool secret_kind(const struct request *request, char *kind)
{
	switch ((enum mechanism)request->kind) {
	case MECHANISM_USER:
	case MECHANISM_PLAIN:
	case MECHANISM_LOGIN: *kind = 'p'; return true;
	case MECHANISM_XOAUTH2:
	case MECHANISM_OAUTHBEARER: *kind = 't'; return true;
	default: return false;
	}
}

/* The length of the login goes into the key, because nothing separates login and password in
 * the octets that are hashed. */
static uint64_t hash_of(const struct refusals *r, const struct request *request, char kind)
{
	const uint64_t key[2] = {
		r->key[0] ^ ((uint64_t)(unsigned char)kind << 32 | request->login_octets),
		r->key[1]};

	return siphash(
		key, request->octets, (size_t)request->login_octets + request->password_octets);
}

void refusals_add(struct refusals *r, const struct request *request)
{
	char kind;

	if (r->count == REQUEST_TRIES || !secret_kind(request, &kind))
		return;
	if (r->count == 0 && getrandom(r->key, sizeof r->key, 0) != (ssize_t)sizeof r->key)
		return;
	r->hashes[r->count++] = hash_of(r, request, kind);
}

bool refusals_have(const struct refusals *r, const struct request *request)
{
	char kind;
	uint64_t hash;

	if (r->count == 0 || !secret_kind(request, &kind))
		return false;
	hash = hash_of(r, request, kind);
	for (size_t i = 0; i < r->count; i++)
		if (r->hashes[i] == hash)
			return true;
	return false;
}

void refusals_forget(struct refusals *r)
{
	explicit_bzero(r, sizeof *r);
}
