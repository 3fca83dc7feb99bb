/* unit_sasl: plays one SASL exchange line by line. */
#ifndef UNIT_SASL_H
#define UNIT_SASL_H

#include "tests/unit/unit.h"

#include "lib/utf8.h"
#include "pop3/policy.h"
#include "pop3/sasl.h"

#define TIMESTAMP "<1896.697170952@postoffice.reston.mci.net>"

static struct sasl s;
static char long_line[2 * SASL_LINE_OCTETS];

static inline struct span text_of(const char *terminated)
{
	return (struct span){terminated, strlen(terminated)};
}

static inline bool all_zero(const char *octets, size_t length)
{
	while (length > 0 && octets[length - 1] == 0)
		length--;
	return length == 0;
}

/* The numbers of SASL mechanisms are those of all mechanisms, counted from PLAIN. */
static inline const char *name_of(enum sasl_mechanism mechanism)
{
	return mechanism_name((enum mechanism)(MECHANISM_PLAIN + (int)mechanism));
}

/* Checks that hold after every step, whatever the client sent. */
static inline enum sasl_outcome checked(enum sasl_outcome outcome)
{
	char octets[SASL_CHALLENGE_OCTETS];
	size_t decoded;

	assert_in_range(outcome, SASL_CONTINUE, SASL_UNKNOWN_MECHANISM);
	assert_non_null(memchr(s.challenge, '\0', sizeof s.challenge));
	assert_int_equal(base64_decode(s.challenge, strlen(s.challenge), octets, sizeof octets,
				 &decoded),
		BASE64_GOOD);
	assert_in_range(s.problem, 0, SASL_PROBLEM_NO_EXCHANGE);
	assert_int_equal(s.problem != SASL_NO_PROBLEM, outcome >= SASL_MALFORMED);
	assert_int_equal(s.state != SASL_IDLE, outcome == SASL_CONTINUE);
	assert_true(outcome == SASL_CONTINUE || s.challenge[0] == '\0');
	assert_true(sasl_line_octets(&s) <= SASL_LINE_OCTETS);
	if (outcome == SASL_CREDENTIALS) {
		const struct span both[] = {s.login, s.secret};

		for (size_t i = 0; i < 2; i++) {
			assert_true(both[i].length > 0);
			assert_true(both[i].octets >= s.message);
			assert_true(both[i].octets + both[i].length <=
				    s.message + sizeof s.message);
			assert_null(memchr(both[i].octets, '\0', both[i].length));
			assert_null(memchr(both[i].octets, '\r', both[i].length));
			assert_null(memchr(both[i].octets, '\n', both[i].length));
		}
		assert_true(utf8_is_valid(s.login.octets, s.login.length));
		assert_true(s.login.length <= SASL_LOGIN_OCTETS);
		assert_true(s.secret.length <= SASL_TOKEN_OCTETS);
	} else if (outcome != SASL_CONTINUE) {
		assert_true(all_zero(s.message, sizeof s.message));
	}
	return outcome;
}

/* Each line is in an allocation of exactly its length, so that a sanitizer sees a read beyond
 * it. */
static inline enum sasl_outcome start_with(
	unsigned allowed, const char *arguments, size_t length, const char *timestamp)
{
	char *const exact = malloc(length + !length);
	enum sasl_outcome outcome;

	memcpy(exact, arguments, length);
	outcome = checked(
		sasl_start(&s, allowed, (struct span){exact, length}, text_of(timestamp)));
	free(exact);
	return outcome;
}

static inline enum sasl_outcome start(const char *arguments)
{
	return start_with(SASL_SET_ALL, arguments, strlen(arguments), TIMESTAMP);
}

static inline enum sasl_outcome step_octets(const char *line, size_t length)
{
	char *const exact = malloc(length + !length);
	enum sasl_outcome outcome;

	memcpy(exact, line, length);
	outcome = checked(sasl_step(&s, (struct span){exact, length}));
	free(exact);
	return outcome;
}

static inline enum sasl_outcome step(const char *line)
{
	return step_octets(line, strlen(line));
}

/* Sends a message in base64. */
static inline enum sasl_outcome step_message(const char *octets, size_t length)
{
	assert_true(BASE64_OCTETS(length) < sizeof long_line);
	base64_encode(octets, length, long_line);
	return step(long_line);
}

#define assert_challenge(expected) assert_text(expected, s.challenge, strlen(s.challenge))

#define assert_credentials(outcome, expected_login, expected_secret)                           \
	do {                                                                                   \
		assert_int_equal(outcome, SASL_CREDENTIALS);                                   \
		assert_text(expected_login, s.login.octets, s.login.length);                   \
		assert_text(expected_secret, s.secret.octets, s.secret.length);                \
	} while (0)

#define assert_malformed(outcome, expected_problem)                                            \
	do {                                                                                   \
		assert_int_equal(outcome, SASL_MALFORMED);                                     \
		assert_int_equal(s.problem, expected_problem);                                 \
	} while (0)

/* The message that follows AUTH with a mechanism and an empty challenge. */
#define say(mechanism, literal)                                                                \
	(assert_int_equal(start(mechanism), SASL_CONTINUE),                                    \
		step_message(literal, sizeof literal - 1))

#endif
