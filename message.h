/* message: reading a message's file: counting its octets, sending it. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* Counts the octets of the message open as fd as they are sent (RFC 1939 section 11), from the
 * start of the file, and goes back to its start. Returns false with errno. */
bool message_count(int fd, uint64_t *octets);

/* What was sent of a message. */
struct message_sent {
	uint64_t octets; /* as they count for its size: without doubled dots */
	int read_error;  /* 0, or the errno of a failed read: what was sent is not the whole */
};

/* Puts the message open as fd on the wire: all of it, or (top not NULL) only its top; neither
 * the reply before nor the terminating line. A failure of the wire shows in the wire. */
struct message_sent message_send(struct wire *w, int fd, struct top *top);

#endif
