/* lang: the LANG command (RFC 6856 section 3). */
#include "tests/unit/unit_reply.h"

#include "pop3/lang.h"
#include "pop3/reply.h"

static struct unit_reply r;

static int setup(void **state)
{
	(void)state;
	unit_reply_open(&r);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_reply_close(&r);
	return 0;
}

static bool choose(const char *tag)
{
	return lang_reply(&r.wire, (struct span){tag, strlen(tag)});
}

TEST(without_an_argument_it_lists_the_languages)
{
	assert_true(choose(""));
	assert_string_equal(unit_reply_take(&r),
		"+OK language listing follows\r\ni-default English\r\nen "
		"English\r\nde Deutsch\r\n.\r\n");
	assert_int_equal(r.wire.language, LANGUAGE_ENGLISH);
}

/* The tag is the first word, and the rest is already in that language. */
TEST(a_choice_is_answered_with_its_tag)
{
	assert_true(choose("de-CH"));
	assert_string_equal(unit_reply_take(&r), "+OK de ab hier auf Deutsch\r\n");
	reply_error(&r.wire, REPLY_NO_CODE, TEXT_LOGIN_FIRST);
	assert_string_equal(unit_reply_take(&r), "-ERR bitte zuerst anmelden\r\n");
	assert_true(choose(""));
	assert_string_equal(unit_reply_take(&r),
		"+OK Liste der Sprachen folgt\r\ni-default English\r\nen "
		"English\r\nde Deutsch\r\n.\r\n");
	assert_true(choose("EN"));
	assert_string_equal(unit_reply_take(&r), "+OK en English from here on\r\n");
	assert_int_equal(r.wire.language, LANGUAGE_ENGLISH);
}

TEST(an_asterisk_or_its_name_is_the_default)
{
	assert_true(choose("de"));
	assert_true(choose("*"));
	unit_reply_take(&r);
	assert_int_equal(r.wire.language, LANGUAGE_ENGLISH);
	assert_true(choose("de"));
	assert_true(choose("i-default"));
	unit_reply_take(&r);
	assert_int_equal(r.wire.language, LANGUAGE_ENGLISH);
}

TEST(what_is_not_there_changes_nothing)
{
	static const char *const wrong[] = {
		"fr", "**", "*-DE", "i-defaul", "i-default-x", "d", "deutsch", "de de", "\xff"};

	assert_true(choose("de"));
	unit_reply_take(&r);
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_false(choose(wrong[i]));
		assert_string_equal(unit_reply_take(&r),
			"-ERR unbekannte Sprache, LANG zählt die Sprachen auf\r\n");
		assert_int_equal(r.wire.language, LANGUAGE_GERMAN);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		without_an_argument_it_lists_the_languages, setup, teardown),
	cmocka_unit_test_setup_teardown(a_choice_is_answered_with_its_tag, setup, teardown),
	cmocka_unit_test_setup_teardown(
		an_asterisk_or_its_name_is_the_default, setup, teardown),
	cmocka_unit_test_setup_teardown(what_is_not_there_changes_nothing, setup, teardown),
};

int main(void)
{
	return UNIT_RUN("lang", tests);
}
