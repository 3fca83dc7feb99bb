/* engine: see engine.h.
 *
 * Two independent streams: "down" from the program to the client, "up" from the client to the
 * program. Each has one buffer, and moves when its buffer can be emptied. */
#include "tls/engine.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/parting.h"
#include "os/wait.h"

#define DOWN_OCTETS 65536
#define UP_OCTETS 16384
#define RECORD_OCTETS 16384

#define STALL_MS (600 * 1000) /* the time that a session may be idle, RFC 1939 section 3 */
#define FAREWELL_MS 200
/* the octets that a program may write without a client before its channel is closed */
#define UNHEARD_OCTETS (1 << 20)

/* Messages without data that a client may send: so many, and one more for each so many octets
 * moved. */
#define LATE_MESSAGES 32
#define OCTETS_A_LATE_MESSAGE (16 << 20)

struct stream {
	size_t start, end; /* the part of the buffer in use */
	bool finished;     /* no more octets will come, and the buffer is empty */
	bool wants_write;  /* up: the library must write before it can read on */
};

struct engine {
	struct tls *tls;
	int channel;
	enum engine_end end;
	bool client_gone; /* nobody reads the program's output any more */
	size_t unheard_octets;
	struct stream down, up;
	int64_t stalled_ms; /* since when the client has not read, or -1 */
	uint64_t moved_octets;
	char down_octets[DOWN_OCTETS], up_octets[UP_OCTETS];
};

static bool holds_octets(const struct stream *s)
{
	return s->start < s->end;
}

/* Lets the program read an end of file after the octets that it was sent. */
static void end_up(struct engine *e)
{
	if (e->up.finished)
		return;
	e->up.finished = true;
	shutdown(e->channel, SHUT_WR);
}

/* Whether the program ends now by itself. Then the client has not broken off: many clients
 * leave after the reply to QUIT without close_notify. */
static bool program_ends_anyway(const struct engine *e)
{
	struct pollfd polled = {.fd = e->channel};

	return e->down.finished ||
	       (wait_until_ready(&polled, 1, clock_now_ms() + FAREWELL_MS) &&
		       polled.revents != 0);
}

/* Handles the end of the client. If the client broke off, the program may finish a small amount
 * of work; in all other cases its channel is closed. */
static void lose_client(struct engine *e, enum engine_end end)
{
	if (e->client_gone)
		return;
	e->client_gone = true;
	e->down.start = e->down.end = 0;
	e->stalled_ms = -1;
	if (end != ENGINE_TRUNCATED || !program_ends_anyway(e))
		e->end = end;
	end_up(e);
	if (end != ENGINE_TRUNCATED)
		e->down.finished = true;
}

/* How the connection ended, when the library reports something other than a lack of data. */
static enum engine_end end_of(int ssl_error)
{
	const unsigned long code = ERR_peek_error();

	if (ssl_error == SSL_ERROR_SYSCALL ||
		(ERR_GET_LIB(code) == ERR_LIB_SSL &&
			ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
		return ENGINE_TRUNCATED;
	return ENGINE_BROKEN;
}

static bool is_abused(const struct engine *e)
{
	return e->tls->late_messages > LATE_MESSAGES + e->moved_octets / OCTETS_A_LATE_MESSAGE;
}

/* Receives one piece from the client. Returns whether there was one. */
static bool receive_from_client(struct engine *e)
{
	int got, ssl_error;

	ERR_clear_error();
	got = SSL_read(e->tls->ssl, e->up_octets, sizeof e->up_octets);
	e->up.wants_write = false;
	if (got > 0) {
		e->up.start = 0;
		e->up.end = (size_t)got;
		e->moved_octets += (uint64_t)got;
		return true;
	}
	ssl_error = SSL_get_error(e->tls->ssl, got);
	if (is_abused(e))
		lose_client(e, ENGINE_ABUSED);
	else if (ssl_error == SSL_ERROR_ZERO_RETURN)
		end_up(e);
	else if (ssl_error == SSL_ERROR_WANT_WRITE)
		e->up.wants_write = true;
	else if (ssl_error != SSL_ERROR_WANT_READ)
		lose_client(e, end_of(ssl_error));
	return false;
}

/* Sends the received octets to the program. Returns whether all of them went. */
static bool deliver_to_program(struct engine *e)
{
	const ssize_t sent = send(e->channel, e->up_octets + e->up.start,
		e->up.end - e->up.start, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent > 0) {
		/* a password may be in it */
		explicit_bzero(e->up_octets + e->up.start, (size_t)sent);
		e->up.start += (size_t)sent;
	} else if (errno != EAGAIN && errno != EINTR)
		end_up(e); /* the program has closed its side */
	return !holds_octets(&e->up);
}

/* Only one round, so that a client that sends without a pause does not delay the other stream.
 */
static void move_up(struct engine *e)
{
	if (e->up.finished || (holds_octets(&e->up) && !deliver_to_program(e)))
		return;
	if (receive_from_client(e))
		deliver_to_program(e);
}

static void fetch_from_program(struct engine *e)
{
	const ssize_t got =
		recv(e->channel, e->down_octets, sizeof e->down_octets, MSG_DONTWAIT);

	if (got > 0) {
		e->down.start = 0;
		e->down.end = (size_t)got;
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		e->down.finished = true;
	}
}

/* Encrypts one record. Returns whether there was room for it. */
static bool send_record(struct engine *e)
{
	const size_t held = e->down.end - e->down.start;
	const int length = (int)(held < RECORD_OCTETS ? held : RECORD_OCTETS);
	int sent, ssl_error;

	ERR_clear_error();
	sent = SSL_write(e->tls->ssl, e->down_octets + e->down.start, length);
	if (sent > 0) {
		e->down.start += (size_t)sent;
		e->moved_octets += (uint64_t)sent;
		return true;
	}
	ssl_error = SSL_get_error(e->tls->ssl, sent);
	if (ssl_error != SSL_ERROR_WANT_WRITE && ssl_error != SSL_ERROR_WANT_READ)
		lose_client(e, end_of(ssl_error));
	return false;
}

/* Whether encrypted records wait to be sent. */
static bool has_gathered(const struct engine *e)
{
	return !e->client_gone && BIO_wpending(SSL_get_wbio(e->tls->ssl)) > 0;
}

static void flush_records(struct engine *e)
{
	BIO *const records = SSL_get_wbio(e->tls->ssl);

	if (has_gathered(e) && BIO_flush(records) <= 0 && !BIO_should_retry(records))
		lose_client(e, ENGINE_TRUNCATED);
}

static void move_down(struct engine *e)
{
	if (!holds_octets(&e->down) && !has_gathered(e) && !e->down.finished)
		fetch_from_program(e);
	if (e->client_gone) {
		e->unheard_octets += e->down.end - e->down.start;
		e->down.start = e->down.end = 0;
		e->down.finished |= e->unheard_octets > UNHEARD_OCTETS;
	}
	while (holds_octets(&e->down) && send_record(e))
		;
	flush_records(e);
	if (!holds_octets(&e->down) && !has_gathered(e))
		e->stalled_ms = -1;
	else if (e->stalled_ms < 0)
		e->stalled_ms = clock_now_ms();
}

enum { POLL_CLIENT_IN, POLL_CLIENT_OUT, POLL_CHANNEL, POLL_COUNT };

/* Sets what each descriptor is polled for. A descriptor that is needed for nothing is not
 * polled, since poll would report a hang-up again and again. */
static void set_polled(const struct engine *e, struct pollfd *polled)
{
	const bool receives = !e->up.finished && !holds_octets(&e->up);
	const bool sending = holds_octets(&e->down) || has_gathered(e);
	const bool sends = sending || (receives && e->up.wants_write);
	short channel = 0;

	if (!e->down.finished && !sending)
		channel |= POLLIN;
	if (!e->up.finished && holds_octets(&e->up))
		channel |= POLLOUT;
	polled[POLL_CLIENT_IN] = (struct pollfd){receives ? 0 : -1, POLLIN, 0};
	polled[POLL_CLIENT_OUT] = (struct pollfd){sends ? 1 : -1, POLLOUT, 0};
	polled[POLL_CHANNEL] = (struct pollfd){channel != 0 ? e->channel : -1, channel, 0};
}

static void move_streams(struct engine *e)
{
	struct pollfd polled[POLL_COUNT];
	short channel;

	set_polled(e, polled);
	if (!wait_until_ready(
		    polled, POLL_COUNT, e->stalled_ms < 0 ? -1 : e->stalled_ms + STALL_MS)) {
		lose_client(e, ENGINE_STALLED);
		return;
	}
	channel = polled[POLL_CHANNEL].revents;
	if (polled[POLL_CLIENT_OUT].revents != 0)
		e->stalled_ms = -1; /* the client has read something */
	if (polled[POLL_CLIENT_IN].revents != 0 || (channel & ~POLLIN) != 0 ||
		(e->up.wants_write && polled[POLL_CLIENT_OUT].revents != 0))
		move_up(e);
	if (polled[POLL_CLIENT_OUT].revents != 0 || (channel & ~POLLOUT) != 0)
		move_down(e);
}

/* Ends TLS and then TCP towards the client, and waits a short time for the client's end. */
static void part_from_client(struct engine *e)
{
	const int64_t deadline_ms = clock_now_ms() + PARTING_MS;
	struct pollfd out = {.fd = 1, .events = POLLOUT};

	SSL_shutdown(e->tls->ssl);
	for (flush_records(e); has_gathered(e); flush_records(e))
		if (!wait_until_ready(&out, 1, deadline_ms))
			return;
	parting_await_client(deadline_ms);
}

enum engine_end engine_run(struct tls *t, int channel)
{
	/* static: zero at the start, and the pages of its buffers cost nothing until they are
	 * used */
	static struct engine e;

	e.tls = t;
	e.channel = channel;
	e.stalled_ms = -1;
	while (!e.down.finished || holds_octets(&e.down) || has_gathered(&e))
		move_streams(&e);
	if (!e.client_gone)
		part_from_client(&e);
	close(channel);
	return e.end;
}
