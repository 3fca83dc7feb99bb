/* unit_wire: a conversation between a test, which is the client, and a wire. */
#ifndef UNIT_WIRE_H
#define UNIT_WIRE_H

#include "tests/unit/unit.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "pop3/wire.h"

enum link_kind { LINK_SOCKET, LINK_PIPES, LINK_KINDS };

/* The descriptors of the client and of the server. On a socket the two of a side are equal. */
struct link {
	enum link_kind kind;
	int to_server, from_server;
	int in_fd, out_fd;
};

static inline void link_open(struct link *l, enum link_kind kind)
{
	int in[2], out[2];

	l->kind = kind;
	if (kind == LINK_SOCKET) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
		*l = (struct link){kind, in[0], in[0], in[1], in[1]};
		return;
	}
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	*l = (struct link){kind, in[1], out[0], in[0], out[1]};
}

static inline void link_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The client closes its sending direction only. */
static inline void link_half_close(struct link *l)
{
	if (l->kind == LINK_SOCKET)
		assert_int_equal(shutdown(l->to_server, SHUT_WR), 0);
	else
		link_shut(&l->to_server);
}

static inline void link_close_client(struct link *l)
{
	if (l->from_server == l->to_server)
		l->from_server = -1;
	link_shut(&l->to_server);
	link_shut(&l->from_server);
}

static inline void link_close(struct link *l)
{
	link_close_client(l);
	if (l->out_fd == l->in_fd)
		l->out_fd = -1;
	link_shut(&l->in_fd);
	link_shut(&l->out_fd);
}

/* The client sends octets. The kernel's buffer must have room for them. */
static inline void link_say(const struct link *l, const char *octets, size_t length)
{
	assert_int_equal(write(l->to_server, octets, length), length);
}

/* Reads the octets that have arrived, without waiting. */
static inline size_t link_hear(int fd, char *octets, size_t room)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	size_t used = 0;

	while (used < room && poll(&polled, 1, 0) == 1) {
		const ssize_t length = read(fd, octets + used, room - used);

		if (length <= 0)
			break;
		used += (size_t)length;
	}
	return used;
}

#define assert_heard(fd, expected)                                                             \
	do {                                                                                   \
		char heard[4096];                                                              \
		const size_t heard_octets = link_hear(fd, heard, sizeof heard);                \
                                                                                               \
		assert_text(expected, heard, heard_octets);                                    \
	} while (0)

/* A client in a process of its own that sends octets, in pieces of at most the given length.
 * It sends each piece after the server has taken all previous ones. */
static inline pid_t link_trickle(
	const struct link *l, const char *octets, size_t length, size_t piece_octets)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	while (length > 0) {
		const size_t piece = length < piece_octets ? length : piece_octets;
		int waiting;

		if (write(l->to_server, octets, piece) != (ssize_t)piece)
			_exit(1);
		while (ioctl(l->in_fd, FIONREAD, &waiting) == 0 && waiting > 0)
			sched_yield();
		octets += piece;
		length -= piece;
	}
	_exit(0);
}

#endif
