/* wire: the output, byte-exact to slow readers, and bounded with clients that do not read. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>

#include "os/clock.h"
#include "tests/unit/unit_plain.h"
#include "tests/unit/unit_wire.h"

#define LONG_MS 20000
#define SHORT_MS 60

static struct wire w;
static struct link l;

static void begin(enum link_kind kind)
{
	link_open(&l, kind);
	wire_open(&w, l.in_fd, l.out_fd, WIRE_AHEAD, LONG_MS);
}

/* The destination of the octets: the wire, or memory to compare with. */
struct sink {
	char *expected; /* NULL means the wire. */
	size_t used;
	struct encoder encoder;
};

static void put_octets(struct sink *s, const char *octets, size_t length)
{
	if (s->expected == NULL)
		wire_put(&w, octets, length);
	else
		memcpy(s->expected + s->used, octets, length);
	s->used += length;
}

static void put_encoded(struct sink *s, const char *octets, size_t length)
{
	if (s->expected == NULL)
		s->used += wire_put_encoded(&w, &s->encoder, octets, length);
	else
		s->used += encode_plain(&s->encoder, octets, length, s->expected + s->used);
}

static void put_number(struct sink *s, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	if (s->expected == NULL)
		wire_puts(&w, text);
	else
		memcpy(s->expected + s->used, text, strlen(text));
	s->used += strlen(text);
}

static void put_reply(struct sink *s, uint64_t number)
{
	if (s->expected == NULL)
		wire_reply(&w, "+OK %llu octets", (unsigned long long)number);
	else
		sprintf(s->expected + s->used, "+OK %llu octets\r\n",
			(unsigned long long)number);
	s->used += (size_t)snprintf(NULL, 0, "+OK %llu octets\r\n", (unsigned long long)number);
}

/* A few megabytes of what a session might send. */
static void put_random(struct sink *s, uint64_t seed)
{
	static char octets[WIRE_CHUNK_OCTETS];
	uint64_t random = seed;

	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = "\n.abcdefgh\r"[unit_random(&random) % 11];
	for (size_t i = 0; i < 700; i++) {
		const size_t most = sizeof octets / (i % 7 + 1);
		const size_t length = 1 + unit_random(&random) % most;

		switch (unit_random(&random) % 4) {
		case 0: put_octets(s, octets, length); break;
		case 1: put_encoded(s, octets, length); break;
		case 2: put_number(s, unit_random(&random) >> i % 50); break;
		default: put_reply(s, unit_random(&random));
		}
	}
}

/* A client that reads in odd pieces, pauses now and then, and compares. */
static int read_slowly(int fd, const char *expected, size_t length)
{
	static char octets[70000];
	uint64_t random = 3;
	size_t at = 0;
	ssize_t got;

	for (;;) {
		if (unit_random(&random) % 8 == 0)
			unit_sleep_ms(1);
		got = read(fd, octets, 1 + unit_random(&random) % sizeof octets);
		if (got <= 0)
			break;
		if ((size_t)got > length - at ||
			memcmp(octets, expected + at, (size_t)got) != 0)
			return 2;
		at += (size_t)got;
	}
	return got == 0 && at == length ? 0 : 3;
}

TEST(slow_reader_gets_every_octet)
{
	const size_t room = 16 << 20;
	struct sink expected = {.expected = malloc(room)};

	assert_non_null(expected.expected);
	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		const int small = 4096;
		struct sink sent = {.expected = NULL};
		pid_t pid;

		expected.used = 0;
		expected.encoder = ENCODER_START;
		put_random(&expected, 1939 + kind);
		assert_in_range(expected.used, 4 << 20, room);
		begin(kind);
		if (kind == LINK_SOCKET)
			setsockopt(l.out_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		pid = fork();
		if (pid == 0) {
			close(l.out_fd);
			_exit(read_slowly(l.from_server, expected.expected, expected.used));
		}
		put_random(&sent, 1939 + kind);
		assert_true(wire_flush(&w));
		assert_int_equal(sent.used, expected.used);
		assert_int_equal(w.sent_octets, expected.used);
		link_close(&l);
		assert_int_equal(unit_await(pid), 0);
	}
	free(expected.expected);
}

/* The wire does not change the descriptors' flags, because other processes share them. */
TEST(descriptors_are_not_made_non_blocking)
{
	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		begin(kind);
		wire_puts(&w, "+OK\r\n");
		assert_true(wire_flush(&w));
		assert_int_equal(fcntl(l.out_fd, F_GETFL) & O_NONBLOCK, 0);
		assert_int_equal(fcntl(l.in_fd, F_GETFL) & O_NONBLOCK, 0);
		link_close(&l);
	}
}

static void everything_is_over(enum wire_end end)
{
	struct span line;
	struct encoder e = ENCODER_START;

	assert_int_equal(w.end, end);
	wire_puts(&w, "more");
	wire_reply(&w, "+OK");
	assert_int_equal(wire_put_encoded(&w, &e, "more", 4), 0);
	assert_false(wire_flush(&w));
	assert_int_equal(wire_read_line(&w, &line), WIRE_NO_LINE);
	assert_int_equal(w.end, end);
}

/* With SIGPIPE in its default action, which a socket must not trigger. */
static int write_to_closed_socket(void)
{
	signal(SIGPIPE, SIG_DFL);
	link_close_client(&l);
	wire_puts(&w, "+OK\r\n");
	if (wire_flush(&w))
		return 1;
	return w.end == WIRE_BROKEN && w.error_number == EPIPE ? 0 : 2;
}

TEST(reader_gone_breaks_a_socket_without_a_signal)
{
	begin(LINK_SOCKET);
	assert_int_equal(unit_in_child(write_to_closed_socket),
		1); /* This process holds the client's end as well. */
	link_close_client(&l);
	assert_int_equal(unit_in_child(write_to_closed_socket), 0);
	link_close(&l);
}

TEST(reader_gone_breaks_the_wire)
{
	signal(SIGPIPE, SIG_IGN);
	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		begin(kind);
		link_close_client(&l);
		wire_puts(&w, "+OK\r\n");
		assert_false(wire_flush(&w));
		assert_int_equal(w.error_number, EPIPE);
		assert_int_equal(w.sent_octets, 0);
		everything_is_over(WIRE_BROKEN);
		link_close(&l);
	}
	signal(SIGPIPE, SIG_DFL);
}

TEST(reader_that_goes_in_the_middle_breaks_the_wire)
{
	static char octets[WIRE_CHUNK_OCTETS];

	signal(SIGPIPE, SIG_IGN);
	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		const pid_t pid = (begin(kind), fork());

		if (pid == 0) {
			for (size_t got = 0; got < 3 * sizeof octets;)
				got += (size_t)read(l.from_server, octets, sizeof octets);
			_exit(0);
		}
		link_close_client(&l);
		for (int i = 0; i < 100; i++)
			wire_put(&w, octets, sizeof octets);
		everything_is_over(WIRE_BROKEN);
		assert_true(w.sent_octets >= 3 * sizeof octets);
		assert_int_equal(unit_await(pid), 0);
		link_close(&l);
	}
	signal(SIGPIPE, SIG_DFL);
}

static void stalls(enum link_kind kind, int64_t idle_ms, int64_t deadline_ms)
{
	static char octets[WIRE_CHUNK_OCTETS];
	const int64_t start_ms = unit_now_ms();

	begin(kind);
	w.idle_ms = idle_ms;
	w.deadline_ms = deadline_ms;
	for (int i = 0; i < 100 && w.end == WIRE_OPEN; i++)
		wire_put(&w, octets, sizeof octets);
	assert_in_range(unit_now_ms() - start_ms, SHORT_MS - 5, SHORT_MS + 3000);
	everything_is_over(WIRE_TIMEOUT);
	link_close(&l);
}

TEST(reader_that_stalls_times_out)
{
	stalls(LINK_SOCKET, SHORT_MS, -1);
	stalls(LINK_PIPES, SHORT_MS, -1);
}

TEST(deadline_ends_a_stalled_write)
{
	stalls(LINK_SOCKET, LONG_MS, clock_now_ms() + SHORT_MS);
	stalls(LINK_PIPES, LONG_MS, clock_now_ms() + SHORT_MS);
}

/* One flush takes longer than the idle time, but each piece of it is faster. */
TEST(reader_that_goes_on_reading_does_not_time_out)
{
	static char octets[2 * WIRE_OUTPUT_OCTETS];

	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		const int small = 4096;
		const pid_t pid = (begin(kind), fork());
		int64_t start_ms;

		if (pid == 0) {
			close(l.out_fd);
			do
				unit_sleep_ms(25);
			while (read(l.from_server, octets, 8192) > 0);
			_exit(0);
		}
		if (kind == LINK_SOCKET)
			setsockopt(l.out_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		w.idle_ms = 250;
		wire_put(&w, octets, sizeof octets);
		start_ms = unit_now_ms();
		assert_true(wire_flush(&w));
		assert_true(unit_now_ms() - start_ms > 300);
		kill(pid, SIGKILL);
		unit_await(pid);
		link_close(&l);
	}
}

TEST(hang_up_of_the_watched_socket_ends_a_stalled_write)
{
	static char octets[WIRE_CHUNK_OCTETS];

	for (enum link_kind kind = LINK_SOCKET; kind < LINK_KINDS; kind++) {
		int watch[2];

		begin(kind);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, watch), 0);
		w.watch_fd = watch[0];
		close(watch[1]);
		for (int i = 0; i < 100 && w.end == WIRE_OPEN; i++)
			wire_put(&w, octets, sizeof octets);
		everything_is_over(WIRE_ORPHAN);
		close(watch[0]);
		link_close(&l);
	}
}

TEST(reply_has_at_most_512_octets)
{
	char text[700], expected[WIRE_REPLY_OCTETS + 1], got[1024];

	memset(text, 'x', sizeof text);
	for (size_t length = 505; length < 520; length++) {
		const size_t kept = length > 510 ? 510 : length;

		begin(LINK_SOCKET);
		wire_reply(&w, "%.*s", (int)length, text);
		assert_true(wire_flush(&w));
		snprintf(expected, sizeof expected, "%.*s\r\n", (int)kept, text);
		assert_text(expected, got, link_hear(l.from_server, got, sizeof got));
		assert_int_equal(w.sent_octets, kept + 2);
		link_close(&l);
	}
}

TEST(reply_is_a_line_and_its_crlf)
{
	begin(LINK_SOCKET);
	wire_reply(&w, "+OK %d %s", 7, "100%d");
	wire_reply(&w, "%s", "");
	assert_true(wire_flush(&w));
	assert_heard(l.from_server, "+OK 7 100%d\r\n\r\n");
	link_close(&l);
}

TEST(nothing_is_sent_before_the_buffer_is_full_or_flushed)
{
	static char octets[WIRE_OUTPUT_OCTETS];

	begin(LINK_SOCKET);
	wire_put(&w, octets, sizeof octets);
	assert_int_equal(w.sent_octets, 0);
	assert_heard(l.from_server, "");
	link_close(&l);
}

TEST(output_that_fills_the_buffer_to_the_last_octet_is_exact)
{
	const size_t room = 3 * WIRE_OUTPUT_OCTETS;
	char *const expected = malloc(room);

	assert_non_null(expected);
	for (size_t less = 0; less < 3; less++) {
		const size_t length = WIRE_OUTPUT_OCTETS - less;
		struct encoder e = ENCODER_START;
		pid_t pid;

		begin(LINK_SOCKET);
		memset(expected, 'a', length);
		memcpy(expected + length, "bc\r\n..\r\n", 8);
		pid = fork();
		if (pid == 0) {
			close(l.out_fd);
			_exit(read_slowly(l.from_server, expected, length + 8));
		}
		wire_put(&w, expected, length);
		wire_put(&w, "b", 1);
		wire_puts(&w, "");
		wire_reply(&w, "c");
		assert_int_equal(wire_put_encoded(&w, &e, ".\n", 2), 4);
		assert_true(wire_flush(&w));
		link_close(&l);
		assert_int_equal(unit_await(pid), 0);
	}
	free(expected);
}

TEST(flush_of_nothing_is_good)
{
	begin(LINK_PIPES);
	assert_true(wire_flush(&w));
	wire_put(&w, "", 0);
	assert_true(wire_flush(&w));
	assert_int_equal(w.sent_octets, 0);
	link_close(&l);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(slow_reader_gets_every_octet),
	cmocka_unit_test(descriptors_are_not_made_non_blocking),
	cmocka_unit_test(reader_gone_breaks_a_socket_without_a_signal),
	cmocka_unit_test(reader_gone_breaks_the_wire),
	cmocka_unit_test(reader_that_goes_in_the_middle_breaks_the_wire),
	cmocka_unit_test(reader_that_stalls_times_out),
	cmocka_unit_test(deadline_ends_a_stalled_write),
	cmocka_unit_test(reader_that_goes_on_reading_does_not_time_out),
	cmocka_unit_test(hang_up_of_the_watched_socket_ends_a_stalled_write),
	cmocka_unit_test(reply_has_at_most_512_octets),
	cmocka_unit_test(reply_is_a_line_and_its_crlf),
	cmocka_unit_test(nothing_is_sent_before_the_buffer_is_full_or_flushed),
	cmocka_unit_test(output_that_fills_the_buffer_to_the_last_octet_is_exact),
	cmocka_unit_test(flush_of_nothing_is_good),
};

int main(void)
{
	return UNIT_RUN("wire_output", tests);
}
