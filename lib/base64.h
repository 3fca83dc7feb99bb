/* base64: the encoding of RFC 4648 section 4, strict as RFC 5034 section 4 asks. */
#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>

/* The length of the base64 of so many octets. */
#define BASE64_OCTETS(octets) (((octets) + 2) / 3 * 4)

enum base64_result {
	BASE64_GOOD,
	BASE64_BAD, /* a foreign character, missing or misplaced padding, bits after the end */
	BASE64_TOO_LONG, /* more than there is room for */
};

/* Decodes text, skipping no character, into octets, which has space for room octets. Sets
 * *decoded to their number. If the result is not BASE64_GOOD, the contents of octets mean
 * nothing. */
/*@ requires \valid_read(text + (0 .. length - 1)) && \valid(octets + (0 .. room - 1));
    requires \valid(decoded) && \separated(decoded, text + (0 .. length - 1));
    requires \separated(decoded, octets + (0 .. room - 1));
    assigns octets[0 .. room - 1], *decoded;
    ensures *decoded <= room; */
enum base64_result base64_decode(
	const char *text, size_t length, char *octets, size_t room, size_t *decoded);

/* Encodes octets; text gets BASE64_OCTETS(length) characters and a terminating NUL. */
/*@ requires \valid_read(octets + (0 .. length - 1));
    requires \valid(text + (0 .. BASE64_OCTETS((integer)length)));
    assigns text[0 .. BASE64_OCTETS((integer)length)];
    ensures text[BASE64_OCTETS((integer)length)] == 0; */
void base64_encode(const char *octets, size_t length, char *text);

#endif
