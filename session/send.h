/* send: sends a message, or its top. */
#ifndef SEND_H
#define SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "maildir.h"
#include "pop3/wire.h"

/* Of a message whose top is wanted, what is read first: most headers are shorter. */
#define SEND_TOP_OCTETS 4096

/* The result of sending a message. */
struct message_sent {
	uint64_t octets; /* as the size counts them: without doubled dots */
	int read_error;  /* 0, or the errno of a failed read: what was sent is not the whole */
};

/* What is sent of a message, and how. */
struct message_form {
	struct encode_top *top; /* of its top only; NULL: all of it */
	bool replaces_nul;      /* octets of 0x80 stand for those of 0 */
};

/* Puts a message on the wire, from where its body was started, without the reply before and the
 * terminating line. A failure of the wire shows in the wire. */
struct message_sent message_send(
	struct wire *w, struct body *body, const struct message_form *form);

#endif
