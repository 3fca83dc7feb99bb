/* option: the table of options: what is parsed, what --help says, what a session is handed. */
#include "tests/unit/unit.h"

#include "lib/option.h"

struct fields {
	bool quiet;
	int64_t seconds;
	const char *path;
	unsigned taken;
};

static bool take_even(void *settings, const char *value)
{
	struct fields *const f = settings;

	f->taken++;
	return strlen(value) % 2 == 0;
}

static bool give_taken(const void *settings, char *value, size_t octets)
{
	const struct fields *const f = settings;

	return f->taken > 0 && snprintf(value, octets, "%u", f->taken) > 0;
}

static const struct option_row rows[] = {
	{.name = "even",
		.kind = OPTION_OTHER,
		.value = "TEXT",
		.take = take_even,
		.give = give_taken,
		.help = "one line\nand another"},
	{.name = "help", .kind = OPTION_ACTION, .help = "this"},
	{.name = "path",
		.letter = 'p',
		.kind = OPTION_TEXT,
		.value = "PATH",
		.field = offsetof(struct fields, path)},
	{.name = "quiet",
		.kind = OPTION_SWITCH,
		.field = offsetof(struct fields, quiet),
		.help = "say nothing"},
	{.name = "quiet-seconds-of-a-long-name",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = offsetof(struct fields, seconds),
		.least = 2,
		.most = 10,
		.help = "for so long"},
	{.name = "evening",
		.kind = OPTION_SWITCH,
		.field = offsetof(struct fields, quiet),
		.help = NULL},
};

static const struct option_table table = {rows, COUNT_OF(rows)};
static struct fields f;

#define PARSE(...)                                                                             \
	(f = (struct fields){0},                                                               \
		option_parse(&table, &f, (char *[]){"program", __VA_ARGS__, NULL}))

TEST(values_follow_an_equals_sign_or_are_the_next_word)
{
	struct option_end end =
		PARSE("--path=a=b", "--quiet-s", "5", "--even=", "rest", "--quiet");

	assert_false(end.is_wrong);
	assert_null(end.row);
	assert_int_equal(end.index, 5);
	assert_string_equal(f.path, "a=b");
	assert_int_equal(f.seconds, 5);
	assert_int_equal(f.taken, 1);
	assert_false(f.quiet);
}

TEST(letters_take_the_rest_of_the_word_or_the_next_one)
{
	assert_int_equal(PARSE("-px").index, 2);
	assert_string_equal(f.path, "x");
	assert_int_equal(PARSE("-p", "-q", "y").index, 3);
	assert_string_equal(f.path, "-q");
	assert_true(PARSE("-q").is_wrong);
	assert_true(PARSE("-p").is_wrong);
}

TEST(options_end_at_two_dashes_or_at_the_first_word_that_is_none)
{
	assert_int_equal(PARSE("--", "--quiet").index, 2);
	assert_false(f.quiet);
	assert_int_equal(PARSE("-", "--quiet").index, 1);
	assert_int_equal(PARSE("", "--quiet").index, 1);
	assert_int_equal(option_parse(&table, &f, (char *[]){NULL}).index, 0);
}

TEST(names_may_be_cut_while_they_are_unique)
{
	assert_false(PARSE("--quiet").is_wrong); /* whole, though another begins so */
	assert_true(f.quiet);
	assert_true(PARSE("--qui").is_wrong);
	assert_false(PARSE("--pa", "x").is_wrong);
	assert_true(PARSE("--pathes", "x").is_wrong);
}

/* "--eve" means --even: --evening is not for people. */
TEST(a_late_option_takes_no_abbreviation_away)
{
	assert_false(PARSE("--eve", "ab").is_wrong);
	assert_true(f.taken > 0);
	assert_false(PARSE("--eveni").is_wrong);
	assert_true(f.quiet);
}

TEST(wrong_words_are_named)
{
	struct option_end end = PARSE("--quiet=yes");

	assert_true(end.is_wrong);
	assert_null(end.row);
	assert_string_equal(end.value, "--quiet=yes");
	end = PARSE("--none");
	assert_true(end.is_wrong);
	assert_string_equal(end.value, "--none");
	end = PARSE("--path");
	assert_true(end.is_wrong);
	assert_null(end.row);
	end = PARSE("--even", "odd");
	assert_true(end.is_wrong);
	assert_string_equal(end.row->name, "even");
	assert_string_equal(end.value, "odd");
	assert_true(PARSE("--path=").is_wrong);
	assert_true(PARSE("--quiet-s=1").is_wrong);
	assert_true(PARSE("--quiet-s=11").is_wrong);
	assert_true(PARSE("--quiet-s=x").is_wrong);
}

TEST(action_ends_the_parsing)
{
	const struct option_end end = PARSE("--quiet", "--help", "--none");

	assert_false(end.is_wrong);
	assert_string_equal(end.row->name, "help");
	assert_true(f.quiet);
}

TEST(help_is_in_columns)
{
	static const char expected[] = "  --even TEXT                one line\n"
				       "                             and another\n"
				       "  --help                     this\n"
				       "  --quiet                    say nothing\n"
				       "  --quiet-seconds-of-a-long-name SECONDS for so long\n";
	char text[sizeof expected];

	assert_true(option_help(&table, text, sizeof text));
	assert_string_equal(text, expected);
	for (size_t octets = 0; octets < sizeof text; octets++)
		assert_false(option_help(&table, text, octets));
}

static void gives(size_t row, const char *expected)
{
	char text[64];
	const size_t length = strlen(expected);

	assert_int_equal(option_argument(&rows[row], &f, text, sizeof text), length);
	if (length == 0)
		return;
	assert_string_equal(text, expected);
	if (rows[row].kind == OPTION_TEXT || rows[row].kind == OPTION_SECONDS)
		assert_int_equal(option_argument(&rows[row], &f, text, length), SIZE_MAX);
}

TEST(session_is_handed_what_was_asked)
{
	f = (struct fields){.seconds = 7};
	gives(0, "");
	gives(2, "");
	gives(3, "");
	gives(4, "--quiet-seconds-of-a-long-name=7");
	f = (struct fields){.quiet = true, .path = "a b", .taken = 3};
	gives(0, "--even=3");
	gives(2, "--path=a b");
	gives(3, "--quiet");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(values_follow_an_equals_sign_or_are_the_next_word),
	cmocka_unit_test(letters_take_the_rest_of_the_word_or_the_next_one),
	cmocka_unit_test(options_end_at_two_dashes_or_at_the_first_word_that_is_none),
	cmocka_unit_test(names_may_be_cut_while_they_are_unique),
	cmocka_unit_test(a_late_option_takes_no_abbreviation_away),
	cmocka_unit_test(wrong_words_are_named),
	cmocka_unit_test(action_ends_the_parsing),
	cmocka_unit_test(help_is_in_columns),
	cmocka_unit_test(session_is_handed_what_was_asked),
};

int main(void)
{
	return UNIT_RUN("option", tests);
}
