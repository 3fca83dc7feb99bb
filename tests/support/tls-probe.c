/* tls-probe: pop3d-tls after a break-in. It is all of pop3d-tls, linked with
 * --wrap=tls_handshake, so that the engine does what an attacker wishes, in its own sandbox
 * and with the key of the server still in its memory. Instead of TLS it sends "+OK" in clear,
 * and makes the attempt that the line "TRY NAME" names. A process that survives answers "+OK
 * works" or "+OK errno N". */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "os/wait.h"
#include "tests/support/attempts.h"
#include "tls/tls.h"

static void say(const char *line)
{
	send(1, line, strlen(line), MSG_NOSIGNAL);
}

/* The next line without its end; 0 at the end of the connection. */
static size_t read_line(char *line, size_t capacity, int64_t deadline_ms)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	size_t length = 0;

	while (length < capacity && wait_until_ready(&in, 1, deadline_ms) &&
		recv(0, line + length, 1, 0) == 1) {
		if (line[length] == '\r')
			return length;
		if (line[length] != '\n')
			length++;
	}
	return 0;
}

__typeof__(tls_handshake) __wrap_tls_handshake;

enum tls_verdict __wrap_tls_handshake(
	struct tls *t, int64_t deadline_ms, char *reason, size_t capacity)
{
	static const char try[] = "TRY ";
	const size_t octets = sizeof try - 1;
	char line[64];
	size_t length;

	(void)t;
	say("+OK\r\n");
	while ((length = read_line(line, sizeof line, deadline_ms)) > octets) {
		const struct attempt *const a = attempt_find(line + octets, length - octets);
		const int error_number = a != NULL ? attempt_make(a) : ENOSYS;

		snprintf(line, sizeof line,
			error_number == 0 ? "+OK works\r\n" : "+OK errno %d\r\n", error_number);
		say(line);
	}
	snprintf(reason, capacity, "probe");
	return TLS_REFUSED;
}
