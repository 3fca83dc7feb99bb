/* base64: see base64.h. */
#include "lib/base64.h"

#include <stdbool.h>
#include <stdint.h>

#define FOREIGN 64U

/* The value of a character; FOREIGN if it is not in the alphabet. */
/*@ assigns \nothing;
    ensures \result <= FOREIGN; */
static uint32_t value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : FOREIGN;
}

/* Decodes four characters to 3 - padding octets; the last "padding" characters are '='. */
/*@ requires padding <= 2 && \valid_read(text + (0 .. 3));
    requires \valid(octets + (0 .. 2 - padding));
    assigns octets[0 .. 2 - padding]; */
static bool decode_four(const char *text, size_t padding, char *octets)
{
	uint32_t bits = 0;

	/*@ loop invariant i <= 4;
	    loop assigns i, bits;
	    loop variant 4 - i; */
	for (size_t i = 0; i < 4; i++) {
		const uint32_t value = i < 4 - padding ? value_of(text[i]) : 0;

		if (value == FOREIGN)
			return false;
		bits = bits << 6 | value;
	}
	/* two texts for the same octets would be a covert channel: RFC 4648 section 3.5 */
	if ((bits & ((1U << 8 * padding) - 1)) != 0)
		return false;
	/*@ loop invariant i <= 3 - padding;
	    loop assigns i, octets[0 .. 2 - padding];
	    loop variant 3 - padding - i; */
	for (size_t i = 0; i < 3 - padding; i++)
		octets[i] = (char)(bits >> (16 - 8 * i) & 0xff);
	return true;
}

enum base64_result base64_decode(
	const char *text, size_t length, char *octets, size_t room, size_t *decoded)
{
	size_t padding = 0;

	*decoded = 0;
	if (length % 4 != 0)
		return BASE64_BAD;
	/*@ loop invariant padding <= 2 && padding <= length;
	    loop assigns padding;
	    loop variant 2 - padding; */
	while (padding < 2 && padding < length && text[length - padding - 1] == '=')
		padding++;
	if (length / 4 * 3 - padding > room)
		return BASE64_TOO_LONG;
	/*@ loop invariant at <= length && at % 4 == 0;
	    loop assigns at, octets[0 .. room - 1];
	    loop variant length - at; */
	for (size_t at = 0; at < length; at += 4) {
		const size_t unused = at + 4 == length ? padding : 0;

		if (!decode_four(text + at, unused, octets + at / 4 * 3))
			return BASE64_BAD;
	}
	*decoded = length / 4 * 3 - padding;
	return BASE64_GOOD;
}

void base64_encode(const char *octets, size_t length, char *text)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	/*@ loop invariant at % 3 == 0 && at <= length + 2 && text == \at(text, Pre) + at / 3 *
	   4; loop assigns at, text, \at(text, Pre)[0 .. BASE64_OCTETS((integer)length) - 1];
	    loop variant length - at; */
	for (size_t at = 0; at < length; at += 3) {
		const size_t here = length - at < 3 ? length - at : 3;
		uint32_t bits = 0;

		/*@ loop invariant i <= 3;
		    loop assigns i, bits;
		    loop variant 3 - i; */
		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < here ? (unsigned char)octets[at + i] : 0);
		/*@ loop invariant i <= 4 && text == \at(text, LoopEntry) + i;
		    loop assigns i, text, \at(text, Pre)[0 .. BASE64_OCTETS((integer)length) -
		   1]; loop variant 4 - i; */
		for (size_t i = 0; i < 4; i++)
			*text++ = i <= here ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
	}
	*text = '\0';
}
