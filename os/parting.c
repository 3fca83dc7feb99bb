/* parting: see parting.h. */
#include "os/parting.h"

#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "os/wait.h"

#define PARTING_OCTETS (1 << 20)

void parting_await_client(int64_t deadline_ms)
{
	struct pollfd polled = {.fd = 0, .events = POLLIN};
	size_t left = PARTING_OCTETS;
	char octets[4096];

	if (shutdown(1, SHUT_WR) != 0)
		return;
	while (left > 0 && wait_until_ready(&polled, 1, deadline_ms)) {
		const ssize_t got = recv(0, octets, sizeof octets, MSG_DONTWAIT);

		if (got <= 0)
			break;
		left -= (size_t)got < left ? (size_t)got : left;
	}
	explicit_bzero(octets, sizeof octets); /* passwords may be among them */
}
