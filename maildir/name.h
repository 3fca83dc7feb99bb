/* uid: unique names of Maildir messages, and what UIDL says of them. Pure functions. */
#ifndef UID_H
#define UID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest unique-id (RFC 1939 section 7) with its terminator. */
#define UID_TEXT_OCTETS 71

/* Longest file name, without a terminator. */
#define UID_NAME_OCTETS 255

/* Length of the unique name in a file name: what stands before the first ':'. */
size_t uid_unique_octets(const char *name, size_t name_octets);

/* When a message was delivered, as its unique name says: seconds before the first '.',
 * microseconds behind an 'M' in the part after it; 0 where the name does not say. */
struct uid_time {
	uint64_t seconds;
	uint32_t microseconds;
};

struct uid_time uid_delivery_time(const char *unique, size_t octets);

/* No message is larger, whatever its name says: so no sum of sizes wraps. */
#define UID_SIZE_MOST ((uint64_t)1 << 44)

/* Reads a field such as ",W=1234" (field is 'W') of a unique name. False if it is not there, or
 * is more than UID_SIZE_MOST. */
bool uid_size_field(const char *unique, size_t octets, char field, uint64_t *size);

/* Writes the unique-id and its terminator to text: the unique name itself where that is 1 to 70
 * octets of 0x21 to 0x7E and shared is 0, else 32 hex digits made from it and from shared (the
 * inode of a file whose unique name another file bears as well). Returns its length. */
size_t uid_text(char text[UID_TEXT_OCTETS], const char *unique, size_t octets, uint64_t shared);

/* SipHash-2-4 (Aumasson, Bernstein 2012) with the 128-bit key k0, k1. */
uint64_t uid_siphash(uint64_t k0, uint64_t k1, const void *octets, size_t length);

#endif
