/* fuzz_sasl: a SASL exchange. The first octet of the input is the set of allowed mechanisms,
 * the first line is the arguments of AUTH, and each further line is one that the client
 * sends. Credentials are refused, so that the exchange goes on where it can. */
#include "fuzz.h"

#include "lib/utf8.h"
#include "pop3/sasl.h"

static struct sasl s;

static void check_text(struct span text, size_t most)
{
	CHECK(text.length > 0 && text.length <= most);
	CHECK(text.octets >= s.message);
	CHECK(text.octets + text.length <= s.message + sizeof s.message);
	CHECK(memchr(text.octets, '\0', text.length) == NULL);
	CHECK(memchr(text.octets, '\r', text.length) == NULL);
	CHECK(memchr(text.octets, '\n', text.length) == NULL);
}

static void check_wiped(void)
{
	static const char nothing[SASL_MESSAGE_OCTETS];

	CHECK(memcmp(s.message, nothing, sizeof nothing) == 0);
}

static void check_challenge(void)
{
	char octets[SASL_CHALLENGE_OCTETS], again[SASL_CHALLENGE_OCTETS + 4];
	size_t decoded;

	CHECK(memchr(s.challenge, '\0', sizeof s.challenge) != NULL);
	CHECK(base64_decode(s.challenge, strlen(s.challenge), octets, sizeof octets,
		      &decoded) == BASE64_GOOD);
	base64_encode(octets, decoded, again);
	CHECK(strcmp(again, s.challenge) == 0);
}

static enum sasl_outcome check(enum sasl_outcome outcome)
{
	check_challenge();
	CHECK((s.state != SASL_IDLE) == (outcome == SASL_CONTINUE));
	CHECK(sasl_line_octets(&s) <= SASL_LINE_OCTETS);
	switch (outcome) {
	case SASL_CONTINUE: CHECK(s.problem == SASL_NO_PROBLEM); break;
	case SASL_CREDENTIALS:
		CHECK(s.problem == SASL_NO_PROBLEM);
		check_text(s.login, SASL_LOGIN_OCTETS);
		check_text(s.secret, SASL_TOKEN_OCTETS);
		CHECK(utf8_is_valid(s.login.octets, s.login.length));
		break;
	case SASL_REFUSED:
	case SASL_CANCELLED:
		CHECK(s.problem == SASL_NO_PROBLEM);
		check_wiped();
		break;
	case SASL_MALFORMED:
	case SASL_NOT_ALLOWED:
	case SASL_UNKNOWN_MECHANISM:
		CHECK(s.problem != SASL_NO_PROBLEM && s.problem <= SASL_PROBLEM_NO_EXCHANGE);
		check_wiped();
		break;
	}
	return outcome;
}

/* Removes and returns the next line. */
static struct span next_line(const char **data, size_t *size)
{
	const char *const end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
	const struct span line = {*data, end != NULL ? (size_t)(end - *data) : *size};
	const size_t taken = line.length + (end != NULL);

	*data += taken;
	*size -= taken;
	return line;
}

/* A line as the client sends it. */
static struct span line_of(struct span text, bool encode)
{
	char *base64;

	if (!encode)
		return (struct span){fuzz_copy(text.octets, text.length), text.length};
	base64 = malloc(BASE64_OCTETS(text.length) + 1);
	CHECK(base64 != NULL);
	base64_encode(text.octets, text.length, base64);
	return (struct span){base64, strlen(base64)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span timestamp = {"<1.2@host>", 10};
	const char *rest = (const char *)data + 1;
	enum sasl_outcome outcome = SASL_CONTINUE;
	bool started = false, at_end = size == 0;

	if (size == 0)
		return 0;
	size--;
	while (outcome == SASL_CONTINUE && !at_end) {
		struct span line;

		at_end = size == 0;
		line = line_of(next_line(&rest, &size), started && (data[0] & 0x80) != 0);
		outcome = check(started ? sasl_step(&s, line)
					: sasl_start(&s, data[0], line, timestamp));
		free((char *)line.octets);
		started = true;
		if (outcome == SASL_CREDENTIALS)
			outcome = check(sasl_refuse(&s));
	}
	if (outcome != SASL_CONTINUE)
		CHECK(check(sasl_step(&s, timestamp)) == SASL_MALFORMED);
	sasl_wipe(&s);
	return 0;
}
