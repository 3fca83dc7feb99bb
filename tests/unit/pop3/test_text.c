/* text: the catalogue is complete: every text in every language, with the same values in it. */
#include "tests/unit/unit.h"

#include "lib/utf8.h"
#include "pop3/text.h"
#include "pop3/wire.h"

/* A reply has a status, and perhaps a response code, before its text. */
#define BEFORE_TEXT "-ERR [SYS/TEMP] "

static const char *pattern(int text, int language)
{
	return text_pattern((enum text)text, (enum language)language);
}

static size_t count_of(const char *haystack, const char *needle)
{
	size_t count = 0;

	while ((haystack = strstr(haystack, needle)) != NULL) {
		count++;
		haystack += strlen(needle);
	}
	return count;
}

TEST(no_text_is_missing)
{
	for (int text = 0; text < TEXT_COUNT; text++)
		for (int language = 0; language < LANGUAGE_COUNT; language++) {
			const char *const found = pattern(text, language);

			if (found == NULL || found[0] == '\0')
				fail_msg("text %d is missing in %s", text,
					text_tag((enum language)language));
		}
}

TEST(values_are_the_same_in_all_languages)
{
	static const char *const values[] = {"%s", "%1", "%2"};

	for (int text = 0; text < TEXT_COUNT; text++) {
		const char *const english = pattern(text, LANGUAGE_ENGLISH);
		size_t known = 0;

		for (size_t v = 0; v < COUNT_OF(values); v++) {
			const size_t count = count_of(english, values[v]);

			if (count > 1)
				fail_msg("%s more than once: %s", values[v], english);
			known += count;
			for (int language = 0; language < LANGUAGE_COUNT; language++)
				if (count_of(pattern(text, language), values[v]) != count)
					fail_msg("%s: %s / %s", values[v], english,
						pattern(text, language));
		}
		for (int language = 0; language < LANGUAGE_COUNT; language++)
			if (count_of(pattern(text, language), "%") != known)
				fail_msg("a stray %%: %s", pattern(text, language));
	}
}

TEST(no_text_was_left_in_english)
{
	for (int text = 0; text < TEXT_COUNT; text++)
		if (strcmp(pattern(text, LANGUAGE_ENGLISH), pattern(text, LANGUAGE_GERMAN)) ==
			0)
			fail_msg("the same in both: %s", pattern(text, LANGUAGE_ENGLISH));
}

TEST(no_text_is_there_twice)
{
	for (int language = 0; language < LANGUAGE_COUNT; language++)
		for (int text = 0; text < TEXT_COUNT; text++)
			for (int other = 0; other < text; other++)
				assert_string_not_equal(
					pattern(text, language), pattern(other, language));
}

/* RFC 2449 section 8: a text that begins with "[" would be a response code. Section 6: in the
 * greeting "<" begins the timestamp. */
TEST(texts_may_stand_in_a_reply)
{
	for (int text = 0; text < TEXT_COUNT; text++)
		for (int language = 0; language < LANGUAGE_COUNT; language++) {
			const char *const found = pattern(text, language);

			assert_int_not_equal(found[0], '[');
			assert_int_not_equal(found[0], ' ');
			assert_int_not_equal(found[strlen(found) - 1], ' ');
			assert_null(strpbrk(found, "<>"));
			assert_true(utf8_is_valid(found, strlen(found)));
			for (const char *at = found; *at != '\0'; at++)
				if ((unsigned char)*at < ' ' || *at == 0x7f ||
					(language == LANGUAGE_ENGLISH &&
						(unsigned char)*at > '~'))
					fail_msg("octet %d in %s", (unsigned char)*at, found);
		}
}

TEST(the_longest_values_fit_in_a_reply)
{
	char host[256], line[2048];
	const struct text_values values = {{UINT64_MAX, UINT64_MAX}, host};

	memset(host, 'h', 255);
	host[255] = '\0';
	for (int text = 0; text < TEXT_COUNT; text++)
		for (int language = 0; language < LANGUAGE_COUNT; language++) {
			const size_t length = text_fill(line, sizeof line, (enum text)text,
				(enum language)language, &values);

			assert_int_equal(length, strlen(line));
			assert_in_range(length, 1, WIRE_REPLY_OCTETS - sizeof BEFORE_TEXT - 1);
			assert_null(strchr(line, '%'));
		}
}

TEST(values_are_filled_in)
{
	char line[128];
	const struct text_values values = {{12, 3456}, "caliban.example"};

	text_fill(line, sizeof line, TEXT_MESSAGES, LANGUAGE_ENGLISH, &values);
	assert_string_equal(line, "12 messages (3456 octets)");
	text_fill(line, sizeof line, TEXT_MESSAGES, LANGUAGE_GERMAN, &values);
	assert_string_equal(line, "12 Nachrichten (3456 Oktette)");
	text_fill(line, sizeof line, TEXT_GOODBYE_LEFT, LANGUAGE_ENGLISH, &values);
	assert_string_equal(line, "caliban.example POP3 server signing off (12 messages left)");
	text_fill(line, sizeof line, TEXT_OCTETS, LANGUAGE_ENGLISH,
		&(struct text_values){{UINT64_MAX, 0}, ""});
	assert_string_equal(line, "18446744073709551615 octets");
}

/* A value is text, never a pattern. */
TEST(a_percent_sign_in_a_value_is_left_alone)
{
	char line[128];

	text_fill(line, sizeof line, TEXT_READY, LANGUAGE_ENGLISH,
		&(struct text_values){{1, 2}, "%s%1%n"});
	assert_string_equal(line, "%s%1%n POP3 server ready");
}

TEST(no_octet_is_written_beyond_the_capacity)
{
	char whole[512], line[512];
	const struct text_values values = {{123456, 654321}, "caliban.example"};

	for (int text = 0; text < TEXT_COUNT; text++) {
		const size_t all = text_fill(
			whole, sizeof whole, (enum text)text, LANGUAGE_GERMAN, &values);

		for (size_t capacity = 1; capacity <= all + 2; capacity++) {
			const size_t most = capacity - 1 < all ? capacity - 1 : all;

			memset(line, 'x', sizeof line);
			assert_int_equal(text_fill(line, capacity, (enum text)text,
						 LANGUAGE_GERMAN, &values),
				most);
			assert_memory_equal(line, whole, most);
			assert_int_equal(line[most], '\0');
			assert_int_equal(line[capacity], 'x');
		}
	}
}

TEST(tags_of_languages)
{
	static const struct {
		const char *tag;
		int language; /* -1: none */
	} cases[] = {{"en", LANGUAGE_ENGLISH}, {"EN", LANGUAGE_ENGLISH},
		{"en-US", LANGUAGE_ENGLISH}, {"de", LANGUAGE_GERMAN}, {"De", LANGUAGE_GERMAN},
		{"de-AT", LANGUAGE_GERMAN}, {"de-Latn-AT-1996", LANGUAGE_GERMAN},
		{"de-", LANGUAGE_GERMAN}, {"", -1}, {"d", -1}, {"den", -1}, {"de_AT", -1},
		{"ende", -1}, {"fr", -1}, {"*", -1}, {" de", -1}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum language language = LANGUAGE_COUNT;
		const bool found = text_language(cases[i].tag, strlen(cases[i].tag), &language);

		if (found != (cases[i].language >= 0))
			fail_msg("\"%s\"", cases[i].tag);
		assert_int_equal(language, found ? cases[i].language : LANGUAGE_COUNT);
	}
}

/* A tag is octets and a length. Octets after it are ignored. */
TEST(a_tag_ends_where_its_length_says)
{
	enum language language = LANGUAGE_COUNT;

	assert_true(text_language("den", 2, &language));
	assert_int_equal(language, LANGUAGE_GERMAN);
	assert_false(text_language("de", 1, &language));
}

TEST(each_language_is_found_by_its_own_tag)
{
	for (int i = 0; i < LANGUAGE_COUNT; i++) {
		const char *const tag = text_tag((enum language)i);
		enum language language = LANGUAGE_COUNT;

		assert_true(text_language(tag, strlen(tag), &language));
		assert_int_equal(language, i);
		assert_true(strlen(text_language_name((enum language)i)) > 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(no_text_is_missing),
	cmocka_unit_test(values_are_the_same_in_all_languages),
	cmocka_unit_test(no_text_was_left_in_english),
	cmocka_unit_test(no_text_is_there_twice),
	cmocka_unit_test(texts_may_stand_in_a_reply),
	cmocka_unit_test(the_longest_values_fit_in_a_reply),
	cmocka_unit_test(values_are_filled_in),
	cmocka_unit_test(a_percent_sign_in_a_value_is_left_alone),
	cmocka_unit_test(no_octet_is_written_beyond_the_capacity),
	cmocka_unit_test(tags_of_languages),
	cmocka_unit_test(a_tag_ends_where_its_length_says),
	cmocka_unit_test(each_language_is_found_by_its_own_tag),
};

int main(void)
{
	return UNIT_RUN("text", tests);
}
