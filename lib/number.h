/* number: decimal numbers in protocols, file names and options. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a number of length octets: decimal digits only, at least one. Larger numbers become
 * UINT64_MAX. Returns false, and leaves *number alone, if the octets are not a number. */
bool number_parse(const char *octets, size_t length, uint64_t *number);

/* The digits of the largest number. */
#define NUMBER_DIGITS 20

/* Writes a number in decimal, not terminated; returns how many digits it has. */
size_t number_write(char digits[NUMBER_DIGITS], uint64_t number);

#endif
