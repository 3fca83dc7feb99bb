/* tls_file: small files, read as a whole; secrets among them. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* The largest file that is read, in octets. */
#define TLS_FILE_OCTETS 65536

/* Octets that their owner frees with tls_file_forget. */
struct tls_octets {
	char *data; /* NULL: nothing */
	size_t length;
};

/* Reads a regular file, not longer than TLS_FILE_OCTETS; st (or NULL) is what fstat says of
 * it. Returns false with errno: EFBIG, EINVAL (no regular file) or what the system says. */
bool tls_file_read(const char *path, struct tls_octets *octets, struct stat *st);

/* Wipes and frees. */
void tls_file_forget(struct tls_octets *octets);

#endif
