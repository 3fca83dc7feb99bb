/* directory: for fuzz targets whose input is a file. */
#ifndef FUZZ_DIRECTORY_H
#define FUZZ_DIRECTORY_H

#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

/* A temporary directory of this process, which is made at the first call. */
static inline int fuzz_directory(void)
{
	static char path[] = "/tmp/fuzz-XXXXXX";
	static int fd = -1;

	if (fd < 0) {
		CHECK(mkdtemp(path) != NULL);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(fd >= 0);
	}
	return fd;
}

/* Writes a file of this name there, and replaces its contents if it exists. */
static inline void fuzz_put(const char *name, const void *octets, size_t length)
{
	const int fd =
		openat(fuzz_directory(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, octets, length) == (ssize_t)length && close(fd) == 0);
}

#endif
