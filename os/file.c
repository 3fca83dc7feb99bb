/* file: see file.h. file_read runs with the launch privileges. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At most FILE_MOST_OCTETS; one octet more is read to see whether the file is longer. */
static bool read_octets(int fd, struct file_octets *octets)
{
	octets->length = 0;
	octets->data = malloc(FILE_MOST_OCTETS + 1);
	if (octets->data == NULL)
		return false;
	while (octets->length <= FILE_MOST_OCTETS) {
		const ssize_t got = read(fd, octets->data + octets->length,
			FILE_MOST_OCTETS + 1 - octets->length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		octets->length += (size_t)got;
	}
	errno = EFBIG;
	return false;
}

bool file_read(const char *path, struct file_octets *octets, struct stat *st)
{
	/* O_NONBLOCK: opening a fifo must not wait for a writer */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat found;
	bool good = false;
	int error_number;

	octets->data = NULL;
	octets->length = 0;
	if (fd < 0)
		return false;
	if (fstat(fd, &found) == 0) {
		errno = EINVAL;
		good = S_ISREG(found.st_mode) && read_octets(fd, octets);
	}
	error_number = errno;
	close(fd);
	if (!good)
		file_forget(octets);
	else if (st != NULL)
		*st = found;
	errno = error_number;
	return good;
}

void file_forget(struct file_octets *octets)
{
	if (octets->data != NULL)
		explicit_bzero(octets->data, octets->length);
	free(octets->data);
	octets->data = NULL;
	octets->length = 0;
}

ssize_t file_read_at(int fd, void *octets, size_t wanted, off_t offset)
{
	char *const start = octets;
	size_t got = 0;

	while (got < wanted) {
		const ssize_t length =
			pread(fd, start + got, wanted - got, offset + (off_t)got);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -1;
		if (length == 0)
			break;
		got += (size_t)length;
	}
	return (ssize_t)got;
}

bool file_write(int fd, const void *octets, size_t length)
{
	const char *next = octets;

	while (length > 0) {
		const ssize_t written = write(fd, next, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		next += written;
		length -= (size_t)written;
	}
	return true;
}

void file_close(int fd)
{
	const int error_number = errno;

	close(fd);
	errno = error_number;
}
