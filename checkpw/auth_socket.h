/* auth_socket: lines to and from a socket of Dovecot, until a deadline. */
#ifndef PWAUTH_SOCKET_H
#define PWAUTH_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What version 1.2 of the protocol expects a line to fit into. */
#define AUTH_LINE_OCTETS 16384

struct auth_socket {
	int fd;
	int64_t deadline_ms; /* of clock_now_ms */
	const char *problem; /* in words, where a function has failed */
	size_t start, end;   /* what of data is not read yet */
	char data[AUTH_LINE_OCTETS];
};

/* Connects to the socket of that path. The deadline is set before. Waits where the server is
 * busy. */
bool auth_socket_open(struct auth_socket *s, const char *path);

/* Wipes what is left in data. */
void auth_socket_close(struct auth_socket *s);

/* Sends all octets. */
bool auth_socket_send(struct auth_socket *s, const char *octets, size_t length);

/* The next line without its LF, in data until the next call, which may be changed up to
 * line[length]. NULL: none came in time, the server has closed the connection, or the line is
 * longer than AUTH_LINE_OCTETS. */
char *auth_socket_line(struct auth_socket *s, size_t *length);

#endif
