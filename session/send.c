/* message: see message.h. */
#include "session/send.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Of a message whose top is wanted, what is read first: most headers are shorter. */
#define TOP_OCTETS 4096

struct message_sent message_send(struct wire *w, int fd, struct top *top, size_t held)
{
	struct message_sent sent = {0, 0};
	struct encoder e = ENCODER_START;
	size_t wanted = top == NULL ? sizeof body_chunk : TOP_OCTETS;
	char end[2];

	if (held > 0)
		sent.octets = wire_put_encoded(w, &e, body_chunk, held);
	while (held == 0 && w->end == WIRE_OPEN && (top == NULL || !top->done)) {
		const ssize_t length = body_read(fd, wanted);
		size_t used;

		if (length < 0)
			sent.read_error = errno;
		if (length <= 0)
			break;
		if (top == NULL && sent.octets == 0)
			body_expect_more(fd, length);
		wanted = wanted < sizeof body_chunk / 4 ? 4 * wanted : sizeof body_chunk;
		used = top == NULL ? (size_t)length
				   : top_extent(top, body_chunk, (size_t)length);
		sent.octets += wire_put_encoded(w, &e, body_chunk, used);
	}
	sent.octets -= e.stuffed;
	if (sent.read_error == 0) {
		wire_put(w, end, encode_end(&e, end));
		sent.octets += encode_count_end(&e);
	}
	return sent;
}
