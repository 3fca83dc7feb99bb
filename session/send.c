/* send: see send.h. */
#include "session/send.h"

#include <errno.h>

struct message_sent message_send(struct wire *w, struct body *body, struct encode_top *top)
{
	struct message_sent sent = {0, 0};
	struct encoder e = ENCODER_START;
	size_t wanted = top == NULL ? sizeof body->chunk : SEND_TOP_OCTETS;
	char end[2];

	while (w->end == WIRE_OPEN && (top == NULL || !top->done)) {
		const ssize_t length = body_next(body, wanted);
		size_t used;

		if (length < 0)
			sent.read_error = errno;
		if (length <= 0)
			break;
		wanted = wanted < sizeof body->chunk / 4 ? 4 * wanted : sizeof body->chunk;
		used = top == NULL ? (size_t)length
				   : encode_top_extent(top, body->chunk, (size_t)length);
		sent.octets += wire_put_encoded(w, &e, body->chunk, used);
	}
	sent.octets -= e.stuffed;
	if (sent.read_error == 0) {
		wire_put(w, end, encode_end(&e, end));
		sent.octets += encode_count_end(&e);
	}
	return sent;
}
