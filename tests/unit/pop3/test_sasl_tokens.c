/* sasl: XOAUTH2 and OAUTHBEARER with the examples that define them, and random exchanges of
 * all mechanisms. */
#include "tests/unit/unit_sasl.h"

#define GOOGLE_XOAUTH2                                                                         \
	"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNr" \
	"QmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="

/* The example on the pages of Google and Microsoft. */
TEST(xoauth2_example_of_google)
{
	assert_credentials(start("XOAUTH2 " GOOGLE_XOAUTH2), "someuser@example.com",
		"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
	assert_int_equal(s.mechanism, SASL_XOAUTH2);
}

/* Microsoft splits the command into two lines. The page has a blank at the end of the first. */
TEST(xoauth2_as_office_365_wants_it)
{
	static const char *const commands[] = {"XOAUTH2", "XOAUTH2 ", "xoauth2"};

	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		assert_int_equal(start(commands[i]), SASL_CONTINUE);
		assert_challenge("");
		assert_credentials(
			step("dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVy"
			     "IEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="),
			"test@contoso.onmicrosoft.com",
			"EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA");
	}
}

TEST(xoauth2_of_another_form_is_refused)
{
	assert_malformed(say("XOAUTH2", ""), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer t"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer t\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer t\1\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer t\1\1x"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Basic t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearert\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "auth=Bearer t\1user=tim\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=\1auth=Bearer t\1\1"), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(
		say("XOAUTH2", "user=t\1auth=Bearer \1\1"), SASL_PROBLEM_EMPTY_PASSWORD);
	assert_malformed(say("XOAUTH2", "user=a\0b\1auth=Bearer t\1\1"), SASL_PROBLEM_CONTROL);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer t\0\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer a b\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer a\n\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer \xe4\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("XOAUTH2", "user=tim\1auth=Bearer \x7f\1\1"), SASL_PROBLEM_FORM);
}

#define IMAP_OAUTHBEARER                                                                       \
	"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9"     \
	"QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
#define SMTP_OAUTHBEARER                                                                       \
	"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9"     \
	"QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"

/* RFC 7628 section 4.1. */
TEST(oauthbearer_examples_of_rfc_7628)
{
	static const char token[] = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

	assert_credentials(start("OAUTHBEARER " IMAP_OAUTHBEARER), "user@example.com", token);
	assert_int_equal(start("OAUTHBEARER"), SASL_CONTINUE);
	assert_challenge("");
	assert_credentials(step(SMTP_OAUTHBEARER), "user@example.com", token);
	assert_int_equal(s.mechanism, SASL_OAUTHBEARER);
}

/* RFC 7628 section 4.3: an empty AUTH asks which token is wanted. */
TEST(oauthbearer_without_a_token_gets_the_error_challenge)
{
	static const char *const answers[] = {"AQ==", "*", "", "x", "QUIT"};

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		assert_int_equal(start("OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2Vyd"
				       "mVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE="),
			SASL_CONTINUE);
		assert_challenge("eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=");
		assert_int_equal(step(answers[i]), SASL_REFUSED);
		assert_malformed(step(answers[i]), SASL_PROBLEM_NO_EXCHANGE);
	}
}

/* The message of RFC 7628 section 4.4 has "user=", but its grammar has "a=". */
TEST(oauthbearer_needs_the_name_in_its_header)
{
	assert_malformed(
		start("OAUTHBEARER bix1c2VyPXNvbWV1c2VyQGV4YW1wbGUuY29tLAFhdXRoPUJlYXJlciB2Rj"
		      "lkZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnPT0BAQ=="),
		SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,,\1auth=Bearer t\1\1"), SASL_PROBLEM_EMPTY_LOGIN);
	assert_malformed(
		say("OAUTHBEARER", "n,a=,\1auth=Bearer t\1\1"), SASL_PROBLEM_EMPTY_LOGIN);
}

TEST(oauthbearer_name_is_unescaped)
{
	assert_credentials(
		say("OAUTHBEARER", "n,a=a=2Cb=3Dc=3D,\1auth=bEARER  t\1\1"), "a,b=c=", "t");
	assert_credentials(
		say("OAUTHBEARER", "y,a=J\xc3\xb6rg,\1auth=Bearer t\1\1"), "J\xc3\xb6rg", "t");
	assert_credentials(say("OAUTHBEARER", "F,n,a=x,\1auth=Bearer t\1\1"), "x", "t");
	assert_malformed(say("OAUTHBEARER", "n,a=x=,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x=2,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x=2c,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x=3E,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=J\xf6rg,\1auth=Bearer t\1\1"), SASL_PROBLEM_UTF8);
	assert_malformed(
		say("OAUTHBEARER", "n,a=\0,\1auth=Bearer t\1\1"), SASL_PROBLEM_CONTROL);
}

TEST(oauthbearer_offers_no_channel_binding)
{
	assert_malformed(say("OAUTHBEARER", "p=tls-unique,a=x,\1auth=Bearer t\1\1"),
		SASL_PROBLEM_BINDING);
	assert_malformed(say("OAUTHBEARER", "p=,a=x,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "p,a=x,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
}

/* RFC 7628 section 3.1. */
TEST(oauthbearer_ignores_unknown_pairs_of_the_right_form)
{
	assert_credentials(
		say("OAUTHBEARER", "n,a=x,\1q=\1zZ=a=b\t\r\n~ \1auth=Bearer t\1\1"), "x", "t");
	assert_credentials(
		say("OAUTHBEARER", "n,a=x,\1auth=Bearer t\1host=h\1port=0\1\1"), "x", "t");
}

TEST(oauthbearer_of_another_form_is_refused)
{
	assert_malformed(say("OAUTHBEARER", ""), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "F,"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "F,F,a=x,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "x,a=x,\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,j\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1auth=Bearer t"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1auth=Bearer t\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1auth=Bearer t\1\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1auth=OAuth t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1Auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=x,\1=v\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1q\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=x,\1q1=\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=x,\1q=\x7f\1auth=Bearer t\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=x,\1auth=Bearer t\1auth=\1\1"), SASL_PROBLEM_FORM);
	assert_malformed(
		say("OAUTHBEARER", "n,a=x,\1auth=Bearer \1\1"), SASL_PROBLEM_EMPTY_PASSWORD);
	assert_malformed(say("OAUTHBEARER", "n,a=x,\1auth=Bearer a\rb\1\1"), SASL_PROBLEM_FORM);
}

/* RFC 7628 section 3.2.2 and the pages of Google. */
TEST(refused_tokens_get_an_error_challenge)
{
	start("OAUTHBEARER " IMAP_OAUTHBEARER);
	assert_int_equal(checked(sasl_refuse(&s)), SASL_CONTINUE);
	assert_challenge("eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=");
	assert_true(all_zero(s.message, sizeof s.message));
	assert_int_equal(step("AQ=="), SASL_REFUSED);

	start("XOAUTH2 " GOOGLE_XOAUTH2);
	assert_int_equal(checked(sasl_refuse(&s)), SASL_CONTINUE);
	/* {"status":"401","schemes":"bearer","scope":"mail"} */
	assert_challenge(
		"eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJtYWlsIn0=");
	assert_int_equal(step(""), SASL_REFUSED);
}

/* A message made of fields, for each of which it is known whether it is permitted. */
struct field {
	const char *octets;
	size_t length;
	bool good;
};
#define FIELD(literal, good)                                                                   \
	{                                                                                      \
		literal, sizeof literal - 1, good                                              \
	}

static const struct field logins[] = {FIELD("tim", true), FIELD("J\xc3\xb6rg@x", true),
	FIELD("a b", true), FIELD("", false), FIELD("x\0y", false), FIELD("x\ry", false),
	FIELD("\xe4", false)};
static const struct field passwords[] = {FIELD("x", true), FIELD("two words ", true),
	FIELD("\xc3\xa4", true), FIELD("", false), FIELD("a\0", false), FIELD("\n", false),
	FIELD("\xff", false)};
static const struct field tokens[] = {FIELD("x", true), FIELD("ab.c-_~+/==", true),
	FIELD("a|b", true), FIELD("", false), FIELD("a b", false), FIELD("a\0", false),
	FIELD("\xc3\xa4", false), FIELD("a\n", false)};

struct made {
	char octets[200];
	size_t length;
	bool good;
	const struct field *login, *secret;
};

static void add(struct made *m, const char *octets, size_t length)
{
	memcpy(m->octets + m->length, octets, length);
	m->length += length;
}

static void make(struct made *m, unsigned kind, uint64_t *random)
{
	static const char *const before[] = {"", "", "user=", "n,a="};
	static const struct field middles[] = {FIELD("\0", true), FIELD(" ", true),
		FIELD("\1auth=Bearer ", true), FIELD(",\1host=h\1auth=bearer ", true)};
	const struct field *const secrets = kind == 0 ? passwords : tokens;
	const size_t count = kind == 0 ? COUNT_OF(passwords) : COUNT_OF(tokens);

	m->length = 0;
	m->login = &logins[unit_random(random) % COUNT_OF(logins)];
	m->secret = &secrets[unit_random(random) % count];
	m->good = m->login->good && m->secret->good;
	if (kind == 0) {
		const uint64_t authzid = unit_random(random) % 3;

		if (authzid == 1)
			add(m, m->login->octets, m->login->length);
		if (authzid == 2)
			add(m, "other", 5);
		m->good = m->good && authzid < 2;
		add(m, "\0", 1);
	}
	add(m, before[kind], strlen(before[kind]));
	add(m, m->login->octets, m->login->length);
	add(m, middles[kind].octets, middles[kind].length);
	add(m, m->secret->octets, m->secret->length);
	if (kind >= 2)
		add(m, "\1\1", 2);
}

TEST(messages_made_of_good_and_bad_fields)
{
	static const enum sasl_mechanism of_kind[] = {
		SASL_PLAIN, SASL_CRAM_MD5, SASL_XOAUTH2, SASL_OAUTHBEARER};
	uint64_t random = 7628;
	size_t good = 0;

	for (unsigned run = 0; run < 100000; run++) {
		const unsigned kind = (unsigned[]){0, 2, 3}[unit_random(&random) % 3];
		struct made m;

		make(&m, kind, &random);
		start(name_of(of_kind[kind]));
		if (!m.good) {
			assert_int_equal(step_message(m.octets, m.length), SASL_MALFORMED);
			continue;
		}
		assert_int_equal(step_message(m.octets, m.length), SASL_CREDENTIALS);
		assert_octets(m.octets, m.length, m.login->octets, m.login->length,
			s.login.octets, s.login.length);
		assert_octets(m.octets, m.length, m.secret->octets, m.secret->length,
			s.secret.octets, s.secret.length);
		good++;
	}
	assert_true(good > 10000);
}

/* Valid messages with octets changed, removed and inserted; see checked. */
TEST(mutated_exchanges_keep_the_invariants)
{
	static const char *const seeds[] = {"PLAIN dGVzdAB0ZXN0AHRlc3Q=", "LOGIN dGlt", "LOGIN",
		"CRAM-MD5", "XOAUTH2 " GOOGLE_XOAUTH2, "OAUTHBEARER " IMAP_OAUTHBEARER,
		"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "dGlt", "*", "=", ""};
	uint64_t random = 5034;

	for (unsigned run = 0; run < 100000; run++) {
		enum sasl_outcome outcome = SASL_CONTINUE;

		for (unsigned line = 0; line < 4 && outcome == SASL_CONTINUE; line++) {
			const char *const seed =
				seeds[unit_random(&random) % (line > 0 ? COUNT_OF(seeds) : 6)];
			char octets[300];
			size_t length = strlen(seed);

			memcpy(octets, seed, length);
			for (uint64_t n = unit_random(&random) % 3; n > 0 && length > 0; n--)
				octets[unit_random(&random) % length] =
					(char)unit_random(&random);
			if (unit_random(&random) % 4 == 0 && length > 0)
				length = unit_random(&random) % length;
			outcome = line == 0 ? start_with((unsigned)unit_random(&random) |
								 SASL_SET(SASL_PLAIN),
						      octets, length, TIMESTAMP)
					    : step_octets(octets, length);
			if (outcome == SASL_CREDENTIALS)
				outcome = checked(sasl_refuse(&s));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xoauth2_example_of_google),
		cmocka_unit_test(xoauth2_as_office_365_wants_it),
		cmocka_unit_test(xoauth2_of_another_form_is_refused),
		cmocka_unit_test(oauthbearer_examples_of_rfc_7628),
		cmocka_unit_test(oauthbearer_without_a_token_gets_the_error_challenge),
		cmocka_unit_test(oauthbearer_needs_the_name_in_its_header),
		cmocka_unit_test(oauthbearer_name_is_unescaped),
		cmocka_unit_test(oauthbearer_offers_no_channel_binding),
		cmocka_unit_test(oauthbearer_ignores_unknown_pairs_of_the_right_form),
		cmocka_unit_test(oauthbearer_of_another_form_is_refused),
		cmocka_unit_test(refused_tokens_get_an_error_challenge),
		cmocka_unit_test(messages_made_of_good_and_bad_fields),
		cmocka_unit_test(mutated_exchanges_keep_the_invariants),
	};

	return UNIT_RUN("sasl, tokens", tests);
}
