/* number: see number.h. */
#include "lib/number.h"

/* So many digits always fit. A division for each digit would cost more than all the rest, and
 * the names of a large maildrop have millions of digits. */
#define SAFE_DIGITS 19

size_t number_take(const char *octets, size_t length, uint64_t *number)
{
	uint64_t value = 0;
	size_t at = 0;

	/*@ loop invariant at <= length;
	    loop invariant \forall integer i; 0 <= i < at ==> '0' <= octets[i] <= '9';
	    loop assigns at, value;
	    loop variant length - at; */
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

	/*@ loop invariant 1 <= at <= NUMBER_DIGITS;
	    loop assigns at, number, backwards[0 .. NUMBER_DIGITS - 1];
	    loop variant number; */
	do {
		backwards[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 && at > 0);
	/*@ loop invariant at <= i <= NUMBER_DIGITS;
	    loop assigns i, digits[0 .. NUMBER_DIGITS - 1];
	    loop variant NUMBER_DIGITS - i; */
	for (size_t i = at; i < sizeof backwards; i++)
		digits[i - at] = backwards[i];
	return sizeof backwards - at;
}

static const char hex[16] = "0123456789abcdef";

/*@ requires count <= NUMBER_HEX_DIGITS && \valid(digits + (0 .. count - 1));
    assigns digits[0 .. count - 1]; */
static void write_hex(char *digits, size_t count, uint64_t number)
{
	/*@ loop invariant i <= count;
	    loop assigns i, digits[0 .. count - 1];
	    loop variant count - i; */
	for (size_t i = 0; i < count; i++)
		digits[i] = hex[number >> (4 * (count - 1 - i)) & 15];
}

size_t number_write_hex(char *digits, uint64_t number)
{
	size_t count = 1;

	/*@ loop invariant 1 <= count <= (number <= 0xffff ? 4 : NUMBER_HEX_DIGITS);
	    loop invariant number <= 0xffff ==>
		rest < (count == 1 ? 0x1000 : count == 2 ? 0x100 : count == 3 ? 0x10 : 1);
	    loop assigns count, rest;
	    loop variant NUMBER_HEX_DIGITS - count; */
	for (uint64_t rest = number / 16; rest != 0 && count < NUMBER_HEX_DIGITS; rest /= 16)
		count++;
	write_hex(digits, count, number);
	return count;
}

void number_write_all_hex(char digits[NUMBER_HEX_DIGITS], uint64_t number)
{
	write_hex(digits, NUMBER_HEX_DIGITS, number);
}
