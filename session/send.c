/* send: see send.h. */
#include "session/send.h"

#include <errno.h>
#include <string.h>

/* Replaces each NUL by one other octet that is not a line end, so that no size changes. */
static void replace_nul(char *octets, size_t length)
{
	char *const end = octets + length;

	for (char *at = octets; (at = memchr(at, '\0', (size_t)(end - at))) != NULL; at++)
		*at = (char)0x80;
}

struct message_sent message_send(
	struct wire *w, struct body *body, const struct message_form *form)
{
	struct encode_top *const top = form->top;
	struct message_sent sent = {0, 0};
	struct encoder e = ENCODER_START;
	struct encode_top headers = body_follow_begin(body);
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
		body_follow(&headers, body->chunk, used);
		if (form->replaces_nul)
			replace_nul(body->chunk, used);
		sent.octets += wire_put_encoded(w, &e, body->chunk, used);
	}
	sent.octets -= e.stuffed;
	if (sent.read_error == 0) {
		wire_put(w, end, encode_end(&e, end));
		sent.octets += encode_count_end(&e);
		if (body_supplied(&headers) > 0) {
			wire_puts(w, "\r\n");
			sent.octets += BODY_END_OCTETS;
		}
	}
	return sent;
}
