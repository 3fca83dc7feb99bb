/* number: numbers in protocols, file names and options. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a number of length octets: decimal digits only, at least one. Larger numbers become
 * UINT64_MAX. Returns false, and leaves *number alone, if the octets are not a number. */
bool number_parse(const char *octets, size_t length, uint64_t *number);

/* Reads the decimal digits that the octets begin with. Puts their value into *number, 0 if
 * there are none; larger numbers become UINT64_MAX. Returns how many digits there are. */
size_t number_take(const char *octets, size_t length, uint64_t *number);

/* The digits of the largest number. */
#define NUMBER_DIGITS 20

/* Writes a number in decimal, not terminated; returns how many digits it has. */
size_t number_write(char digits[NUMBER_DIGITS], uint64_t number);

/* The hexadecimal digits of the largest number. */
#define NUMBER_HEX_DIGITS 16

/* Writes a number in hexadecimal, in lower case and not terminated. The first writes as many
 * digits as the number has, and returns how many; the second all, with zeros in front. */
size_t number_write_hex(char *digits, uint64_t number);
void number_write_all_hex(char digits[NUMBER_HEX_DIGITS], uint64_t number);

#endif
