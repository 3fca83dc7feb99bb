/* number: see number.h. */
#include "lib/number.h"

/* So many digits always fit. A division for each digit would cost more than all the rest, and
 * the names of a large maildrop have millions of digits. */
#define SAFE_DIGITS 19

size_t number_take(const char *octets, size_t length, uint64_t *number)
{
	uint64_t value = 0;
	size_t at = 0;

	for (; at < length && octets[at] >= '0' && octets[at] <= '9'; at++) {
		const uint64_t digit = (uint64_t)(octets[at] - '0');

		if (at >= SAFE_DIGITS && value > (UINT64_MAX - digit) / 10)
			value = UINT64_MAX;
		else
			value = value * 10 + digit;
	}
	*number = value;
	return at;
}

bool number_parse(const char *octets, size_t length, uint64_t *number)
{
	uint64_t value;

	if (length == 0 || number_take(octets, length, &value) != length)
		return false;
	*number = value;
	return true;
}

size_t number_write(char digits[NUMBER_DIGITS], uint64_t number)
{
	char backwards[NUMBER_DIGITS];
	size_t at = sizeof backwards;

	do {
		backwards[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	for (size_t i = at; i < sizeof backwards; i++)
		digits[i - at] = backwards[i];
	return sizeof backwards - at;
}

static void write_hex(char *digits, size_t count, uint64_t number)
{
	for (size_t i = 0; i < count; i++)
		digits[i] = "0123456789abcdef"[number >> (4 * (count - 1 - i)) & 15];
}

size_t number_write_hex(char *digits, uint64_t number)
{
	size_t count = 1;

	while (count < NUMBER_HEX_DIGITS && number >> (4 * count) != 0)
		count++;
	write_hex(digits, count, number);
	return count;
}

void number_write_all_hex(char digits[NUMBER_HEX_DIGITS], uint64_t number)
{
	write_hex(digits, NUMBER_HEX_DIGITS, number);
}
