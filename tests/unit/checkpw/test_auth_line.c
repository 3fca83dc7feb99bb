/* auth_line: fields and escapes of Dovecot's lines, whatever octets come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "checkpw/auth_line.c"

/* The line is in an allocation of its own, so that the sanitizers see what leaves it. Returns
 * the copy, which is the caller's. */
static char *split(const char *octets, size_t length, struct auth_line *line, bool *is_good)
{
	char *const copy = malloc(length + 1);

	assert_non_null(copy);
	memcpy(copy, octets, length);
	*is_good = auth_line_split(copy, length, line);
	return copy;
}

static void a_line_is_cut_at_tabs(void **state)
{
	static const char octets[] = "OK\t1\t\tuser=joe\tnologin\tx=a=b";
	struct auth_line line;
	bool is_good;
	char *const copy = split(octets, sizeof octets - 1, &line, &is_good);

	(void)state;
	assert_true(is_good);
	assert_int_equal(line.count, 6);
	assert_string_equal(line.field[0], "OK");
	assert_string_equal(line.field[2], "");
	assert_string_equal(auth_line_value(&line, 2, "user"), "joe");
	assert_string_equal(auth_line_value(&line, 2, "nologin"), "");
	assert_string_equal(auth_line_value(&line, 2, "x"), "a=b");
	assert_null(auth_line_value(&line, 2, "use"));
	assert_null(auth_line_value(&line, 2, "userx"));
	assert_null(auth_line_value(&line, 4, "user"));
	assert_null(auth_line_value(&line, 2, "1"));
	free(copy);
}

static void escapes_are_undone(void **state)
{
	static const char octets[] = "a\001tb\0011c\001rd\001le\001nf\001xg";
	struct auth_line line;
	bool is_good;
	char *const copy = split(octets, sizeof octets - 1, &line, &is_good);

	(void)state;
	assert_true(is_good);
	assert_int_equal(line.count, 1);
	assert_string_equal(line.field[0], "a\tb\001c\rd\ne\nfxg");
	free(copy);
}

static void bad_lines_are_refused(void **state)
{
	static const struct {
		const char *octets;
		size_t length;
	} cases[] = {{"a\0b", 3}, {"a\t\0", 3}, {"a\0010", 3}, {"a\001", 2}, {"\001\tb", 3}};
	struct auth_line line;
	bool is_good;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		free(split(cases[i].octets, cases[i].length, &line, &is_good));
		assert_false(is_good);
	}
}

static void there_is_a_most_of_fields(void **state)
{
	char octets[AUTH_FIELDS_MAX + 1];
	struct auth_line line;
	bool is_good;

	(void)state;
	memset(octets, '\t', sizeof octets);
	free(split(octets, AUTH_FIELDS_MAX - 1, &line, &is_good));
	assert_true(is_good);
	assert_int_equal(line.count, AUTH_FIELDS_MAX);
	free(split(octets, AUTH_FIELDS_MAX, &line, &is_good));
	assert_false(is_good);
}

/* Three octets of each kind that matters, in every order. */
static void no_octets_do_harm(void **state)
{
	static const char kinds[] = {'\0', '\001', '\t', '\n', '0', 't', '=', 'x'};
	struct auth_line line;
	bool is_good;
	char octets[4];

	(void)state;
	for (unsigned number = 0; number < 8 * 8 * 8 * 8; number++) {
		for (unsigned i = 0; i < 4; i++)
			octets[i] = kinds[number >> (3 * i) & 7];
		for (size_t length = 0; length <= 4; length++) {
			char *const copy = split(octets, length, &line, &is_good);

			for (size_t i = 0; is_good && i < line.count; i++)
				assert_true(strlen(line.field[i]) <= length);
			free(copy);
		}
	}
}

static void values_are_escaped_and_never_leave_the_room(void **state)
{
	static const char whole[] = "user=a\001tb\0011\001l\001r";

	(void)state;
	for (size_t size = 1; size <= sizeof whole + 1; size++) {
		char *const octets = malloc(size);
		struct auth_text text = {octets, 0, size, false};

		assert_non_null(octets);
		octets[0] = '\0';
		auth_text_add(&text, "user=");
		auth_text_escape(&text, "a\tb\001\n\r");
		assert_true(text.is_full == (size < sizeof whole));
		assert_memory_equal(octets, whole, text.length);
		if (!text.is_full)
			assert_string_equal(octets, whole);
		free(octets);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_cut_at_tabs),
		cmocka_unit_test(escapes_are_undone),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(there_is_a_most_of_fields),
		cmocka_unit_test(no_octets_do_harm),
		cmocka_unit_test(values_are_escaped_and_never_leave_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
