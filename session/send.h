/* send: sends a message, or its top. */
#ifndef SEND_H
#define SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "maildir.h"
#include "pop3/wire.h"

/* How much TOP reads first: most headers are shorter. */
#define SEND_TOP_OCTETS 4096

/* The result of sending a message. */
struct message_sent {
	uint64_t octets; /* as the size counts them: without doubled dots */
	int read_error;  /* 0, or the errno of a failed read; only a part was sent then */
};

/* Which part of a message is sent, and how. */
struct message_form {
	struct encode_top *top; /* only the top; NULL: the whole message */
	bool replaces_nul;      /* octets of 0x80 stand for those of 0 */
};

/* Puts a message on the wire, without the reply line before it and the terminating line after
 * it. body_start must have been called. If the wire fails, w->end says so. */
struct message_sent message_send(
	struct wire *w, struct body *body, const struct message_form *form);

#endif
