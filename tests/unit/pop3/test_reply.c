/* reply: status, response code (RFC 2449 section 8), text, in at most 512 octets. */
#include "tests/unit/unit_reply.h"

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

TEST(status_and_text)
{
	reply_ok(&r.wire, TEXT_PASSWORD_REQUIRED);
	assert_string_equal(unit_reply_take(&r), "+OK password required\r\n");
	reply_error(&r.wire, REPLY_NO_CODE, TEXT_LOGIN_FIRST);
	assert_string_equal(unit_reply_take(&r), "-ERR log in first\r\n");
}

TEST(codes_stand_in_front_of_the_text)
{
	static const struct {
		enum reply_code code;
		const char *line;
	} cases[] = {{REPLY_AUTH, "-ERR [AUTH] login failed\r\n"},
		{REPLY_SYS_TEMP, "-ERR [SYS/TEMP] login failed\r\n"},
		{REPLY_SYS_PERM, "-ERR [SYS/PERM] login failed\r\n"},
		{REPLY_IN_USE, "-ERR [IN-USE] login failed\r\n"}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		reply_error(&r.wire, cases[i].code, TEXT_LOGIN_FAILED);
		assert_string_equal(unit_reply_take(&r), cases[i].line);
	}
}

TEST(numbers_and_words_are_filled_in)
{
	reply_ok_with(&r.wire, TEXT_MESSAGES, reply_numbers(3, 1200));
	assert_string_equal(unit_reply_take(&r), "+OK 3 messages (1200 octets)\r\n");
	reply_error_with(
		&r.wire, REPLY_SYS_TEMP, TEXT_NOT_REMOVED, reply_numbers(1, UINT64_MAX));
	assert_string_equal(unit_reply_take(&r), "-ERR [SYS/TEMP] 1 deleted messages not "
						 "removed, 18446744073709551615 left\r\n");
	reply_ok_with(&r.wire, TEXT_GOODBYE, (struct text_values){{0, 0}, "caliban.example"});
	assert_string_equal(
		unit_reply_take(&r), "+OK caliban.example POP3 server signing off\r\n");
}

TEST(the_language_is_that_of_the_wire)
{
	r.wire.language = LANGUAGE_GERMAN;
	reply_error(&r.wire, REPLY_AUTH, TEXT_LOGIN_FAILED);
	assert_string_equal(unit_reply_take(&r), "-ERR [AUTH] Anmeldung fehlgeschlagen\r\n");
}

/* No value, however long, makes a line too long or removes its line end. */
TEST(a_line_has_at_most_512_octets)
{
	char word[600];

	for (size_t length = 400; length < sizeof word; length++) {
		const char *got;

		memset(word, 'w', length);
		word[length] = '\0';
		reply_error_with(&r.wire, REPLY_SYS_TEMP, TEXT_READY,
			(struct text_values){{0, 0}, word});
		got = unit_reply_take(&r);
		assert_in_range(strlen(got), 400, WIRE_REPLY_OCTETS);
		assert_ptr_equal(strstr(got, "\r\n"), got + strlen(got) - 2);
	}
}

TEST(a_percent_sign_in_a_word_is_left_alone)
{
	reply_ok_with(&r.wire, TEXT_READY, (struct text_values){{0, 0}, "%s%n%d"});
	assert_string_equal(unit_reply_take(&r), "+OK %s%n%d POP3 server ready\r\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(status_and_text, setup, teardown),
	cmocka_unit_test_setup_teardown(codes_stand_in_front_of_the_text, setup, teardown),
	cmocka_unit_test_setup_teardown(numbers_and_words_are_filled_in, setup, teardown),
	cmocka_unit_test_setup_teardown(the_language_is_that_of_the_wire, setup, teardown),
	cmocka_unit_test_setup_teardown(a_line_has_at_most_512_octets, setup, teardown),
	cmocka_unit_test_setup_teardown(
		a_percent_sign_in_a_word_is_left_alone, setup, teardown),
};

int main(void)
{
	return UNIT_RUN("reply", tests);
}
