/* memory: the memory of the TLS library where the C library is musl.
 *
 * The library allocates some thousand small pieces at its start, and keeps most of them. musl's
 * malloc asks the kernel for more at every few of them. Here they come from one area. */
#ifndef TLS_MUSL_MEMORY_H
#define TLS_MUSL_MEMORY_H

#include <stdbool.h>

/* Gives the library its memory. Must be called before anything else of the library. Returns
 * false if the library has some already. */
bool tls_memory_begin(void);

#endif
