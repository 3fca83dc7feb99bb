/* auth_socket: see auth_socket.h. */
#include "checkpw/auth_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

#define PAUSE_MS 20

static bool fail(struct auth_socket *s, const char *problem)
{
	s->problem = problem;
	return false;
}

static bool fail_by_errno(struct auth_socket *s)
{
	return fail(s, strerror(errno));
}

/* Until the socket can be read or written, or the time is over. */
static bool wait_for(struct auth_socket *s, short events)
{
	struct pollfd polled = {.fd = s->fd, .events = events};
	int ready;

	do
		ready = poll(&polled, 1, clock_poll_timeout(s->deadline_ms));
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return fail_by_errno(s);
	return ready > 0 || fail(s, "no answer in time");
}

/* A full queue of a UNIX socket is no connection that is under way: it has to be tried again.
 */
static bool connect_in_time(struct auth_socket *s, const struct sockaddr_un *address)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

	while (connect(s->fd, (const struct sockaddr *)address, sizeof *address) != 0) {
		if (errno != EAGAIN && errno != EINTR)
			return fail_by_errno(s);
		if (clock_now_ms() >= s->deadline_ms)
			return fail(s, "it takes no connection in time");
		nanosleep(&pause, NULL);
	}
	return true;
}

bool auth_socket_open(struct auth_socket *s, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	s->problem = NULL;
	s->start = 0;
	s->end = 0;
	s->fd = -1;
	if (strlen(path) >= sizeof address.sun_path)
		return fail(s, "the path is too long for a socket");
	memcpy(address.sun_path, path, strlen(path) + 1);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return s->fd >= 0 ? connect_in_time(s, &address) : fail_by_errno(s);
}

void auth_socket_close(struct auth_socket *s)
{
	explicit_bzero(s->data, sizeof s->data);
	if (s->fd >= 0)
		close(s->fd);
}

bool auth_socket_send(struct auth_socket *s, const char *octets, size_t length)
{
	while (length > 0) {
		const ssize_t sent = send(s->fd, octets, length, MSG_NOSIGNAL);

		if (sent > 0) {
			octets += sent;
			length -= (size_t)sent;
		} else if (sent < 0 && errno == EAGAIN) {
			if (!wait_for(s, POLLOUT))
				return false;
		} else if (sent < 0 && errno != EINTR) {
			return fail_by_errno(s);
		}
	}
	return true;
}

/* Reads more octets after those that are there; makes room first. */
static bool fill(struct auth_socket *s)
{
	ssize_t got;

	memmove(s->data, s->data + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	if (s->end == sizeof s->data)
		return fail(s, "a line is too long");
	do {
		if (!wait_for(s, POLLIN))
			return false;
		got = recv(s->fd, s->data + s->end, sizeof s->data - s->end, 0);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	if (got < 0)
		return fail_by_errno(s);
	if (got == 0)
		return fail(s, "it has closed the connection");
	s->end += (size_t)got;
	return true;
}

char *auth_socket_line(struct auth_socket *s, size_t *length)
{
	size_t looked = 0;

	for (;;) {
		char *const line = s->data + s->start;
		char *const end = memchr(line + looked, '\n', s->end - s->start - looked);

		if (end != NULL) {
			*length = (size_t)(end - line);
			s->start += *length + 1;
			return line;
		}
		looked = s->end - s->start;
		if (!fill(s))
			return NULL;
	}
}
