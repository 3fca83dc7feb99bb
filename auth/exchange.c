/* exchange: see exchange.h. Runs without privileges, on input from anybody. */
#include "auth/exchange.h"

#include "auth/login_attempt.h"
#include "lib/large.h"
#include "pop3/reply.h"
#include "pop3/sasl.h"

static void list_mechanisms(struct conversation *c)
{
	reply_ok(&c->wire, TEXT_MECHANISMS);
	for (int i = MECHANISM_PLAIN; i <= MECHANISM_OAUTHBEARER; i++)
		if (mechanism_set_has(c->limits.offered, (enum mechanism)i))
			wire_reply(&c->wire, "%s", mechanism_name((enum mechanism)i));
	wire_puts(&c->wire, ".\r\n");
}

/* Sends a challenge and passes the client's answer to the exchange. */
static enum sasl_outcome next_step(struct conversation *c, struct sasl *sasl)
{
	struct span line;
	enum wire_line found;

	wire_reply(&c->wire, "+ %s", sasl->challenge);
	c->wire.line_octets = sasl_line_octets(sasl);
	found = wire_read_line(&c->wire, &line);
	c->wire.line_octets = WIRE_COMMAND_OCTETS;
	if (found == WIRE_LINE)
		return sasl_step(sasl, line);
	/* after the error challenge the login has failed and was counted, whatever comes */
	return sasl->state == SASL_AWAITS_LAST ? SASL_REFUSED : SASL_MALFORMED;
}

/* The text that says what is wrong with the credentials, or TEXT_COUNT if the exchange itself
 * was wrong. */
static enum text problem_of_credentials(enum sasl_problem problem)
{
	switch (problem) {
	case SASL_PROBLEM_EMPTY_PASSWORD: return TEXT_EMPTY_PASSWORD;
	case SASL_PROBLEM_TOO_LONG: return TEXT_CREDENTIALS_TOO_LONG;
	case SASL_PROBLEM_CONTROL: return TEXT_CREDENTIALS_CONTROLS;
	case SASL_PROBLEM_UTF8: return TEXT_CREDENTIALS_NOT_UTF8;
	case SASL_PROBLEM_OTHER_USER: return TEXT_AUTH_OTHER_USER;
	default: return TEXT_COUNT;
	}
}

/* The numbers of SASL mechanisms are those of all mechanisms, counted from PLAIN. */
static enum mechanism mechanism_of(const struct sasl *sasl)
{
	_Static_assert(MECHANISM_PLAIN + SASL_PLAIN == MECHANISM_PLAIN, "same order");
	_Static_assert(MECHANISM_PLAIN + SASL_LOGIN == MECHANISM_LOGIN, "same order");
	_Static_assert(MECHANISM_PLAIN + SASL_CRAM_MD5 == MECHANISM_CRAM_MD5, "same order");
	_Static_assert(MECHANISM_PLAIN + SASL_XOAUTH2 == MECHANISM_XOAUTH2, "same order");
	_Static_assert(
		MECHANISM_PLAIN + SASL_OAUTHBEARER == MECHANISM_OAUTHBEARER, "same order");
	_Static_assert(SASL_OAUTHBEARER + 1 == SASL_MECHANISMS, "no other");
	return (enum mechanism)(MECHANISM_PLAIN + (int)sasl->mechanism);
}

static enum command_result refuse_exchange(
	struct conversation *c, const struct sasl *sasl, enum sasl_outcome outcome)
{
	const struct policy_situation best = {.tls = true, .opted = c->options->asked.opted};
	const enum mechanism mechanism = mechanism_of(sasl);
	const enum text problem = problem_of_credentials(sasl->problem);

	if (outcome == SASL_NOT_ALLOWED && mechanism_set_has(policy_offered(&best), mechanism))
		login_attempt_is_forbidden(c, mechanism);
	else if (outcome == SASL_NOT_ALLOWED || outcome == SASL_UNKNOWN_MECHANISM)
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_UNKNOWN_MECHANISM);
	else if (outcome == SASL_CANCELLED)
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_AUTH_CANCELLED);
	else if (problem != TEXT_COUNT)
		reply_error(&c->wire, REPLY_AUTH, problem);
	else
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_AUTH_MALFORMED);
	return COMMAND_BAD;
}

static enum command_result run_exchange(
	struct conversation *c, struct sasl *sasl, enum sasl_outcome outcome)
{
	enum login_attempt attempt = LOGIN_ATTEMPT_REFUSED;

	for (;;) {
		switch (outcome) {
		case SASL_CONTINUE: outcome = next_step(c, sasl); break;
		case SASL_CREDENTIALS:
			attempt = login_attempt_make(
				c, mechanism_of(sasl), sasl->login, sasl->secret);
			if (attempt != LOGIN_ATTEMPT_REFUSED &&
				attempt != LOGIN_ATTEMPT_REPEATED)
				return login_attempt_answer(c, attempt);
			outcome = sasl_refuse(sasl);
			break;
		case SASL_REFUSED: return login_attempt_answer(c, attempt);
		case SASL_CANCELLED:
		case SASL_MALFORMED:
		case SASL_NOT_ALLOWED:
		case SASL_UNKNOWN_MECHANISM: return refuse_exchange(c, sasl, outcome);
		}
	}
}

enum command_result exchange_command(void *state, const struct command_input *input)
{
	static struct sasl sasl LARGE;
	struct conversation *const c = state;
	const struct span timestamp = {c->timestamp, c->limits.timestamp_octets};
	const unsigned allowed = c->limits.offered >> MECHANISM_PLAIN & SASL_SET_ALL;
	enum command_result result;

	if (input->text.length == 0) {
		list_mechanisms(c);
		return COMMAND_GOOD;
	}
	c->user_octets = 0;
	result = run_exchange(c, &sasl, sasl_start(&sasl, allowed, input->text, timestamp));
	sasl_wipe(&sasl);
	return result;
}
