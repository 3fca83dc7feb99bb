/* hash: hashes of crypt(3): comparing with one, making one. */
#ifndef PWHASH_H
#define PWHASH_H

#include <stdbool.h>
#include <stddef.h>

enum pwhash_verdict {
	PWHASH_DIFFERS,
	PWHASH_MATCHES,
	PWHASH_TROUBLE /* crypt(3) could not work, for want of memory most likely */
};

/* An empty or unusable hash matches nothing, and costs as much as a usual one. */
enum pwhash_verdict pwhash_check(const char *password, const char *hash);

/* Hashes password with a new salt, of the best kind crypt(3) has here. */
bool pwhash_make(const char *password, char *hash, size_t size);

#endif
