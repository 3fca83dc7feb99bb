/* md5: the message digest of RFC 1321. It protects nothing here: other servers made unique-ids
 * with it. */
#ifndef MD5_H
#define MD5_H

#include <stddef.h>

/* Digits of a digest, without a terminator. */
#define MD5_DIGITS 32

/* Writes the digest of the octets in lower-case hexadecimal digits, not terminated. */
void md5_digits(char digits[MD5_DIGITS], const void *octets, size_t length);

#endif
