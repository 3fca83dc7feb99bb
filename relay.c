/* relay: see relay.h. Runs with the launch privileges, on octets that the checker wrote. */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "log.h"

static void log_line(struct relay *r)
{
	char quoted[4 * RELAY_LINE_OCTETS + 8];

	if (r->used > 0 && r->lines < RELAY_LINES)
		log_event(LOG_WARNING, "checker-says text=%s",
			log_quote(quoted, sizeof quoted, r->line, r->used));
	else if (r->used > 0 && r->lines == RELAY_LINES)
		log_event(LOG_WARNING, "checker-says-too-much lines=%d rest=discarded",
			RELAY_LINES);
	if (r->used > 0 && r->lines <= RELAY_LINES)
		r->lines++;
	r->used = 0;
}

bool relay_read(struct relay *r, int fd)
{
	char octets[4096];
	const ssize_t length = read(fd, octets, sizeof octets);

	if (length <= 0)
		return length < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t i = 0; i < length; i++) {
		if (octets[i] == '\n' || r->used == sizeof r->line)
			log_line(r);
		if (octets[i] != '\n')
			r->line[r->used++] = octets[i];
	}
	return true;
}

void relay_drain(struct relay *r, int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};

	/* bounded: what the checker left behind may go on writing for ever */
	for (int i = 0; fd >= 0 && i < 32 && poll(&polled, 1, 0) == 1 && relay_read(r, fd); i++)
		;
	log_line(r);
}
