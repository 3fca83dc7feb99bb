/* message: see message.h. */
#include "message.h"

#include <errno.h>
#include <unistd.h>

static char chunk[WIRE_CHUNK_OCTETS];

static ssize_t read_chunk(int fd)
{
	ssize_t length;

	do
		length = read(fd, chunk, sizeof chunk);
	while (length < 0 && errno == EINTR);
	return length;
}

bool message_count(int fd, uint64_t *octets)
{
	struct encoder e = ENCODER_START;
	ssize_t length;

	*octets = 0;
	while ((length = read_chunk(fd)) > 0)
		*octets += encode_count(&e, chunk, (size_t)length);
	*octets += encode_count_end(&e);
	return length == 0 && lseek(fd, 0, SEEK_SET) == 0;
}

struct message_sent message_send(struct wire *w, int fd, struct top *top)
{
	struct message_sent sent = {0, 0};
	struct encoder e = ENCODER_START;
	char end[2];

	while (w->end == WIRE_OPEN && (top == NULL || !top->done)) {
		const ssize_t length = read_chunk(fd);
		size_t used;

		if (length < 0)
			sent.read_error = errno;
		if (length <= 0)
			break;
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
