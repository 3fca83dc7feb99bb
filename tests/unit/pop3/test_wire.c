/* wire: the lines that come in (RFC 1939 section 3, RFC 2449 section 4). */
#include "tests/unit/unit.h"

#include <errno.h>

#include "tests/unit/unit_lines.h"

TEST(line_ends_in_lf_or_crlf)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		SAY("NOOP\r\nSTAT\n\n\r\nUSER a b \r\nx\ry\r\r\n");
		reads_line("NOOP");
		reads_line("STAT");
		reads_line("");
		reads_line("");
		reads_line("USER a b ");
		reads_line("x\ry\r");
		link_close(&l);
	}
}

TEST(exact_intake_leaves_the_rest_in_the_descriptor)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (ways[i].intake != WIRE_EXACT)
			continue;
		begin(&ways[i]);
		SAY("USER a\r\nPASS b\nSTAT\r\nQUIT\r\n");
		reads_line("USER a");
		reads_line("PASS b");
		assert_heard(l.in_fd, "STAT\r\nQUIT\r\n");
		SAY("\nrest");
		reads_line("");
		assert_heard(l.in_fd, "rest");
		link_close(&l);
	}
}

TEST(exact_intake_leaves_the_rest_after_a_line_too_long)
{
	char octets[9000];

	memset(octets, 'x', sizeof octets);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (ways[i].intake != WIRE_EXACT)
			continue;
		for (size_t length = 250; length < sizeof octets; length += 1249) {
			begin(&ways[i]);
			link_say(&l, octets, length);
			SAY("12345\nSTAT\r\n");
			reads(WIRE_LINE_TOO_LONG);
			assert_heard(l.in_fd, "STAT\r\n");
			link_close(&l);
		}
	}
}

/* A line of so many octets, including its line end. */
static void line_of(size_t octets, const char *line_end, size_t piece_octets)
{
	const size_t text = octets - strlen(line_end);
	char line[300];
	struct span got = {NULL, 0};
	enum wire_line found;
	pid_t pid;

	for (size_t i = 0; i < text; i++)
		line[i] = (char)('a' + i % 26);
	snprintf(line + text, sizeof line - text, "%sNEXT\r\n", line_end);
	pid = link_trickle(&l, line, octets + 6, piece_octets);
	found = wire_read_line(&w, &got);
	if (octets > WIRE_COMMAND_OCTETS) {
		assert_int_equal(found, WIRE_LINE_TOO_LONG);
	} else {
		assert_int_equal(found, WIRE_LINE);
		assert_octets(line, octets, line, text, got.octets, got.length);
	}
	reads_line("NEXT");
	assert_int_equal(unit_await(pid), 0);
}

TEST(command_line_has_at_most_255_octets_with_its_end)
{
	static const size_t pieces[] = {1, 2, 127, 254, 255, 256, 4096};

	for (size_t i = 0; i < COUNT_OF(ways); i++)
		for (size_t piece = 0; piece < COUNT_OF(pieces); piece++) {
			begin(&ways[i]);
			for (size_t octets = 252; octets <= 258; octets++) {
				line_of(octets, "\r\n", pieces[piece]);
				line_of(octets, "\n", pieces[piece]);
			}
			link_close(&l);
		}
}

TEST(nul_in_a_line_is_told)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		SAY("ST\0AT\r\n\0\nNOOP\0\r\nNOOP\r\0\n\0NOOP\nSTAT\n");
		for (int n = 0; n < 5; n++)
			reads(WIRE_LINE_HAS_NUL);
		reads_line("STAT");
		link_close(&l);
	}
}

TEST(line_of_ten_million_octets_is_one_error_and_costs_no_memory)
{
	const size_t length = 10000000;
	char *const octets = malloc(length + 7);
	struct rusage before, after;

	assert_non_null(octets);
	memset(octets, '\0', length);
	memcpy(octets + length, "\nNOOP\r\n", 7);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		/* Octet by octet the result is the same, but takes longer. */
		const size_t skipped =
			ways[i].kind == LINK_PIPES && ways[i].intake == WIRE_EXACT
				? 97 * (length / 100)
				: 0;
		pid_t pid;

		begin(&ways[i]);
		pid = link_trickle(&l, octets + skipped, length + 7 - skipped, length);
		assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
		reads(WIRE_LINE_TOO_LONG);
		assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
		assert_in_range(after.ru_maxrss, 0, before.ru_maxrss + 512);
		reads_line("NOOP");
		assert_int_equal(unit_await(pid), 0);
		link_close(&l);
	}
	free(octets);
}

/* Lines of random length, each with its expected result. */
static size_t make_lines(char *octets, size_t room, uint64_t *random)
{
	size_t used = 0;

	while (used + 700 < room) {
		size_t text = unit_random(random) % 8 == 0 ? unit_random(random) % 600
							   : unit_random(random) % 40;

		while (text-- > 0)
			octets[used++] = (char)('!' + unit_random(random) % 90);
		if (unit_random(random) % 2 == 0)
			octets[used++] = '\r';
		octets[used++] = '\n';
	}
	return used;
}

TEST(many_lines_come_in_order_however_they_are_cut)
{
	static char octets[100000];
	uint64_t random = 2449;
	const size_t length = make_lines(octets, sizeof octets, &random);

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		const char *at = octets;
		pid_t pid;

		begin(&ways[i]);
		pid = link_trickle(&l, octets, length, 300 + unit_random(&random) % 9000);
		while (at < octets + length) {
			const char *const feed =
				memchr(at, '\n', (size_t)(octets + length - at));
			size_t text = (size_t)(feed - at);
			struct span got;

			if (text > 254) {
				reads(WIRE_LINE_TOO_LONG);
			} else {
				text -= text > 0 && at[text - 1] == '\r';
				assert_int_equal(wire_read_line(&w, &got), WIRE_LINE);
				assert_octets(at, text, at, text, got.octets, got.length);
			}
			at = feed + 1;
		}
		assert_int_equal(unit_await(pid), 0);
		link_half_close(&l);
		ends(WIRE_EOF);
		link_close(&l);
	}
}

TEST(line_without_end_before_eof_is_no_command)
{
	static const char *const lasts[] = {"", "Q", "QUIT", "QUIT\r"};

	for (size_t i = 0; i < COUNT_OF(ways); i++)
		for (size_t n = 0; n < COUNT_OF(lasts); n++) {
			begin(&ways[i]);
			SAY("DELE 1\r\n");
			link_say(&l, lasts[n], strlen(lasts[n]));
			link_half_close(&l);
			reads_line("DELE 1");
			ends(WIRE_EOF);
			link_close(&l);
		}
}

TEST(line_too_long_cut_by_eof_is_the_end)
{
	char octets[400];

	memset(octets, 'x', sizeof octets);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		link_say(&l, octets, sizeof octets);
		link_half_close(&l);
		ends(WIRE_EOF);
		link_close(&l);
	}
}

TEST(replies_are_sent_before_waiting_for_the_next_command)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		wire_puts(&w, "+OK ready\r\n");
		ends(WIRE_TIMEOUT);
		assert_heard(l.from_server, "+OK ready\r\n");
		link_close(&l);
	}
}

TEST(replies_to_a_batch_are_sent_together)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		SAY("1\r\n2\r\n3\r\n");
		reads_line("1");
		wire_puts(&w, "one.");
		reads_line("2");
		wire_puts(&w, "two.");
		reads_line("3");
		wire_puts(&w, "three.");
		assert_heard(l.from_server, "");
		ends(WIRE_TIMEOUT);
		assert_heard(l.from_server, "one.two.three.");
		link_close(&l);
	}
}

TEST(replies_do_not_wait_for_the_end_of_a_line_begun)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		SAY("NOOP\r\nNO");
		reads_line("NOOP");
		wire_puts(&w, "+OK\r\n");
		ends(WIRE_TIMEOUT);
		assert_heard(l.from_server, "+OK\r\n");
		link_close(&l);
	}
}

TEST(client_that_half_closed_gets_its_replies)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		SAY("NOOP\r\n");
		link_half_close(&l);
		reads_line("NOOP");
		wire_puts(&w, "+OK\r\n");
		ends(WIRE_EOF);
		assert_heard(l.from_server, "+OK\r\n");
		link_close(&l);
	}
}

TEST(consumed_input_is_wiped_and_the_rest_is_not)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		SAY("PASS sesame\r\n");
		reads_line("PASS sesame");
		wire_forget_input(&w);
		assert_null(memmem(w.in, sizeof w.in, "sesame", 6));
		SAY("PASS sesame\r\nSTAT\r\n");
		reads_line("PASS sesame");
		wire_forget_input(&w);
		assert_null(memmem(w.in, sizeof w.in, "sesame", 6));
		reads_line("STAT");
		link_close(&l);
	}
}

TEST(failed_read_breaks_the_wire)
{
	begin(&ways[0]);
	link_close(&l);
	wire_open(&w, open("/", O_RDONLY | O_CLOEXEC), -1, WIRE_AHEAD, LONG_MS);
	ends(WIRE_BROKEN);
	assert_int_equal(w.error_number, EISDIR);
	close(w.in_fd);
}

TEST(files_and_devices_serve_as_well)
{
	static const enum wire_intake intakes[] = {WIRE_EXACT, WIRE_AHEAD};

	for (size_t i = 0; i < COUNT_OF(intakes); i++) {
		const int in = memfd_create("in", MFD_CLOEXEC),
			  out = memfd_create("out", MFD_CLOEXEC);
		char got[64];

		assert_int_equal(pwrite(in, "STAT\r\nQUIT\n", 11, 0), 11);
		wire_open(&w, in, out, intakes[i], LONG_MS);
		reads_line("STAT");
		wire_puts(&w, "+OK 0 0\r\n");
		reads_line("QUIT");
		wire_puts(&w, "+OK\r\n");
		ends(WIRE_EOF);
		assert_text("+OK 0 0\r\n+OK\r\n", got, (size_t)pread(out, got, 64, 0));
		close(in);
		close(out);
		wire_open(&w, open("/dev/null", O_RDWR | O_CLOEXEC), 1, intakes[i], LONG_MS);
		ends(WIRE_EOF);
		close(w.in_fd);
	}
}

TEST(terminal_serves_as_well)
{
	const int client = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char got[64];
	int server;

	assert_true(client >= 0);
	assert_int_equal(grantpt(client), 0);
	assert_int_equal(unlockpt(client), 0);
	server = open(ptsname(client), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(server >= 0);
	wire_open(&w, server, server, WIRE_EXACT, LONG_MS);
	assert_int_equal(write(client, "STAT\nQUIT\n", 10), 10);
	reads_line("STAT");
	wire_puts(&w, "+OK\r\n");
	reads_line("QUIT");
	assert_true(wire_flush(&w));
	/* The terminal echoes, and turns each LF into CR LF. */
	assert_text("STAT\r\nQUIT\r\n+OK\r\r\n", got, link_hear(client, got, sizeof got));
	close(server);
	close(client);
}

TEST(peeked_password_is_wiped_as_well)
{
	struct span line;

	link_open(&l, LINK_SOCKET);
	wire_open(&w, l.in_fd, l.out_fd, WIRE_EXACT, 20000);
	link_say(&l, "USER alice@example.org\r\nPASS sesame\r\n", 37);
	assert_int_equal(wire_read_line(&w, &line), WIRE_LINE);
	assert_int_equal(wire_read_line(&w, &line), WIRE_LINE);
	wire_forget_input(&w);
	assert_null(memmem(w.in, sizeof w.in, "sesame", 6));
	link_close(&l);
}

/* SASL: a token needs longer lines, and only there. */
TEST(line_may_be_longer_where_that_is_said)
{
	static char octets[WIRE_INPUT_OCTETS];
	static const size_t lengths[] = {2, 300, 12290, WIRE_INPUT_OCTETS - 1};

	memset(octets, 'x', sizeof octets);
	for (size_t i = 0; i < COUNT_OF(ways); i++)
		for (size_t n = 0; n < COUNT_OF(lengths); n++) {
			const size_t length = lengths[n];
			struct span got;

			begin(&ways[i]);
			w.line_octets = length;
			SAY("\n");
			reads_line("");
			link_say(&l, octets, length - 1);
			SAY("\n");
			assert_int_equal(wire_read_line(&w, &got), WIRE_LINE);
			assert_octets(
				octets, length - 1, octets, length - 1, got.octets, got.length);
			link_say(&l, octets, length);
			SAY("\nx\n");
			reads(WIRE_LINE_TOO_LONG);
			reads_line("x");
			w.line_octets = WIRE_COMMAND_OCTETS;
			link_say(&l, octets, 255);
			SAY("\n");
			reads(WIRE_LINE_TOO_LONG);
			link_close(&l);
		}
}

/* RFC 2595 section 4: what came in clear must not be answered inside TLS. */
TEST(input_before_a_switch_is_thrown_away)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct link tls;

		begin(&ways[i]);
		SAY("STLS\r\nCAPA\r\nUSER mallory\r\nPA");
		reads_line("STLS");
		wire_puts(&w, "+OK\r\n");
		assert_true(wire_flush(&w));
		assert_true(wire_discard_input(&w));
		assert_heard(l.in_fd, "");
		wire_puts(&w, "never sent");
		link_open(&tls, LINK_SOCKET);
		wire_switch(&w, tls.in_fd, tls.out_fd);
		assert_null(memmem(w.in, sizeof w.in, "mallory", 7));
		link_say(&tls, "NOOP\r\n", 6);
		reads_line("NOOP");
		wire_puts(&w, "+OK in TLS\r\n");
		assert_true(wire_flush(&w));
		assert_heard(tls.from_server, "+OK in TLS\r\n");
		assert_heard(l.from_server, "+OK\r\n");
		link_close(&tls);
		link_close(&l);
	}
}

TEST(throwing_input_away_sees_the_end)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		SAY("CAPA\r\n");
		link_half_close(&l);
		assert_false(wire_discard_input(&w));
		assert_int_equal(w.end, WIRE_EOF);
		link_close(&l);
	}
}

TEST(client_that_does_not_stop_is_not_waited_for)
{
	const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	wire_open(&w, zero, 1, WIRE_EXACT, LONG_MS);
	assert_false(wire_discard_input(&w));
	close(zero);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(line_ends_in_lf_or_crlf),
	cmocka_unit_test(exact_intake_leaves_the_rest_in_the_descriptor),
	cmocka_unit_test(exact_intake_leaves_the_rest_after_a_line_too_long),
	cmocka_unit_test(command_line_has_at_most_255_octets_with_its_end),
	cmocka_unit_test(nul_in_a_line_is_told),
	cmocka_unit_test(line_of_ten_million_octets_is_one_error_and_costs_no_memory),
	cmocka_unit_test(many_lines_come_in_order_however_they_are_cut),
	cmocka_unit_test(line_without_end_before_eof_is_no_command),
	cmocka_unit_test(line_too_long_cut_by_eof_is_the_end),
	cmocka_unit_test(replies_are_sent_before_waiting_for_the_next_command),
	cmocka_unit_test(replies_to_a_batch_are_sent_together),
	cmocka_unit_test(replies_do_not_wait_for_the_end_of_a_line_begun),
	cmocka_unit_test(client_that_half_closed_gets_its_replies),
	cmocka_unit_test(consumed_input_is_wiped_and_the_rest_is_not),
	cmocka_unit_test(failed_read_breaks_the_wire),
	cmocka_unit_test(files_and_devices_serve_as_well),
	cmocka_unit_test(terminal_serves_as_well),
	cmocka_unit_test(peeked_password_is_wiped_as_well),
	cmocka_unit_test(line_may_be_longer_where_that_is_said),
	cmocka_unit_test(input_before_a_switch_is_thrown_away),
	cmocka_unit_test(throwing_input_away_sees_the_end),
	cmocka_unit_test(client_that_does_not_stop_is_not_waited_for),
};

int main(void)
{
	return UNIT_RUN("wire", tests);
}
