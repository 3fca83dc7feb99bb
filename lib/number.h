/* number: decimal numbers as protocols, names and options have them. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads length octets: decimal digits only, at least one (no sign, no blank); saturates at
 * UINT64_MAX. Returns false if they are no number; *number is not touched then. */
bool number_parse(const char *octets, size_t length, uint64_t *number);

/* The most digits that there are. */
#define NUMBER_DIGITS 20

/* Writes a number in decimal, not terminated; returns how many digits it has. */
size_t number_write(char digits[NUMBER_DIGITS], uint64_t number);

#endif
