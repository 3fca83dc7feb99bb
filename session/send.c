/* message: see message.h. */
#include "session/send.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Of a message whose top is wanted, what is read first: most headers are shorter. */
#define TOP_OCTETS 4096

static char chunk[WIRE_CHUNK_OCTETS];

/* Reads the next octets, at most wanted. */
static ssize_t read_chunk(int fd, size_t wanted)
{
	ssize_t length;

	do
		length = read(fd, chunk, wanted);
	while (length < 0 && errno == EINTR);
	return length;
}

/* A message that fills the first chunk is read to its end: the kernel may read ahead. */
static void expect_more(int fd, ssize_t length)
{
	if (length == (ssize_t)sizeof chunk)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

bool message_count(int fd, struct message_counted *counted)
{
	struct encoder e = ENCODER_START;
	size_t pieces = 0;
	ssize_t length;

	*counted = (struct message_counted){0, 0};
	/* the last reading finds nothing, and leaves what is held as it is */
	while ((length = read_chunk(fd, sizeof chunk)) > 0) {
		if (pieces == 0)
			expect_more(fd, length);
		counted->held = pieces++ == 0 ? (size_t)length : 0;
		counted->octets += encode_count(&e, chunk, (size_t)length);
	}
	counted->octets += encode_count_end(&e);
	return length == 0 && lseek(fd, 0, SEEK_SET) == 0;
}

struct message_sent message_send(struct wire *w, int fd, struct top *top, size_t held)
{
	struct message_sent sent = {0, 0};
	struct encoder e = ENCODER_START;
	size_t wanted = top == NULL ? sizeof chunk : TOP_OCTETS;
	char end[2];

	if (held > 0)
		sent.octets = wire_put_encoded(w, &e, chunk, held);
	while (held == 0 && w->end == WIRE_OPEN && (top == NULL || !top->done)) {
		const ssize_t length = read_chunk(fd, wanted);
		size_t used;

		if (length < 0)
			sent.read_error = errno;
		if (length <= 0)
			break;
		if (top == NULL && sent.octets == 0)
			expect_more(fd, length);
		wanted = wanted < sizeof chunk / 4 ? 4 * wanted : sizeof chunk;
		used = top == NULL ? (size_t)length : top_extent(top, chunk, (size_t)length);
		sent.octets += wire_put_encoded(w, &e, chunk, used);
	}
	sent.octets -= e.stuffed;
	if (sent.read_error == 0) {
		wire_put(w, end, encode_end(&e, end));
		sent.octets += encode_count_end(&e);
	}
	return sent;
}
