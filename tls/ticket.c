/* ticket: see ticket.h. */
#include "tls/ticket.h"

#include <string.h>

static int value_of_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool take_hex(struct ticket_key *key, const char *digits)
{
	unsigned char octets[TICKET_KEY_OCTETS];
	bool good = true;

	for (size_t i = 0; i < TICKET_KEY_OCTETS && good; i++) {
		const int high = value_of_digit(digits[2 * i]),
			  low = value_of_digit(digits[2 * i + 1]);

		good = high >= 0 && low >= 0;
		octets[i] = (unsigned char)(high * 16 + low);
	}
	memcpy(key, octets, sizeof *key);
	explicit_bzero(octets, sizeof octets);
	return good;
}

static bool parse_lines(struct ticket_keys *keys, const char *octets, size_t length)
{
	keys->count = 0;
	while (length > 0) {
		const char *const feed = memchr(octets, '\n', length);
		const size_t whole = feed != NULL ? (size_t)(feed - octets) + 1 : length;
		size_t line = feed != NULL ? whole - 1 : whole;

		if (line > 0 && octets[line - 1] == '\r')
			line--;
		if (line != 2 * TICKET_KEY_OCTETS || keys->count == TICKET_KEYS)
			return false;
		if (!take_hex(&keys->keys[keys->count], octets))
			return false;
		keys->count++;
		octets += whole;
		length -= whole;
	}
	return keys->count > 0;
}

/* Only a file of hexadecimal lines that was cut looks like this; random octets never do. */
static bool is_hex_text(const char *octets, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (value_of_digit(octets[i]) < 0 && octets[i] != '\n' && octets[i] != '\r')
			return false;
	return true;
}

bool ticket_parse(struct ticket_keys *keys, const char *octets, size_t length)
{
	_Static_assert(sizeof(struct ticket_key) == TICKET_KEY_OCTETS, "a key has no gaps");

	if (parse_lines(keys, octets, length))
		return true;
	if (length == 0 || length % TICKET_KEY_OCTETS != 0 ||
		length / TICKET_KEY_OCTETS > TICKET_KEYS || is_hex_text(octets, length))
		return false;
	keys->count = length / TICKET_KEY_OCTETS;
	memcpy(keys->keys, octets, length);
	return true;
}
