/* message: reading a message's file: counting its octets, sending it. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "maildir.h"
#include "pop3/wire.h"

/* What was sent of a message. */
struct message_sent {
	uint64_t octets; /* as they count for its size: without doubled dots */
	int read_error;  /* 0, or the errno of a failed read: what was sent is not the whole */
};

/* Puts the message open as fd on the wire: all of it, or (top not NULL) only its top; neither
 * the reply before nor the terminating line. held is what message_count says of the same
 * message, just counted: then it is not read again; else 0. A failure of the wire shows in the
 * wire. */
struct message_sent message_send(struct wire *w, int fd, struct top *top, size_t held);

#endif
