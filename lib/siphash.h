/* siphash: SipHash-2-4 (Aumasson and Bernstein, 2012), a short hash with a key. Without the key
 * nobody can find octets that have a given hash, or learn the octets from their hash. */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of length octets under a key of 128 bits. */
uint64_t siphash(const uint64_t key[2], const void *octets, size_t length);

#endif
