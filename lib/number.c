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
