/* hash: all that pop3d-checkpw asks of crypt(3). */
#include "checkpw/hash.h"

#include <crypt.h>
#include <errno.h>
#include <string.h>

static struct crypt_data scratch;

/* The hash of password by setting, in scratch; NULL (and nothing in scratch) if there is none.
 */
static const char *compute(const char *password, const char *setting)
{
	const char *hash;

	explicit_bzero(&scratch, sizeof scratch);
	errno = 0;
	hash = crypt_r(password, setting, &scratch);
	/* crypt(3) reports failure as a text that begins with an asterisk, or as NULL */
	if (hash != NULL && hash[0] != '*' && hash[0] != '\0')
		return hash;
	explicit_bzero(&scratch, sizeof scratch);
	return NULL;
}

/* Looks at every octet whatever the others are. The lengths of hashes are no secret. */
static bool equal_in_constant_time(const char *left, const char *right)
{
	size_t length = strlen(left);
	unsigned char difference = 0;

	if (strlen(right) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(left[i] ^ right[i]);
	return difference == 0;
}

/* The work of a usual hash, for nothing. False when not even a setting known to be good works.
 */
static bool burn_time(const char *password)
{
	static const char *const settings[] = {
		"$y$j9T$7sUM0dPsmZsvCDSEu96Ij1", "$6$XnrBYAsXyWkpfFGY"};

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		if (compute(password, settings[i]) != NULL) {
			explicit_bzero(&scratch, sizeof scratch);
			return true;
		}
	}
	return false;
}

enum pwhash_verdict pwhash_check(const char *password, const char *hash)
{
	const char *computed = hash[0] != '\0' ? compute(password, hash) : NULL;
	bool equal;

	if (computed == NULL) {
		if (errno == ENOMEM || !burn_time(password))
			return PWHASH_TROUBLE;
		return PWHASH_DIFFERS;
	}
	equal = equal_in_constant_time(computed, hash);
	explicit_bzero(&scratch, sizeof scratch);
	return equal ? PWHASH_MATCHES : PWHASH_DIFFERS;
}

bool pwhash_make(const char *password, char *hash, size_t size)
{
	static const char *const kinds[] = {"$y$", "$2b$", "$6$"};
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *computed = NULL;
	size_t length;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && computed == NULL; i++) {
		/* cost 0 and no random octets: the library takes its own */
		if (crypt_gensalt_rn(kinds[i], 0, NULL, 0, setting, (int)sizeof setting) !=
			NULL)
			computed = compute(password, setting);
	}
	if (computed == NULL)
		return false;
	length = strlen(computed);
	if (length < size)
		memcpy(hash, computed, length + 1);
	explicit_bzero(&scratch, sizeof scratch);
	return length < size;
}
