/* fuzz: shared by the fuzz targets. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A condition that must hold. */
#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition))                                                              \
			abort();                                                               \
	} while (0)

/* Octets in an allocation of exactly their length, so that a sanitizer sees a read beyond it.
 */
static inline char *fuzz_copy(const void *octets, size_t length)
{
	char *const copy = malloc(length + !length);

	CHECK(copy != NULL);
	if (length > 0)
		memcpy(copy, octets, length);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
