/* number: see number.h. */
#include "lib/number.h"

bool number_parse(const char *octets, size_t length, uint64_t *number)
{
	uint64_t value = 0;

	for (size_t i = 0; i < length; i++) {
		uint64_t digit;

		if (octets[i] < '0' || octets[i] > '9')
			return false;
		digit = (uint64_t)(octets[i] - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	if (length == 0)
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
