/* wire: see wire.h. */
#include "pop3/wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/number.h"
#include "os/clock.h"
#include "os/log.h"

#define DISCARD_READS 64

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void wire_open(struct wire *w, int in_fd, int out_fd, enum wire_intake intake, int64_t idle_ms)
{
	w->in_fd = in_fd;
	w->out_fd = out_fd;
	w->watch_fd = -1;
	w->in_is_socket = is_socket(in_fd);
	w->out_is_socket = is_socket(out_fd);
	w->intake = intake;
	w->line_octets = WIRE_COMMAND_OCTETS;
	w->idle_ms = idle_ms;
	w->deadline_ms = -1;
	w->language = LANGUAGE_ENGLISH;
	w->end = WIRE_OPEN;
	w->error_number = 0;
	w->sent_octets = 0;
	w->in_start = w->in_end = w->out_length = 0;
}

static void end_conversation(struct wire *w, enum wire_end end, int error_number)
{
	if (w->end != WIRE_OPEN)
		return;
	w->end = end;
	w->error_number = error_number;
}

static bool would_block(int error_number)
{
	return error_number == EAGAIN || error_number == EWOULDBLOCK;
}

/* The earlier of the idle deadline, which began at since_ms, and the absolute one. */
static int64_t earlier_deadline(const struct wire *w, int64_t since_ms)
{
	const int64_t idle_deadline_ms = since_ms + w->idle_ms;

	if (w->deadline_ms >= 0 && w->deadline_ms < idle_deadline_ms)
		return w->deadline_ms;
	return idle_deadline_ms;
}

/* Waits until fd is ready for events; false if the conversation is over. */
static bool wait_ready(struct wire *w, int fd, short events, int64_t deadline_ms)
{
	struct pollfd polled[2] = {{.fd = fd, .events = events}, {.fd = w->watch_fd}};

	for (;;) {
		const int ready = poll(polled, 2, clock_poll_timeout(deadline_ms));

		if (ready < 0 && errno != EINTR)
			end_conversation(w, WIRE_BROKEN, errno);
		else if (ready == 0)
			end_conversation(w, WIRE_TIMEOUT, 0);
		else if (ready > 0 && (polled[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			end_conversation(w, WIRE_ORPHAN, 0);
		else if (ready > 0 && polled[0].revents != 0)
			return true;
		if (w->end != WIRE_OPEN)
			return false;
	}
}

/* Sends some of the octets, or nothing if that would block. A pipe that poll calls writable
 * takes PIPE_BUF octets without blocking. So only sockets are written to without blocking:
 * O_NONBLOCK would change a pipe for every process that shares it. */
static ssize_t send_some(struct wire *w, const char *octets, size_t length)
{
	if (w->out_is_socket)
		return send(w->out_fd, octets, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(w->out_fd, octets, length < PIPE_BUF ? length : PIPE_BUF);
}

bool wire_flush(struct wire *w)
{
	size_t done = 0;
	bool may_block = !w->out_is_socket;
	int64_t since_ms = -1;

	while (done < w->out_length && w->end == WIRE_OPEN) {
		ssize_t sent;

		if (may_block) {
			if (since_ms < 0)
				since_ms = clock_now_ms();
			if (!wait_ready(w, w->out_fd, POLLOUT, earlier_deadline(w, since_ms)))
				break;
		}
		sent = send_some(w, w->out + done, w->out_length - done);
		if (sent > 0) {
			done += (size_t)sent;
			w->sent_octets += (uint64_t)sent;
			since_ms = -1;
		} else if (sent < 0 && errno != EINTR && !would_block(errno)) {
			end_conversation(w, WIRE_BROKEN, errno);
		}
		may_block = !w->out_is_socket || sent <= 0;
	}
	w->out_length = 0;
	return w->end == WIRE_OPEN;
}

void wire_put(struct wire *w, const char *octets, size_t length)
{
	while (length > 0 && w->end == WIRE_OPEN) {
		const size_t room = sizeof w->out - w->out_length;
		const size_t piece = length < room ? length : room;

		memcpy(w->out + w->out_length, octets, piece);
		w->out_length += piece;
		octets += piece;
		length -= piece;
		if (length > 0)
			wire_flush(w);
	}
}

void wire_puts(struct wire *w, const char *text)
{
	wire_put(w, text, strlen(text));
}

void wire_reply(struct wire *w, const char *format, ...)
{
	char line[WIRE_REPLY_OCTETS - 1]; /* CRLF follows; the terminator is not sent */
	char shown[2 * WIRE_REPLY_OCTETS];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (length > 0 && log_shows_debug())
		log_event(LOG_DEBUG, "protocol server=%s",
			log_quote(shown, sizeof shown, line, strlen(line)));
	if (length > 0)
		wire_put(w, line,
			(size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
	wire_put(w, "\r\n", 2);
}

size_t wire_put_encoded(struct wire *w, struct encoder *e, const char *octets, size_t length)
{
	size_t encoded;

	if (sizeof w->out - w->out_length < 2 * length + ENCODE_SLACK)
		wire_flush(w);
	if (w->end != WIRE_OPEN)
		return 0;
	encoded = encode(e, octets, length, w->out + w->out_length);
	w->out_length += encoded;
	return encoded;
}

void wire_forget_input(struct wire *w)
{
	explicit_bzero(w->in, w->in_start);
}

/* Reads up to room octets, and none after the next LF. In a socket MSG_PEEK finds the LF first;
 * octets after it are wiped from the buffer, since they may be a password that nobody asked for
 * yet. Other files are read octet by octet. */
static ssize_t read_exact(const struct wire *w, char *buffer, size_t room)
{
	const char *feed;
	ssize_t seen;
	size_t taken;

	if (!w->in_is_socket)
		return read(w->in_fd, buffer, 1);
	seen = recv(w->in_fd, buffer, room, MSG_PEEK | MSG_DONTWAIT);
	if (seen <= 0)
		return seen;
	feed = memchr(buffer, '\n', (size_t)seen);
	taken = feed != NULL ? (size_t)(feed - buffer) + 1 : (size_t)seen;
	explicit_bzero(buffer + taken, (size_t)seen - taken);
	return recv(w->in_fd, buffer, taken, MSG_DONTWAIT);
}

static ssize_t read_input(struct wire *w, size_t room)
{
	char *const buffer = w->in + w->in_end;

	if (w->intake == WIRE_EXACT)
		return read_exact(w, buffer, room);
	if (w->in_is_socket)
		return recv(w->in_fd, buffer, room, MSG_DONTWAIT);
	return read(w->in_fd, buffer, room);
}

/* Whether input can be read before the output is sent without blocking. */
static bool input_waits(const struct wire *w)
{
	struct pollfd polled = {.fd = w->in_fd, .events = POLLIN};

	return w->in_is_socket || poll(&polled, 1, 0) == 1;
}

/* A client that sends without a pause never lets this process wait in poll. The deadline
 * applies to it as well. */
static bool is_in_time(struct wire *w, int64_t since_ms)
{
	int64_t now_ms;

	if (since_ms < 0 && w->deadline_ms < 0)
		return true;
	now_ms = clock_now_ms();
	if (now_ms < earlier_deadline(w, since_ms >= 0 ? since_ms : now_ms))
		return true;
	end_conversation(w, WIRE_TIMEOUT, 0);
	return false;
}

/* Gets at least one more octet of input; false if the conversation is over. */
static bool receive_input(struct wire *w, int64_t *since_ms)
{
	bool ready = w->out_length > 0 && input_waits(w);

	while (is_in_time(w, *since_ms)) {
		ssize_t octets = -1;
		int error_number = EAGAIN;

		if (ready) {
			octets = read_input(w, sizeof w->in - w->in_end);
			error_number = errno;
		}
		if (octets > 0) {
			w->has_input = true;
			w->in_end += (size_t)octets;
			return true;
		}
		if (octets < 0 && !would_block(error_number) && error_number != EINTR)
			end_conversation(w, WIRE_BROKEN, error_number);
		if (!wire_flush(w))
			return false;
		if (octets == 0) {
			/* wire_flush has sent the replies: the client may only have half closed
			 */
			end_conversation(w, WIRE_EOF, 0);
			return false;
		}
		if (*since_ms < 0)
			*since_ms = clock_now_ms();
		if (!wait_ready(w, w->in_fd, POLLIN, earlier_deadline(w, *since_ms)))
			return false;
		ready = true;
	}
	return false;
}

static void compact_input(struct wire *w)
{
	const size_t kept = w->in_end - w->in_start;

	memmove(w->in, w->in + w->in_start, kept);
	explicit_bzero(w->in + kept, w->in_end - kept);
	w->in_start = 0;
	w->in_end = kept;
}

void wire_switch(struct wire *w, int in_fd, int out_fd)
{
	w->in_fd = in_fd;
	w->out_fd = out_fd;
	w->in_is_socket = is_socket(in_fd);
	w->out_is_socket = is_socket(out_fd);
	explicit_bzero(w->in, sizeof w->in);
	w->in_start = w->in_end = w->out_length = 0;
}

bool wire_discard_input(struct wire *w)
{
	struct pollfd polled = {.fd = w->in_fd, .events = POLLIN};

	for (int i = 0; i < DISCARD_READS && poll(&polled, 1, 0) == 1; i++) {
		const ssize_t octets = read(w->in_fd, w->in, sizeof w->in);

		if (octets == 0)
			end_conversation(w, WIRE_EOF, 0);
		else if (octets < 0 && errno != EINTR && !would_block(errno))
			end_conversation(w, WIRE_BROKEN, errno);
		if (w->end != WIRE_OPEN)
			return false;
	}
	w->in_start = w->in_end = 0;
	return poll(&polled, 1, 0) == 0;
}

static enum wire_line check_line(
	const struct wire *w, struct span *line, const char *start, size_t length)
{
	if (length > w->line_octets)
		return WIRE_LINE_TOO_LONG;
	line->octets = start;
	line->length = length - 1;
	if (line->length > 0 && start[line->length - 1] == '\r')
		line->length--;
	if (memchr(start, '\0', line->length) != NULL)
		return WIRE_LINE_HAS_NUL;
	return WIRE_LINE;
}

enum wire_line wire_read_line(struct wire *w, struct span *line)
{
	bool skipping = false;
	int64_t since_ms = -1;
	size_t searched = 0;

	while (w->end == WIRE_OPEN) {
		const char *const start = w->in + w->in_start;
		const size_t held = w->in_end - w->in_start;
		const char *const feed = memchr(start + searched, '\n', held - searched);

		if (feed != NULL) {
			const size_t length = (size_t)(feed - start) + 1;

			w->in_start += length;
			return skipping ? WIRE_LINE_TOO_LONG
					: check_line(w, line, start, length);
		}
		searched = held;
		if (skipping || held >= w->line_octets) {
			skipping = true;
			if (since_ms < 0)
				since_ms = clock_now_ms();
			explicit_bzero(w->in, w->in_end);
			w->in_start = w->in_end = searched = 0;
		} else if (sizeof w->in - w->in_start < w->line_octets + 1 ||
			   w->in_start == w->in_end) {
			compact_input(w);
		}
		receive_input(w, &since_ms);
	}
	return WIRE_NO_LINE;
}
