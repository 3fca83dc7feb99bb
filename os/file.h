/* file: small files, read as a whole; secrets among them. */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* The largest file that is read, in octets. */
#define FILE_MOST_OCTETS 65536

/* Octets that their owner frees with file_forget. */
struct file_octets {
	char *data; /* NULL: nothing */
	size_t length;
};

/* Reads a regular file, not longer than FILE_MOST_OCTETS; st (or NULL) is what fstat says of
 * it. Returns false with errno: EFBIG, EINVAL (no regular file) or what the system says. */
bool file_read(const char *path, struct file_octets *octets, struct stat *st);

/* Wipes and frees. */
void file_forget(struct file_octets *octets);

#endif
