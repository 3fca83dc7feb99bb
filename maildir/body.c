/* body: reading a message's file, and counting the octets that it has on the wire; see body.h.
 */
#include "maildir/body.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/encode.h"

char body_chunk[BODY_CHUNK_OCTETS];

/* Reads the next octets, at most wanted. */
ssize_t body_read(int fd, size_t wanted)
{
	ssize_t length;

	do
		length = read(fd, body_chunk, wanted);
	while (length < 0 && errno == EINTR);
	return length;
}

/* A message that fills the first body_chunk is read to its end: the kernel may read ahead. */
void body_expect_more(int fd, ssize_t length)
{
	if (length == (ssize_t)sizeof body_chunk)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

bool message_count(int fd, struct message_counted *counted)
{
	struct encoder e = ENCODER_START;
	size_t pieces = 0;
	ssize_t length;

	*counted = (struct message_counted){0, 0};
	/* the last reading finds nothing, and leaves what is held as it is */
	while ((length = body_read(fd, sizeof body_chunk)) > 0) {
		if (pieces == 0)
			body_expect_more(fd, length);
		counted->held = pieces++ == 0 ? (size_t)length : 0;
		counted->octets += encode_count(&e, body_chunk, (size_t)length);
	}
	counted->octets += encode_count_end(&e);
	return length == 0 && lseek(fd, 0, SEEK_SET) == 0;
}
