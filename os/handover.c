/* handover: see handover.h. */
#include "os/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/log.h"

int handover_announce(int status_fd, enum handover_form form)
{
	const struct handover message = {HANDOVER_SESSION_RUNS, getpid()};
	const size_t octets = form == HANDOVER_WHOLE ? sizeof message : 1;
	struct stat st;

	if (status_fd < 0)
		return -1;
	/* the checker may have closed it and opened a file of its own with that number */
	if (fstat(status_fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
		write(status_fd, &message, octets) == (ssize_t)octets)
		return status_fd;
	fcntl(1, F_SETSIG, SIGURG);
	close(status_fd);
	return -1;
}

void handover_finish(int announced_fd)
{
	/* a pipe without a reader is an error for poll, whatever it is asked for */
	struct pollfd polled = {.fd = announced_fd};

	if (announced_fd < 0)
		return;
	poll(&polled, 1, HANDOVER_WAIT_MS);
	close(announced_fd);
}

void handover_unmark_connection(void)
{
	if (handover_connection_is_marked())
		fcntl(1, F_SETSIG, 0);
}

bool handover_connection_is_marked(void)
{
	return fcntl(1, F_GETSIG) == SIGURG;
}

void handover_begin_session(void)
{
	const char *const given = getenv("POP3D_SESSION");
	uint32_t random;
	char id[9];

	if (given != NULL)
		log_set_session(given);
	if (log_session()[0] != '\0')
		return;
	/* without random numbers the lines cannot be joined, and all else works */
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		return;
	snprintf(id, sizeof id, "%08lx", (unsigned long)random);
	log_set_session(id);
}
