/* file: see file.h. file_read runs with the launch privileges. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Moves the octets to a place with room for the largest file and one octet more. */
static bool make_room(struct file_octets *octets)
{
	char *const larger = malloc(FILE_MOST_OCTETS + 1);

	if (larger == NULL)
		return false;
	memcpy(larger, octets->data, octets->length);
	explicit_bzero(octets->data, octets->length);
	free(octets->data);
	octets->data = larger;
	return true;
}

/* At most FILE_MOST_OCTETS; one octet more is read to see whether the file is longer. The first
 * room is for what the file has now: room that nobody uses costs two calls to the kernel. */
static bool read_octets(int fd, off_t size, struct file_octets *octets)
{
	size_t room = (size < FILE_MOST_OCTETS ? (size_t)size : FILE_MOST_OCTETS) + 1;

	octets->length = 0;
	octets->data = malloc(room);
	while (octets->data != NULL && octets->length <= FILE_MOST_OCTETS) {
		ssize_t got;

		if (octets->length == room) {
			if (!make_room(octets))
				return false;
			room = FILE_MOST_OCTETS + 1;
		}
		got = read(fd, octets->data + octets->length, room - octets->length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		octets->length += (size_t)got;
	}
	if (octets->data != NULL)
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
		good = S_ISREG(found.st_mode) && read_octets(fd, found.st_size, octets);
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
