/* lower: ASCII letters in lower case. The lower case of other letters depends on the language,
 * and <ctype.h> depends on the locale. */
#ifndef LOWER_H
#define LOWER_H

#include <stddef.h>

/* The letter in lower case; any other octet as it is. */
/*@ assigns \nothing;
    ensures \result == ('A' <= c <= 'Z' ? c - 'A' + 'a' : c); */
char lower_of(char c);

/* Changes all letters among the octets. */
/*@ requires \valid(octets + (0 .. length - 1));
    assigns octets[0 .. length - 1]; */
void lower_octets(char *octets, size_t length);

#endif
