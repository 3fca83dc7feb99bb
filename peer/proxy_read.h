/* proxy_read: reads a proxy's header from the connection, and nothing after it. */
#ifndef PROXY_READ_H
#define PROXY_READ_H

#include <stdint.h>

#include "peer/proxy_header.h"

/* The time for a proxy to send its header, in milliseconds: a lost packet is sent again after
 * some seconds. */
#define PROXY_READ_MS 15000

enum proxy_read {
	PROXY_READ_COMPLETE,
	PROXY_READ_NOTHING, /* the connection ended before the first octet */
	PROXY_READ_EOF,     /* the connection ended in the header */
	PROXY_READ_TIMEOUT, /* the header did not come before deadline_ms */
	PROXY_READ_BROKEN,  /* reading failed, see errno */
	PROXY_READ_WRONG,   /* not a header; header->reason says why */
};

/* Reads a header from fd, until deadline_ms of clock_now_ms, into *header. */
enum proxy_read proxy_read(int fd, int64_t deadline_ms, struct proxy_header *header);

#endif
