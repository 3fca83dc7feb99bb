/* command: the argument rules of the command tables, numbers, and the count of bad commands. */
#include "lib/number.h"
#include "tests/unit/unit.h"

#include "os/log.h"
#include "pop3/command.h"
#include "tests/unit/unit_wire.h"

static struct wire w;
static struct link l;

/* The reply shows the client what a command saw of its arguments. */
static enum command_result show(void *state, const struct command_input *input)
{
	assert_ptr_equal(state, &l);
	wire_puts(&w, "+");
	wire_put(&w, input->text.octets, input->text.length);
	wire_puts(&w, "\n");
	return COMMAND_GOOD;
}

static void put_number(uint64_t number)
{
	char digits[NUMBER_DIGITS];

	wire_put(&w, digits, number_write(digits, number));
}

static enum command_result show_number(void *state, const struct command_input *input)
{
	(void)state;
	if (!input->has_number)
		wire_puts(&w, "+none");
	else
		put_number(input->number);
	wire_puts(&w, "\n");
	return COMMAND_GOOD;
}

static enum command_result show_lines(void *state, const struct command_input *input)
{
	(void)state;
	assert_true(input->has_number);
	put_number(input->number);
	wire_puts(&w, ",");
	put_number(input->lines);
	wire_puts(&w, "\n");
	return COMMAND_GOOD;
}

static enum command_result end(void *state, const struct command_input *input)
{
	(void)state;
	(void)input;
	return COMMAND_END;
}

static enum command_result bad(void *state, const struct command_input *input)
{
	(void)state;
	(void)input;
	wire_puts(&w, "-bad\n");
	return COMMAND_BAD;
}

static const struct command commands[] = {
	{"NOOP", ARGUMENTS_NONE, show},
	{"USER", ARGUMENTS_VERBATIM, show},
	{"LANG", ARGUMENTS_REST, show},
	{"RETR", ARGUMENTS_NUMBER, show_number},
	{"LIST", ARGUMENTS_MAYBE_NUMBER, show_number},
	{"TOP", ARGUMENTS_NUMBER_AND_LINES, show_lines},
	{"PASS", ARGUMENTS_VERBATIM_SECRET, show},
	{"SECRET", ARGUMENTS_REST_SECRET, show},
	{"SECRETS", ARGUMENTS_TEXT_SECRET, show},
	{"BAD", ARGUMENTS_REST, bad},
	{"QUIT", ARGUMENTS_NONE, end},
};

/* Plays the octets, after which the client closes. Returns how the loop ended and what
 * arrived. */
static enum command_end play(
	unsigned bad_allowed, const char *said, size_t said_octets, char *heard, size_t *octets)
{
	const struct command_table table = {
		.commands = commands, .count = COUNT_OF(commands), .bad_allowed = bad_allowed};
	enum command_end end_of_loop;

	link_open(&l, LINK_SOCKET);
	wire_open(&w, l.in_fd, l.out_fd, WIRE_AHEAD, 20000);
	link_say(&l, said, said_octets);
	link_half_close(&l);
	end_of_loop = command_loop(&w, &table, &l);
	wire_flush(&w);
	*octets = link_hear(l.from_server, heard, 4096);
	link_close(&l);
	return end_of_loop;
}

static void answers(const char *said, size_t said_octets, const char *expected)
{
	char heard[4096];
	size_t octets;

	assert_int_equal(play(0, said, said_octets, heard, &octets), COMMANDS_WIRE_CLOSED);
	assert_octets(said, said_octets, expected, strlen(expected), heard, octets);
}

/* Checks the reply to one line, and that it is an error if one is expected. */
static void line_answers(const char *line, const char *expected)
{
	char said[600], heard[4096];
	const int said_octets = snprintf(said, sizeof said, "%s\r\n", line);
	size_t octets;

	if (strcmp(expected, "-ERR") != 0) {
		answers(said, (size_t)said_octets, expected);
		return;
	}
	play(0, said, (size_t)said_octets, heard, &octets);
	if (octets < 7 || memcmp(heard, "-ERR ", 5) != 0 ||
		memchr(heard, '\n', octets) != heard + octets - 1 || heard[octets - 2] != '\r')
		assert_octets(said, (size_t)said_octets, "-ERR ...\r\n", 10, heard, octets);
}

TEST(keyword_is_of_any_case)
{
	char heard[4096];
	size_t octets;

	line_answers("noop", "+\n");
	line_answers("nOOp", "+\n");
	line_answers("user Name", "+Name\n");
	assert_int_equal(play(0, "qUit\n", 5, heard, &octets), COMMANDS_ENDED);
}

TEST(unknown_command_is_an_error)
{
	static const char *const lines[] = {"", " ", " NOOP", "NOO", "NOOPS", "NOOP\t", "RETR1",
		"RETR\t1", "\r", "\xff\xfe", "%s%n"};

	for (size_t i = 0; i < COUNT_OF(lines); i++)
		line_answers(lines[i], "-ERR");
}

TEST(command_without_arguments_takes_none)
{
	line_answers("NOOP", "+\n");
	line_answers("NOOP x", "-ERR");
	line_answers("NOOP  x", "-ERR");
	line_answers("QUIT now", "-ERR");
}

TEST(text_is_all_the_rest_of_the_line)
{
	line_answers("USER a b  c ", "+a b  c \n");
	line_answers("USER  a", "+ a\n");
	line_answers("PASS  my secret ", "+ my secret \n");
	line_answers("PASS", "+\n");
	line_answers("PASS ", "+\n");
	line_answers("USER", "-ERR");
	line_answers("USER ", "-ERR");
	line_answers("SECRET  x", "+ x\n");
	line_answers("SECRET", "+\n");
	line_answers("SECRETS x", "+x\n");
	line_answers("SECRETS", "-ERR");
}

TEST(number_is_decimal_and_nothing_else)
{
	static const char *const wrong[] = {"", " 1", " 1 ", "1  2", "1 2", "-0", "-1", "+1",
		"1x", "x1", "0x1", "1.0", "1,2", "1\t", "\t1", "\xb2", "1e3", "--1",
		"9223372036854775808-", "18446744073709551616x"};
	char line[64];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		snprintf(line, sizeof line, "RETR %s", wrong[i]);
		line_answers(line, "-ERR");
		if (wrong[i][0] == '\0')
			continue;
		snprintf(line, sizeof line, "LIST %s", wrong[i]);
		line_answers(line, "-ERR");
	}
	line_answers("RETR", "-ERR");
}

/* The table does not know which numbers exist. 0 and all other numbers arrive unchanged, and
 * a number that is too large never arrives as a small one. */
TEST(number_never_overflows)
{
	static const struct {
		const char *text, *expected;
	} numbers[] = {
		{"0", "0\n"},
		{"00", "0\n"},
		{"1", "1\n"},
		{"01", "1\n"},
		{"0000000000000000000000000000000000000002", "2\n"},
		{"2147483647", "2147483647\n"},
		{"2147483648", "2147483648\n"},
		{"4294967295", "4294967295\n"},
		{"4294967296", "4294967296\n"},
		{"4294967297", "4294967297\n"},
		{"18446744073709551609", "18446744073709551609\n"},
		{"18446744073709551614", "18446744073709551614\n"},
		{"18446744073709551615", "18446744073709551615\n"},
		{"18446744073709551616", "18446744073709551615\n"},
		{"18446744073709551617", "18446744073709551615\n"},
		{"18446744073709551620", "18446744073709551615\n"},
		{"36893488147419103233", "18446744073709551615\n"},
		{"184467440737095516151", "18446744073709551615\n"},
	};
	char line[160], digits[101];

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		snprintf(line, sizeof line, "RETR %s", numbers[i].text);
		line_answers(line, numbers[i].expected);
		snprintf(line, sizeof line, "LIST %s", numbers[i].text);
		line_answers(line, numbers[i].expected);
	}
	for (char digit = '1'; digit <= '9'; digit++) {
		memset(digits, digit, 100);
		digits[100] = '\0';
		snprintf(line, sizeof line, "RETR %s", digits);
		line_answers(line, "18446744073709551615\n");
	}
}

TEST(number_may_be_left_out_where_the_rule_says_so)
{
	line_answers("LIST", "+none\n");
	line_answers("LIST ", "+none\n");
	line_answers("LIST 7", "7\n");
	line_answers("LIST 7 8", "-ERR");
}

TEST(top_needs_a_number_and_a_count)
{
	static const char *const wrong[] = {"", " ", " 1", " 1 ", "  1", " 1  2", " 1 -1",
		" 1 +1", " 1 x", " -1 0", " x 1", " 1 2 3", "  1 2", " 1  2 ", " 1 2 3 ",
		" 1   ", " 1\t2", " 1 2\t"};
	char line[64];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		snprintf(line, sizeof line, "TOP%s", wrong[i]);
		line_answers(line, "-ERR");
	}
	line_answers("TOP 1 0", "1,0\n");
	line_answers("top 12 345", "12,345\n");
	line_answers("TOP 0 00", "0,0\n");
	line_answers("TOP 1 18446744073709551616", "1,18446744073709551615\n");
}

/* qmail-pop3d and popa3d ignore them, too. */
TEST(spaces_at_the_end_of_a_line_are_ignored)
{
	static const struct {
		const char *line, *expected;
	} lines[] = {
		{"NOOP", "+\n"},
		{"LIST", "+none\n"},
		{"LIST 7", "7\n"},
		{"RETR 7", "7\n"},
		{"TOP 7 9", "7,9\n"},
		{"LANG", "+\n"},
		{"LANG de  at", "+de  at\n"},
		{"SECRET", "+\n"},
		{"SECRET a  b", "+a  b\n"},
		{"SECRETS x", "+x\n"},
		{"RETR", "-ERR"},
		{"TOP 7", "-ERR"},
		{"TOP", "-ERR"},
		{"SECRETS", "-ERR"},
		{"NOOPS", "-ERR"},
	};
	char line[WIRE_COMMAND_OCTETS];

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		const size_t length = strlen(lines[i].line);

		memset(line, ' ', sizeof line);
		memcpy(line, lines[i].line, length);
		/* at most what a command line may have beside its CRLF */
		for (size_t end = length; end <= WIRE_COMMAND_OCTETS - 2; end++) {
			line[end] = '\0';
			line_answers(line, lines[i].expected);
			line[end] = ' ';
		}
	}
	memset(line, ' ', sizeof line);
	memcpy(line, "NOOP", 4);
	line[WIRE_COMMAND_OCTETS - 1] = '\0';
	line_answers(line, "-ERR");
}

/* Passwords may begin and end with spaces, and so may logins. */
TEST(spaces_of_user_and_pass_are_kept)
{
	line_answers("USER a ", "+a \n");
	line_answers("USER  a  ", "+ a  \n");
	line_answers("USER   ", "+  \n");
	line_answers("PASS a ", "+a \n");
	line_answers("PASS   ", "+  \n");
}

TEST(number_reads_no_further_than_its_octets)
{
	uint64_t number = 7;

	assert_true(number_parse("1234", 2, &number));
	assert_int_equal(number, 12);
	assert_false(number_parse("1234", 0, &number));
	assert_false(number_parse("12 4", 3, &number));
	assert_true(number_parse("12x", 2, &number));
	assert_int_equal(number, 12);
}

TEST(line_too_long_is_answered_once_and_the_next_is_served)
{
	char said[600] = "", heard[4096];
	size_t octets;

	memset(said, 'x', 300);
	memcpy(said + 300, "\r\nNOOP\r\n", 9);
	play(0, said, 308, heard, &octets);
	assert_in_range(octets, 10, 80);
	assert_text("-ERR ", heard, 5);
	assert_text("\r\n+\n", heard + octets - 4, 4);
	assert_ptr_equal(memchr(heard, '\n', octets), heard + octets - 3);
}

TEST(nul_is_answered_and_the_next_line_is_served)
{
	answers("NO\0OP\r\nNOOP\r\n", 13, "-ERR NUL in command line\r\n+\n");
	answers("NOOP\0\nNOOP\r\n", 12, "-ERR NUL in command line\r\n+\n");
}

/* Sends a line so many times, and then one that ends the loop successfully. */
static enum command_end after_bad(unsigned allowed, const char *line, int times)
{
	char said[4096], heard[4096];
	size_t used = 0, octets;

	for (int i = 0; i < times; i++)
		used += (size_t)snprintf(said + used, sizeof said - used, "NOOP\n%s\n", line);
	used += (size_t)snprintf(said + used, sizeof said - used, "QUIT\n");
	return play(allowed, said, used, heard, &octets);
}

TEST(tenth_bad_command_ends_the_state)
{
	static char long_line[300];
	static const char *const lines[] = {
		"XYZZY", "NOOP x", "RETR", "RETR x", "TOP 1", "USER", "BAD", long_line};

	memset(long_line, 'x', sizeof long_line - 1);
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		assert_int_equal(after_bad(10, lines[i], 9), COMMANDS_ENDED);
		assert_int_equal(after_bad(10, lines[i], 10), COMMANDS_TOO_MANY_BAD);
		assert_int_equal(after_bad(1, lines[i], 1), COMMANDS_TOO_MANY_BAD);
	}
}

TEST(tenth_bad_command_is_answered_and_the_eleventh_not_read)
{
	char heard[4096];
	size_t octets;

	assert_int_equal(
		play(2, "BAD\nBAD\nBAD\nNOOP\n", 17, heard, &octets), COMMANDS_TOO_MANY_BAD);
	assert_text("-bad\n-bad\n", heard, octets);
}

TEST(without_a_limit_bad_commands_never_end_the_state)
{
	assert_int_equal(after_bad(0, "XYZZY", 100), COMMANDS_ENDED);
	assert_int_equal(after_bad(0, "BAD", 100), COMMANDS_ENDED);
}

TEST(end_of_the_state_leaves_what_was_sent_after_it)
{
	const struct command_table table = {
		.commands = commands, .count = COUNT_OF(commands), .bad_allowed = 10};
	struct span line;

	link_open(&l, LINK_SOCKET);
	wire_open(&w, l.in_fd, l.out_fd, WIRE_EXACT, 20000);
	link_say(&l, "NOOP\r\nQUIT\r\nSTAT\r\n", 18);
	assert_int_equal(command_loop(&w, &table, &l), COMMANDS_ENDED);
	assert_int_equal(wire_read_line(&w, &line), WIRE_LINE);
	assert_text("STAT", line.octets, line.length);
	wire_flush(&w);
	assert_heard(l.from_server, "+\n");
	link_close(&l);
}

/* A password leaves memory with its command, whatever happens to the command. */
TEST(secret_state_wipes_each_line)
{
	static const char *const lines[] = {"SECRET sesame\r\n", "NOOP sesame\r\n",
		"PASX sesame\n", "SECRET ses\0sesame\n"};
	const struct command_table table = {
		.commands = commands, .count = COUNT_OF(commands), .secret = true};
	char too_long[300];

	memset(too_long, ' ', sizeof too_long);
	memcpy(too_long + 200, "sesame", 6);
	for (size_t i = 0; i <= COUNT_OF(lines); i++) {
		link_open(&l, LINK_SOCKET);
		memset(&w, 0, sizeof w);
		wire_open(&w, l.in_fd, l.out_fd, WIRE_EXACT, 20000);
		if (i < COUNT_OF(lines))
			link_say(&l, lines[i], i == 3 ? 18 : strlen(lines[i]));
		else
			link_say(&l, too_long, sizeof too_long);
		link_say(&l, "\r\nQUIT\r\n", 8);
		assert_int_equal(command_loop(&w, &table, &l), COMMANDS_ENDED);
		assert_null(memmem(w.in, sizeof w.in, "sesame", 6));
		link_close(&l);
	}
}

/* What --debug writes. */
static void play_some(void)
{
	char heard[4096];
	size_t octets;
	static const char said[] = "RETR 7\nSECRET sesame\nSECRETS sesame\nSEC sesame\n"
				   "PASX sesame\nUSER some one\n";

	play(0, said, sizeof said - 1, heard, &octets);
}

static int debug_log_is_right(void)
{
	static const char *const wanted[] = {"client=RETR arguments=7\n",
		"client=SECRET arguments=(hidden)\n", "client=? arguments=(hidden)\n",
		"client=USER arguments=\"some one\"\n", "server=\"-ERR "};
	char log[4096];
	size_t octets;

	if (unit_stderr_of(play_some, log, sizeof log) != 0)
		return 1;
	log_show_debug();
	octets = unit_stderr_of(play_some, log, sizeof log);
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if (memmem(log, octets, wanted[i], strlen(wanted[i])) == NULL)
			return 2 + (int)i;
	return memmem(log, octets, "sesame", 6) == NULL ? 0 : 20;
}

TEST(debug_log_shows_commands_and_never_a_secret)
{
	assert_int_equal(unit_in_child(debug_log_is_right), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(keyword_is_of_any_case),
	cmocka_unit_test(unknown_command_is_an_error),
	cmocka_unit_test(command_without_arguments_takes_none),
	cmocka_unit_test(text_is_all_the_rest_of_the_line),
	cmocka_unit_test(number_is_decimal_and_nothing_else),
	cmocka_unit_test(number_never_overflows),
	cmocka_unit_test(number_may_be_left_out_where_the_rule_says_so),
	cmocka_unit_test(top_needs_a_number_and_a_count),
	cmocka_unit_test(spaces_at_the_end_of_a_line_are_ignored),
	cmocka_unit_test(spaces_of_user_and_pass_are_kept),
	cmocka_unit_test(number_reads_no_further_than_its_octets),
	cmocka_unit_test(line_too_long_is_answered_once_and_the_next_is_served),
	cmocka_unit_test(nul_is_answered_and_the_next_line_is_served),
	cmocka_unit_test(tenth_bad_command_ends_the_state),
	cmocka_unit_test(tenth_bad_command_is_answered_and_the_eleventh_not_read),
	cmocka_unit_test(without_a_limit_bad_commands_never_end_the_state),
	cmocka_unit_test(end_of_the_state_leaves_what_was_sent_after_it),
	cmocka_unit_test(secret_state_wipes_each_line),
	cmocka_unit_test(debug_log_shows_commands_and_never_a_secret),
};

int main(void)
{
	return UNIT_RUN("command", tests);
}
