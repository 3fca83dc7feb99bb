/* checker_log: what a checker writes to its standard error is bounded, and cannot forge a log
 * line. */
#include "tests/unit/unit.h"

#include "auth/checker_log.h"
#include "os/log.h"

static struct checker_log r;
static int ends[2];
static void read_to_the_end(void)
{
	memset(&r, 0, sizeof r);
	while (checker_log_read(&r, ends[0]))
		;
	checker_log_drain(&r, -1);
}

static void drain(void)
{
	memset(&r, 0, sizeof r);
	checker_log_drain(&r, ends[0]);
}

/* The logged lines, without the process number. */
static size_t log_of(
	void (*work)(void), const char *text, size_t octets, char *log, size_t room)
{
	char whole[65536];
	size_t length, used = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], text, octets), octets);
	close(ends[1]);
	length = unit_stderr_of(work, whole, sizeof whole);
	close(ends[0]);
	for (size_t at = 0; at < length;) {
		const char *const colon = memchr(whole + at, ' ', length - at);
		const char *const feed = memchr(whole + at, '\n', length - at);
		const size_t start = (size_t)(colon + 1 - whole),
			     end = (size_t)(feed + 1 - whole);

		assert_non_null(colon);
		assert_non_null(feed);
		assert_in_range(end - start, 1, room - used);
		memcpy(log + used, whole + start, end - start);
		used += end - start;
		at = end;
	}
	return used;
}

static void says(const char *text, size_t octets, const char *expected)
{
	char log[65536];

	assert_octets(text, octets, expected, strlen(expected), log,
		log_of(read_to_the_end, text, octets, log, sizeof log));
	assert_octets(text, octets, expected, strlen(expected), log,
		log_of(drain, text, octets, log, sizeof log));
}

#define SAYS(text, expected) says(text, sizeof text - 1, expected)

TEST(each_line_is_an_event)
{
	SAYS("no\n", "checker-says text=no\n");
	SAYS("one\ntwo words\n", "checker-says text=one\nchecker-says text=\"two words\"\n");
}

TEST(last_line_needs_no_end)
{
	SAYS("one\ntwo", "checker-says text=one\nchecker-says text=two\n");
}

TEST(silence_is_no_event)
{
	SAYS("", "");
}

TEST(text_cannot_forge_an_event)
{
	SAYS("x\r\n\0\x1b[2J ip=1.2.3.4 \"quoted\"\n",
		"checker-says text=\"x\\x0d\"\n"
		"checker-says text=\"\\x00\\x1b[2J ip=1.2.3.4 \\x22quoted\\x22\"\n");
}

/* All octets of a long line are logged, in pieces. */
TEST(long_line_is_cut_into_pieces)
{
	char text[1001], log[65536], together[1001];
	size_t length, used = 0, lines = 0;

	memset(text, 'x', 1000);
	text[1000] = '\n';
	length = log_of(read_to_the_end, text, sizeof text, log, sizeof log);
	for (size_t at = 0; at < length; lines++) {
		const size_t octets =
			(size_t)((char *)memchr(log + at, '\n', length - at) - (log + at)) + 1;

		assert_text("checker-says text=", log + at, 18);
		assert_in_range(octets - 19, 1, CHECKER_LOG_LINE_OCTETS);
		assert_in_range(used + octets - 19, 1, sizeof together);
		memcpy(together + used, log + at + 18, octets - 19);
		used += octets - 19;
		at += octets;
	}
	assert_octets(text, 1001, text, 1000, together, used);
	assert_in_range(lines, 5, 6);
}

TEST(line_of_binary_octets_fits_the_log)
{
	char text[CHECKER_LOG_LINE_OCTETS - 1], log[65536];
	size_t length;

	memset(text, '\xff', sizeof text);
	length = log_of(read_to_the_end, text, sizeof text, log, sizeof log);
	assert_int_equal(length, strlen("checker-says text=") + 4 * sizeof text + 3);
	assert_text("\\xff\"\n", log + length - 6, 6);
}

TEST(more_than_fifty_lines_are_thrown_away_and_that_is_told_once)
{
	char text[3000], log[65536];
	size_t length, lines = 0;

	for (size_t i = 0; i < sizeof text; i += 3)
		memcpy(text + i, "ab\n", 3);
	length = log_of(read_to_the_end, text, sizeof text, log, sizeof log);
	for (size_t i = 0; i < length; i++)
		lines += log[i] == '\n';
	assert_int_equal(lines, CHECKER_LOG_LINES + 1);
	assert_text("checker-says-too-much",
		log + CHECKER_LOG_LINES * strlen("checker-says text=ab\n"), 21);
}

TEST(fifty_lines_are_not_too_many)
{
	char text[CHECKER_LOG_LINES * 4], log[65536];
	size_t length;

	/* Empty lines do not count. */
	for (size_t i = 0; i < sizeof text; i += 4)
		memcpy(text + i, "ab\n\n", 4);
	length = log_of(read_to_the_end, text, sizeof text, log, sizeof log);
	assert_int_equal(length, CHECKER_LOG_LINES * strlen("checker-says text=ab\n"));
	length = log_of(drain, text, sizeof text, log, sizeof log);
	assert_int_equal(length, CHECKER_LOG_LINES * strlen("checker-says text=ab\n"));
}

/* Lines of all lengths, one after another. Only lines that are too long are cut. */
TEST(line_after_another_is_not_cut_before_200_octets)
{
	for (size_t first = 1; first < CHECKER_LOG_LINE_OCTETS; first += 7)
		for (size_t second = 1; second < CHECKER_LOG_LINE_OCTETS; second += 11) {
			char text[2 * CHECKER_LOG_LINE_OCTETS], expected[1024], log[4096];
			char xs[CHECKER_LOG_LINE_OCTETS];

			memset(xs, 'x', sizeof xs);
			snprintf(text, sizeof text, "%.*s\n%.*s\n", (int)first, xs, (int)second,
				xs);
			snprintf(expected, sizeof expected,
				"checker-says text=%.*s\nchecker-says text=%.*s\n", (int)first,
				xs, (int)second, xs);
			assert_text(expected, log,
				log_of(read_to_the_end, text, first + second + 2, log,
					sizeof log));
		}
}

/* A pipe that never ends. */
static void drain_zeros(void)
{
	const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	memset(&r, 0, sizeof r);
	checker_log_drain(&r, fd);
	close(fd);
}

TEST(draining_is_bounded)
{
	static char log[200000];

	assert_in_range(unit_stderr_of(drain_zeros, log, sizeof log), 1, 60000);
}

static void drain_open_pipe(void)
{
	memset(&r, 0, sizeof r);
	checker_log_drain(&r, ends[0]);
}

TEST(draining_does_not_wait_for_those_who_still_hold_the_pipe)
{
	const int64_t start_ms = unit_now_ms();
	char log[1000];
	size_t length;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	length = unit_stderr_of(drain_open_pipe, log, sizeof log);
	assert_non_null(memmem(log, length, "text=x\n", 7));
	assert_in_range(unit_now_ms() - start_ms, 0, 1000);
	close(ends[0]);
	close(ends[1]);
}

TEST(end_and_nothing_yet_are_told_apart)
{
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	memset(&r, 0, sizeof r);
	assert_true(checker_log_read(&r, ends[0]));
	close(ends[1]);
	assert_false(checker_log_read(&r, ends[0]));
	close(ends[0]);
	assert_false(checker_log_read(&r, ends[0]));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_line_is_an_event),
	cmocka_unit_test(last_line_needs_no_end),
	cmocka_unit_test(silence_is_no_event),
	cmocka_unit_test(text_cannot_forge_an_event),
	cmocka_unit_test(long_line_is_cut_into_pieces),
	cmocka_unit_test(line_of_binary_octets_fits_the_log),
	cmocka_unit_test(more_than_fifty_lines_are_thrown_away_and_that_is_told_once),
	cmocka_unit_test(fifty_lines_are_not_too_many),
	cmocka_unit_test(line_after_another_is_not_cut_before_200_octets),
	cmocka_unit_test(draining_is_bounded),
	cmocka_unit_test(draining_does_not_wait_for_those_who_still_hold_the_pipe),
	cmocka_unit_test(end_and_nothing_yet_are_told_apart),
};

int main(void)
{
	return UNIT_RUN("checker_log", tests);
}
