/* file: small files, read as a whole, secrets among them; all octets of a descriptor. */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The largest file that is read, in octets. */
#define FILE_MOST_OCTETS 65536

/* Octets that the owner frees with file_forget. */
struct file_octets {
	char *data; /* NULL: nothing */
	size_t length;
};

/* Reads a regular file of at most FILE_MOST_OCTETS; st (unless NULL) becomes its fstat(2).
 * Returns false with errno: EFBIG, EINVAL (not a regular file), or that of the system call. */
bool file_read(const char *path, struct file_octets *octets, struct stat *st);

/* Wipes the octets and frees them. */
void file_forget(struct file_octets *octets);

/* Reads so many octets from this offset, or up to the end of the file. Returns how many, or -1
 * with errno. */
ssize_t file_read_at(int fd, void *octets, size_t wanted, off_t offset);

/* Writes all octets. Returns false with errno. */
bool file_write(int fd, const void *octets, size_t length);

/* Closes a descriptor, and keeps errno. */
void file_close(int fd);

#endif
