/* relay: what a checker writes to its standard error, line by line into the log. */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>

#define RELAY_LINE_OCTETS 200
#define RELAY_LINES 50

struct relay {
	size_t used;
	unsigned lines; /* logged so far: at most RELAY_LINES, the rest is thrown away */
	char line[RELAY_LINE_OCTETS];
};

/* Takes what can be read from fd now and logs the complete lines. Returns false at its end (and
 * after errors other than EINTR and EAGAIN), when nothing more will come. */
bool relay_read(struct relay *r, int fd);

/* Takes what can be read from fd (-1: nothing) without waiting, and logs the last line even if
 * it has no end: for a checker that is gone. */
void relay_drain(struct relay *r, int fd);

#endif
