/* proxy_read: see proxy_read.h. */
#include "peer/proxy_read.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "os/clock.h"

/* Waits for input. */
static enum proxy_read wait_for_octets(int fd, int64_t deadline_ms)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	int ready;

	do
		ready = poll(&polled, 1, clock_poll_timeout(deadline_ms));
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return PROXY_READ_COMPLETE;
	return ready == 0 ? PROXY_READ_TIMEOUT : PROXY_READ_BROKEN;
}

static enum proxy_read end_of(ssize_t got, size_t have)
{
	if (have == 0)
		return PROXY_READ_NOTHING;
	return got == 0 ? PROXY_READ_EOF : PROXY_READ_BROKEN;
}

enum proxy_read proxy_read(int fd, int64_t deadline_ms, struct proxy_header *header)
{
	char octets[PROXY_HEADER_OCTETS];
	size_t have = 0, need;

	while ((need = proxy_need(octets, have)) > 0) {
		const enum proxy_read waited = wait_for_octets(fd, deadline_ms);
		ssize_t got;

		if (waited != PROXY_READ_COMPLETE)
			return waited;
		got = read(fd, octets + have, need);
		if (got > 0)
			have += (size_t)got;
		else if (got == 0 || (errno != EINTR && errno != EAGAIN))
			return end_of(got, have);
	}
	return proxy_parse(octets, have, header) == PROXY_COMPLETE ? PROXY_READ_COMPLETE
								   : PROXY_READ_WRONG;
}
