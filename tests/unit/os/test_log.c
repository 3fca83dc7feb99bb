/* log: one line for each event, and never a line to the client. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/socket.h>

#include "os/clock.h"
#include "os/log.h"

static void quotes(const char *octets, size_t length, const char *expected)
{
	char text[256];

	assert_ptr_equal(log_quote(text, sizeof text, octets, length), text);
	assert_octets(octets, length, expected, strlen(expected), text, strlen(text));
}

#define QUOTES(octets, expected) quotes(octets, sizeof octets - 1, expected)

TEST(plain_word_stays_as_it_is)
{
	QUOTES("joe", "joe");
	QUOTES("joe@example.org", "joe@example.org");
	QUOTES("1130000000.M1P2.host:2,S", "1130000000.M1P2.host:2,S");
	QUOTES("!#$%&'()*+,-./0~{}", "!#$%&'()*+,-./0~{}");
}

TEST(what_could_be_taken_for_another_field_is_quoted)
{
	QUOTES("", "\"\"");
	QUOTES("joe user=root", "\"joe user=root\"");
	QUOTES("a=b", "\"a=b\"");
	QUOTES(" ", "\" \"");
	QUOTES("a\"b", "\"a\\x22b\"");
	QUOTES("a\\b", "\"a\\x5cb\"");
	QUOTES("\\x41", "\"\\x5cx41\"");
}

TEST(control_and_8_bit_octets_are_escaped)
{
	char expected[] = "\"\\x00\"", octet;

	QUOTES("a\nb", "\"a\\x0ab\"");
	QUOTES("a\r\n", "\"a\\x0d\\x0a\"");
	QUOTES("\0\x1b[2J\x7f\x80\xff", "\"\\x00\\x1b[2J\\x7f\\x80\\xff\"");
	for (unsigned c = 0; c < 256; c++) {
		if (c >= 32 && c < 127)
			continue;
		snprintf(expected, sizeof expected, "\"\\x%02x\"", c);
		octet = (char)c;
		quotes(&octet, 1, expected);
	}
}

TEST(what_does_not_fit_is_cut_and_marked)
{
	char text[64], in[100];

	memset(in, 'a', sizeof in);
	assert_string_equal(log_quote(text, 16, in, 100), "aaaaaaa...");
	in[50] = ' ';
	assert_string_equal(log_quote(text, 16, in, 100), "\"aaaaaa...\"");
	memset(in, '\n', sizeof in);
	assert_string_equal(log_quote(text, 16, in, 100), "\"\\x0a\\x0a...\"");
	assert_string_equal(log_quote(text, 14, in, 100), "\"\\x0a...\"");
	assert_string_equal(log_quote(text, 8, in, 100), "\"...\"");
	assert_string_equal(log_quote(text, 8, "aaaaaaaaa", 9), "...");
}

/* Whatever the octets and the capacity: the text is terminated, fits, is printable, and only
 * its end ends the quotation. */
TEST(quoted_text_never_leaves_its_room)
{
	uint64_t random = 77;

	for (int i = 0; i < 20000; i++) {
		const size_t capacity = 8 + unit_random(&random) % 40;
		const size_t length = unit_random(&random) % 60;
		char in[60], text[64];

		for (size_t n = 0; n < length; n++)
			in[n] = (char)(unit_random(&random) % 3 == 0
					       ? unit_random(&random) % 256
					       : 'a');
		memset(text, '#', sizeof text);
		log_quote(text, capacity, in, length);
		assert_in_range(strlen(text), 1, capacity - 1);
		for (size_t n = capacity; n < sizeof text; n++)
			assert_int_equal(text[n], '#');
		for (size_t n = 0; text[n] != '\0'; n++) {
			assert_in_range(text[n], ' ', '~');
			if (text[n] == '"')
				assert_true(n == 0 || text[n + 1] == '\0');
		}
		assert_int_equal(text[0] == '"', text[strlen(text) - 1] == '"');
	}
}

TEST(quote_reads_no_further_than_its_octets)
{
	char text[32];

	assert_string_equal(log_quote(text, sizeof text, "abc\ndef", 3), "abc");
	assert_string_equal(log_quote(text, sizeof text, "abc\"", 3), "abc");
}

/* Lines. */

static char line[4096];

static size_t line_of(void (*work)(void))
{
	char expected[64];
	const int octets = snprintf(expected, sizeof expected, "pop3d[%ld]: ", (long)getpid());
	const size_t length = unit_stderr_of(work, line, sizeof line - 1);

	line[length] = '\0';
	assert_text(expected, line, length < (size_t)octets ? length : (size_t)octets);
	memmove(line, line + octets, length + 1 - (size_t)octets);
	return length - (size_t)octets;
}

static void write_one(void)
{
	errno = ENOTTY;
	log_event(LOG_ERR, "event number=%d text=%s", 7, "100%s%n");
	/* Callers log first and return errno afterwards. */
	assert_int_equal(errno, ENOTTY);
}

TEST(event_is_one_line_with_the_process_number)
{
	assert_text("event number=7 text=100%s%n\n", line, line_of(write_one));
}

static size_t long_octets;

static void write_long(void)
{
	static char octets[3000];

	memset(octets, 'x', sizeof octets);
	log_event(LOG_ERR, "%.*s", (int)long_octets, octets);
}

TEST(long_line_is_cut_and_still_a_line)
{
	for (long_octets = 900; long_octets < 2100; long_octets += 50) {
		const size_t octets = unit_stderr_of(write_long, line, sizeof line);

		assert_in_range(octets, 900, LOG_LINE_OCTETS);
		assert_ptr_equal(memchr(line, '\n', octets), line + octets - 1);
		assert_null(memchr(line, '\0', octets));
	}
}

static void write_debug(void)
{
	log_event(LOG_DEBUG, "protocol");
}

static int debug_is_silent_until_asked_for(void)
{
	if (log_shows_debug() || unit_stderr_of(write_debug, line, sizeof line) != 0)
		return 1;
	log_show_debug();
	return log_shows_debug() && unit_stderr_of(write_debug, line, sizeof line) > 0 ? 0 : 2;
}

TEST(debug_lines_are_written_only_if_asked_for)
{
	assert_int_equal(unit_in_child(debug_is_silent_until_asked_for), 0);
}

static int write_to_full_device(void)
{
	const int full = open("/dev/full", O_WRONLY);

	if (full < 0 || dup2(full, 2) != 2)
		return 1;
	write_one();
	close(2);
	write_one();
	return 0;
}

TEST(log_that_cannot_be_written_stops_nothing)
{
	assert_int_equal(unit_in_child(write_to_full_device), 0);
}

/* Where lines go. */

enum { TO_STDERR = 10, TO_SYSLOG };

/* A log whose reader has stopped: neither line is written, and only the first one waits. */
static int log_into_full(int fd)
{
	const char octets[512] = "";
	int64_t before_ms;

	while (write(fd, octets, sizeof octets) > 0)
		;
	/* it blocks from here on, as what a superserver hands over does */
	if (errno != EAGAIN || fcntl(fd, F_SETFL, 0) != 0 || dup2(fd, 2) != 2)
		return 1;
	log_open(false);
	before_ms = clock_now_ms();
	for (int i = 0; i < 10; i++)
		log_event(LOG_INFO, "end");
	return clock_now_ms() - before_ms < 5000 ? 0 : 2;
}

static int full_fd;

static int log_into_full_fd(void)
{
	return log_into_full(full_fd);
}

TEST(log_that_takes_nothing_keeps_nobody)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	full_fd = ends[1];
	assert_int_equal(unit_in_child(log_into_full_fd), 0);
	close(ends[0]);
	close(ends[1]);
	if (!unit_all()) /* the log waits for three seconds each time */
		return;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
	full_fd = ends[1];
	assert_int_equal(unit_in_child(log_into_full_fd), 0);
	close(ends[0]);
	close(ends[1]);
}

static int log_with_tail(void)
{
	log_set_session("not an id");
	log_set_session("0123456789abcdefg");
	log_set_session("0badcafe");
	log_event(LOG_INFO, "first");
	log_set_user("a b", 3);
	log_event(LOG_INFO, "second user=%s", log_user());
	log_event(LOG_INFO, "third %02000d", 1);
	return 0;
}

TEST(every_line_ends_in_session_and_user)
{
	const int file = memfd_create("log", MFD_CLOEXEC);
	char text[4096], *start, *end;
	ssize_t length;
	const int saved = dup(2);

	assert_int_equal(dup2(file, 2), 2);
	assert_int_equal(unit_in_child(log_with_tail), 0);
	assert_int_equal(dup2(saved, 2), 2);
	close(saved);
	length = pread(file, text, sizeof text - 1, 0);
	close(file);
	assert_true(length > 0);
	text[length] = '\0';
	start = strstr(text, "]: ") + 3;
	end = strchr(start, '\n');
	assert_memory_equal(start, "first session=0badcafe", (size_t)(end - start));
	start = strstr(end, "]: ") + 3;
	end = strchr(start, '\n');
	assert_memory_equal(
		start, "second user=\"a b\" session=0badcafe", (size_t)(end - start));
	start = end + 1;
	end = strchr(start, '\n');
	assert_true(end - start < LOG_LINE_OCTETS);
	assert_non_null(strstr(start, " user=\"a b\" session=0badcafe\n"));
}

static int standard[3]; /* The descriptors 0, 1 and 2 of the test; -1 means closed. */

static int choose(void)
{
	for (int i = 0; i < 3; i++)
		if (standard[i] >= 0 ? dup2(standard[i], i) != i : close(i) != 0)
			return 1;
	if (log_to_syslog())
		return 2;
	log_open(false);
	return log_to_syslog() ? TO_SYSLOG : TO_STDERR;
}

static int choose_with(int in, int out, int error)
{
	standard[0] = in;
	standard[1] = out;
	standard[2] = error;
	return unit_in_child(choose);
}

TEST(client_never_sees_the_log)
{
	const int file = memfd_create("log", MFD_CLOEXEC),
		  null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int sockets[2], pipes[2], other[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
	/* inetd: all three are the connection. */
	assert_int_equal(choose_with(sockets[0], sockets[0], sockets[0]), TO_SYSLOG);
	/* Either direction is the client's. */
	assert_int_equal(choose_with(pipes[0], file, pipes[0]), TO_SYSLOG);
	assert_int_equal(choose_with(null, pipes[1], pipes[1]), TO_SYSLOG);
	assert_int_equal(choose_with(sockets[0], sockets[0], -1), TO_SYSLOG);
	/* tcpserver: a log of its own, even if that is a socket (systemd's journal). */
	assert_int_equal(choose_with(sockets[0], sockets[0], file), TO_STDERR);
	assert_int_equal(choose_with(sockets[0], sockets[0], pipes[1]), TO_STDERR);
	assert_int_equal(choose_with(sockets[0], sockets[0], other[0]), TO_STDERR);
	close(file);
	close(null);
	for (int i = 0; i < 2; i++) {
		close(sockets[i]);
		close(pipes[i]);
		close(other[i]);
	}
}

TEST(person_at_a_terminal_sees_the_log)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int terminal;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0);
	assert_int_equal(choose_with(terminal, terminal, terminal), TO_STDERR);
	close(terminal);
	close(master);
}

static int choose_syslog(void)
{
	log_open(true);
	return log_to_syslog() ? TO_SYSLOG : TO_STDERR;
}

TEST(syslog_can_be_forced)
{
	assert_int_equal(unit_in_child(choose_syslog), TO_SYSLOG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(plain_word_stays_as_it_is),
	cmocka_unit_test(what_could_be_taken_for_another_field_is_quoted),
	cmocka_unit_test(control_and_8_bit_octets_are_escaped),
	cmocka_unit_test(what_does_not_fit_is_cut_and_marked),
	cmocka_unit_test(quoted_text_never_leaves_its_room),
	cmocka_unit_test(quote_reads_no_further_than_its_octets),
	cmocka_unit_test(event_is_one_line_with_the_process_number),
	cmocka_unit_test(long_line_is_cut_and_still_a_line),
	cmocka_unit_test(debug_lines_are_written_only_if_asked_for),
	cmocka_unit_test(log_that_cannot_be_written_stops_nothing),
	cmocka_unit_test(log_that_takes_nothing_keeps_nobody),
	cmocka_unit_test(every_line_ends_in_session_and_user),
	cmocka_unit_test(client_never_sees_the_log),
	cmocka_unit_test(person_at_a_terminal_sees_the_log),
	cmocka_unit_test(syslog_can_be_forced),
};

int main(void)
{
	return UNIT_RUN("log", tests);
}
