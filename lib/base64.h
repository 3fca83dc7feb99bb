/* base64: the encoding of RFC 4648 section 4, strict as RFC 5034 section 4 asks. */
#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>

/* How long the base64 of so many octets is. */
#define BASE64_OCTETS(octets) (((octets) + 2) / 3 * 4)

enum base64_result {
	BASE64_GOOD,
	BASE64_BAD, /* a foreign character, padding missing or misplaced, bits behind the end */
	BASE64_TOO_LONG, /* more than there is room for */
};

/* Decodes all of text, no character of which is skipped, into octets, where there is room for
 * room of them; sets *decoded to their number. Where the result is not good, what octets then
 * holds means nothing. */
enum base64_result base64_decode(
	const char *text, size_t length, char *octets, size_t room, size_t *decoded);

/* Encodes octets; text gets BASE64_OCTETS(length) characters and a terminating NUL. */
void base64_encode(const char *octets, size_t length, char *text);

#endif
