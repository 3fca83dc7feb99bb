/* utf8: the syntax of UTF-8 (RFC 3629). */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the octets are UTF-8: complete characters, no overlong form, no surrogate, nothing
 * above U+10FFFF. */
/*@ requires \valid_read(octets + (0 .. length - 1));
    assigns \nothing; */
bool utf8_is_valid(const char *octets, size_t length);

#endif
