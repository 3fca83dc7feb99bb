/* sasl: the exchanges of RFC 5034, and the mechanisms with passwords. */
#include "tests/unit/unit_sasl.h"

/* RFC 5034 section 6. */
TEST(plain_with_initial_response)
{
	assert_credentials(start("PLAIN dGVzdAB0ZXN0AHRlc3Q="), "test", "test");
	assert_int_equal(s.mechanism, SASL_PLAIN);
}

TEST(plain_after_an_empty_challenge)
{
	assert_int_equal(start("PLAIN"), SASL_CONTINUE);
	assert_challenge("");
	assert_credentials(step("dGVzdAB0ZXN0AHRlc3Q="), "test", "test");
}

/* RFC 4616 section 4. */
TEST(plain_example_of_rfc_4616)
{
	assert_credentials(say("PLAIN", "\0tim\0tanstaaftanstaaf"), "tim", "tanstaaftanstaaf");
}

TEST(plain_for_another_user_is_refused)
{
	assert_malformed(say("PLAIN", "Ursel\0Kurt\0xipj3plmq"), SASL_PROBLEM_OTHER_USER);
	assert_malformed(say("PLAIN", "kurt\0Kurt\0xipj3plmq"), SASL_PROBLEM_OTHER_USER);
	assert_malformed(say("PLAIN", "Kur\0Kurt\0xipj3plmq"), SASL_PROBLEM_OTHER_USER);
	assert_malformed(say("PLAIN", "Kurt\0\0xipj3plmq"), SASL_PROBLEM_OTHER_USER);
	assert_credentials(say("PLAIN", "Kurt\0Kurt\0xipj3plmq"), "Kurt", "xipj3plmq");
}

TEST(plain_of_another_form_is_refused)
{
	assert_malformed(say("PLAIN", ""), SASL_PROBLEM_FORM);
	assert_malformed(start("PLAIN ="), SASL_PROBLEM_FORM);
	assert_malformed(say("PLAIN", "tim"), SASL_PROBLEM_FORM);
	assert_malformed(say("PLAIN", "tim\0secret"), SASL_PROBLEM_FORM);
	assert_malformed(say("PLAIN", "\0\0"), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(say("PLAIN", "\0\0secret"), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(say("PLAIN", "\0tim\0"), SASL_PROBLEM_EMPTY_PASSWORD);
	assert_malformed(say("PLAIN", "\0tim\0secret\0"), SASL_PROBLEM_CONTROL);
	assert_malformed(say("PLAIN", "\0tim\0sec\0ret"), SASL_PROBLEM_CONTROL);
	assert_malformed(say("PLAIN", "\0tim\0sec\nret"), SASL_PROBLEM_CONTROL);
	assert_malformed(say("PLAIN", "\0tim\r\0secret"), SASL_PROBLEM_CONTROL);
}

TEST(plain_is_utf8)
{
	assert_credentials(say("PLAIN", "\0J\xc3\xb6rg\0K\xc3\xa4se und Brot"), "J\xc3\xb6rg",
		"K\xc3\xa4se und Brot");
	assert_malformed(say("PLAIN", "\0J\xf6rg\0secret"), SASL_PROBLEM_UTF8);
	assert_malformed(say("PLAIN", "\0Joerg\0K\xe4se"), SASL_PROBLEM_UTF8);
}

/* draft-murchison-sasl-login-00 section 2.3, with the challenges that all clients know. */
TEST(login_asks_for_name_and_password)
{
	assert_int_equal(start("LOGIN"), SASL_CONTINUE);
	assert_challenge("VXNlcm5hbWU6");
	assert_int_equal(step("dGlt"), SASL_CONTINUE);
	assert_challenge("UGFzc3dvcmQ6");
	assert_credentials(step("dGFuc3RhYWZ0YW5zdGFhZg=="), "tim", "tanstaaftanstaaf");
	assert_int_equal(s.mechanism, SASL_LOGIN);
}

TEST(login_with_the_name_as_initial_response)
{
	assert_int_equal(start("LOGIN dGlt"), SASL_CONTINUE);
	assert_challenge("UGFzc3dvcmQ6");
	assert_credentials(step("dGFuc3RhYWZ0YW5zdGFhZg=="), "tim", "tanstaaftanstaaf");
}

TEST(login_with_empty_or_wrong_fields_is_refused)
{
	assert_malformed(start("LOGIN ="), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(say("LOGIN", ""), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(say("LOGIN", "a\0b"), SASL_PROBLEM_CONTROL);
	assert_malformed(say("LOGIN", "J\xf6rg"), SASL_PROBLEM_UTF8);
	start("LOGIN dGlt");
	assert_malformed(step(""), SASL_PROBLEM_EMPTY_PASSWORD);
	start("LOGIN dGlt");
	assert_malformed(step_message("a\nb", 3), SASL_PROBLEM_CONTROL);
	start("LOGIN dGlt");
	assert_malformed(step("="), SASL_PROBLEM_BASE64);
}

/* Thunderbird sends it in this form. */
TEST(login_takes_a_password_in_latin_1)
{
	start("LOGIN dGlt");
	assert_credentials(step_message("K\xe4se", 4), "tim", "K\xe4se");
}

/* RFC 2195 section 2. */
TEST(cram_md5_example_of_rfc_2195)
{
	assert_int_equal(start("CRAM-MD5"), SASL_CONTINUE);
	assert_challenge("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+");
	assert_credentials(step("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"), "tim",
		"b913a602c7eda7a495b4e6e7334d3890");
}

TEST(cram_md5_takes_no_initial_response)
{
	assert_malformed(start("CRAM-MD5 dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"),
		SASL_PROBLEM_INITIAL);
	assert_malformed(start("CRAM-MD5 ="), SASL_PROBLEM_INITIAL);
	assert_int_equal(start("CRAM-MD5 "), SASL_CONTINUE);
}

#define DIGEST "0123456789abcdef0123456789abcdef"

TEST(cram_md5_digest_is_32_lower_case_hex_digits)
{
	assert_credentials(say("CRAM-MD5", "two words " DIGEST), "two words", DIGEST);
	assert_credentials(say("CRAM-MD5", "a  " DIGEST), "a ", DIGEST);
	assert_malformed(say("CRAM-MD5", " " DIGEST), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(say("CRAM-MD5", DIGEST), SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", ""), SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", "tim"), SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", "tim\t" DIGEST), SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", "tim " DIGEST "0"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("CRAM-MD5", "tim 0123456789abcdef0123456789abcde"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("CRAM-MD5", "tim 0123456789abcdef0123456789ABCDEF"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("CRAM-MD5", "tim 0123456789abcdef\0x23456789abcde"), SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", "tim 0123456789abcdef\0"
					 "123456789abcdef"),
		SASL_PROBLEM_FORM);
	assert_malformed(say("CRAM-MD5", "t\0m " DIGEST), SASL_PROBLEM_CONTROL);
}

TEST(cram_md5_needs_a_timestamp)
{
	char longest[SASL_TIMESTAMP_OCTETS + 2];

	assert_int_equal(start_with(SASL_SET_ALL, "CRAM-MD5", 8, ""), SASL_NOT_ALLOWED);
	memset(longest, 't', sizeof longest);
	longest[SASL_TIMESTAMP_OCTETS] = '\0';
	assert_int_equal(start_with(SASL_SET_ALL, "CRAM-MD5", 8, longest), SASL_CONTINUE);
	assert_int_equal(strlen(s.challenge), SASL_CHALLENGE_OCTETS - 1);
	memset(longest, 't', sizeof longest - 1);
	longest[SASL_TIMESTAMP_OCTETS + 1] = '\0';
	assert_int_equal(start_with(SASL_SET_ALL, "CRAM-MD5", 8, longest), SASL_NOT_ALLOWED);
}

TEST(refused_passwords_end_the_exchange)
{
	start("PLAIN dGVzdAB0ZXN0AHRlc3Q=");
	assert_int_equal(checked(sasl_refuse(&s)), SASL_REFUSED);
	assert_malformed(checked(sasl_refuse(&s)), SASL_PROBLEM_NO_EXCHANGE);
	assert_malformed(step("dGVzdAB0ZXN0AHRlc3Q="), SASL_PROBLEM_NO_EXCHANGE);
}

TEST(asterisk_cancels)
{
	static const char *const commands[] = {
		"PLAIN", "LOGIN", "LOGIN dGlt", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"};

	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		assert_int_equal(start(commands[i]), SASL_CONTINUE);
		assert_int_equal(step("*"), SASL_CANCELLED);
		assert_int_equal(start(commands[i]), SASL_CONTINUE);
		assert_malformed(step("**"), SASL_PROBLEM_BASE64);
		assert_int_equal(start(commands[i]), SASL_CONTINUE);
		assert_malformed(step("* "), SASL_PROBLEM_BASE64);
	}
	assert_malformed(start("PLAIN *"), SASL_PROBLEM_BASE64);
}

TEST(bad_base64_is_refused)
{
	static const char *const bad[] = {"=", "dGVzdAB0ZXN0AHRlc3Q", "dGVzdAB0ZXN0AHRlc3Q==",
		"dGVzdAB0ZXN0AHRlc3R=", "dGVzdAB0ZXN0 AHRlc3Q=", "dGVzdAB0ZXN0AHRlc3Q= ",
		" dGVzdAB0ZXN0AHRlc3Q=", "dGVzdAB0=ZXN0AHRlc3Q=", "dGVzdAB0ZXN0AHRlc3Q=\r",
		"hello", "\x80"};
	char arguments[100];

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		start("PLAIN");
		assert_malformed(step(bad[i]), SASL_PROBLEM_BASE64);
		if (i == 0)
			continue; /* As an initial response it is empty. */
		snprintf(arguments, sizeof arguments, "PLAIN %s", bad[i]);
		assert_malformed(start(arguments), SASL_PROBLEM_BASE64);
	}
	start("PLAIN");
	assert_malformed(step_octets("dGVz\0AB0", 8), SASL_PROBLEM_BASE64);
}

TEST(mechanisms_have_names_in_any_case)
{
	enum sasl_mechanism found;

	for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
		const struct span name = text_of(name_of((enum sasl_mechanism)i));

		assert_true(sasl_find(name, &found));
		assert_int_equal(found, i);
		assert_false(sasl_find((struct span){name.octets, name.length - 1}, &found));
	}
	assert_true(sasl_find(text_of("pLaIn"), &found));
	assert_int_equal(found, SASL_PLAIN);
	assert_false(sasl_find(text_of("PLAINX"), &found));
	assert_false(sasl_find((struct span){"PLAIN\0", 6}, &found));
}

TEST(unknown_mechanisms_and_those_not_allowed)
{
	static const char *const unknown[] = {"", " ", " PLAIN", "GSSAPI", "PLAINdGVz",
		"PLAIN\t", "*", "=", "NTLM TlRMTVNTUA=="};

	for (size_t i = 0; i < COUNT_OF(unknown); i++)
		assert_int_equal(start(unknown[i]), SASL_UNKNOWN_MECHANISM);
	for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
		const char *const name = name_of((enum sasl_mechanism)i);
		const unsigned others = SASL_SET_ALL & ~SASL_SET(i);

		assert_int_equal(
			start_with(others, name, strlen(name), TIMESTAMP), SASL_NOT_ALLOWED);
		assert_int_equal(s.mechanism, i);
		assert_int_equal(
			start_with(SASL_SET(i), name, strlen(name), TIMESTAMP), SASL_CONTINUE);
	}
	assert_int_equal(start_with(SASL_SET(SASL_CRAM_MD5), "PLAIN dGVzdAB0ZXN0AHRlc3Q=", 26,
				 TIMESTAMP),
		SASL_NOT_ALLOWED);
}

/* Sends a message of a mechanism with fields of the given lengths. */
static enum sasl_outcome say_long(const char *mechanism, size_t login, size_t secret)
{
	static char message[2 * SASL_MESSAGE_OCTETS], name[4096], word[2 * SASL_TOKEN_OCTETS];
	int length;

	memset(name, 'n', login);
	memset(word, 'a', secret);
	name[login] = word[secret] = '\0';
	if (strcmp(mechanism, "PLAIN") == 0)
		length =
			snprintf(message, sizeof message, "%s%c%s%c%s", name, 0, name, 0, word);
	else if (strcmp(mechanism, "XOAUTH2") == 0)
		length = snprintf(
			message, sizeof message, "user=%s\1auth=Bearer %s\1\1", name, word);
	else
		length = snprintf(
			message, sizeof message, "n,a=%s,\1auth=Bearer %s\1\1", name, word);
	assert_int_equal(start(mechanism), SASL_CONTINUE);
	assert_true(sasl_line_octets(&s) >= 255);
	return step_message(message, (size_t)length);
}

TEST(tokens_of_12288_octets_are_taken_and_no_longer_ones)
{
	static const char *const names[] = {"XOAUTH2", "OAUTHBEARER"};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(say_long(names[i], 1, 12288), SASL_CREDENTIALS);
		assert_int_equal(s.secret.length, 12288);
		assert_int_equal(say_long(names[i], 512, 12288), SASL_CREDENTIALS);
		assert_int_equal(s.login.length, 512);
		assert_malformed(say_long(names[i], 1, 12289), SASL_PROBLEM_TOO_LONG);
		assert_malformed(say_long(names[i], 513, 1), SASL_PROBLEM_TOO_LONG);
		assert_malformed(say_long(names[i], 3000, 12288), SASL_PROBLEM_TOO_LONG);
	}
}

TEST(logins_of_512_and_passwords_of_1024_octets_are_taken)
{
	assert_int_equal(say_long("PLAIN", 512, 1024), SASL_CREDENTIALS);
	assert_malformed(say_long("PLAIN", 512, 1025), SASL_PROBLEM_TOO_LONG);
	assert_malformed(say_long("PLAIN", 1, 1025), SASL_PROBLEM_TOO_LONG);
	assert_malformed(say_long("PLAIN", 513, 1), SASL_PROBLEM_TOO_LONG);
}

TEST(longest_line_is_as_announced)
{
	for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
		size_t most;

		assert_int_equal(start(name_of((enum sasl_mechanism)i)), SASL_CONTINUE);
		most = sasl_line_octets(&s) - 2;
		memset(long_line, 'A', most + 4);
		/* One or two octets more than the message may have can fit the line. */
		step_octets(long_line, most);
		assert_int_equal(start(name_of((enum sasl_mechanism)i)), SASL_CONTINUE);
		assert_malformed(step_octets(long_line, most + 4), SASL_PROBLEM_TOO_LONG);
	}
	assert_int_equal(SASL_LINE_OCTETS, 19118);
	assert_int_equal(say("OAUTHBEARER", "n,a=x,\1auth=\1\1"), SASL_CONTINUE);
	assert_int_equal(sasl_line_octets(&s), 255);
}

TEST(wiping_leaves_nothing)
{
	start("PLAIN dGVzdAB0ZXN0AHRlc3Q=");
	assert_false(all_zero(s.message, sizeof s.message));
	sasl_wipe(&s);
	assert_true(all_zero((const char *)&s, sizeof s));
	assert_malformed(step("dGVzdAB0ZXN0AHRlc3Q="), SASL_PROBLEM_NO_EXCHANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_with_initial_response),
		cmocka_unit_test(plain_after_an_empty_challenge),
		cmocka_unit_test(plain_example_of_rfc_4616),
		cmocka_unit_test(plain_for_another_user_is_refused),
		cmocka_unit_test(plain_of_another_form_is_refused),
		cmocka_unit_test(plain_is_utf8),
		cmocka_unit_test(login_asks_for_name_and_password),
		cmocka_unit_test(login_with_the_name_as_initial_response),
		cmocka_unit_test(login_with_empty_or_wrong_fields_is_refused),
		cmocka_unit_test(login_takes_a_password_in_latin_1),
		cmocka_unit_test(cram_md5_example_of_rfc_2195),
		cmocka_unit_test(cram_md5_takes_no_initial_response),
		cmocka_unit_test(cram_md5_digest_is_32_lower_case_hex_digits),
		cmocka_unit_test(cram_md5_needs_a_timestamp),
		cmocka_unit_test(refused_passwords_end_the_exchange),
		cmocka_unit_test(asterisk_cancels),
		cmocka_unit_test(bad_base64_is_refused),
		cmocka_unit_test(mechanisms_have_names_in_any_case),
		cmocka_unit_test(unknown_mechanisms_and_those_not_allowed),
		cmocka_unit_test(tokens_of_12288_octets_are_taken_and_no_longer_ones),
		cmocka_unit_test(logins_of_512_and_passwords_of_1024_octets_are_taken),
		cmocka_unit_test(longest_line_is_as_announced),
		cmocka_unit_test(wiping_leaves_nothing),
	};

	return UNIT_RUN("sasl", tests);
}
