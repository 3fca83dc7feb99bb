/* body: reading a message's file, and counting the octets that it has on the wire. */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BODY_CHUNK_OCTETS 65536

/* The one buffer of the process; see held. */
extern char body_chunk[BODY_CHUNK_OCTETS];

/* What was counted of a message. */
struct message_counted {
	uint64_t octets; /* as they are sent (RFC 1939 section 11) */
	size_t held;     /* the length of the file where it is small: it is in memory until the
			    next message is read; else 0 */
};

/* Counts the message open as fd, from the start of the file, and goes back to its start.
 * Returns false with errno. */
bool message_count(int fd, struct message_counted *counted);

/* Reads the next octets into body_chunk, at most wanted. */
ssize_t body_read(int fd, size_t wanted);

/* A message that fills the first chunk is read to its end: the kernel may read ahead. */
void body_expect_more(int fd, ssize_t length);

#endif
