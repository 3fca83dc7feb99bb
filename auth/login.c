/* login: see login.h. Runs without privileges, on input from anybody. */
#include "auth/login.h"

#include <string.h>
#include <unistd.h>

#include "auth/conversation.h"
#include "auth/exchange.h"
#include "auth/login_attempt.h"
#include "lib/large.h"
#include "os/clock.h"
#include "os/log.h"
#include "peer/proxy_client.h"
#include "peer/proxy_read.h"
#include "peer/ucspi.h"
#include "pop3/capa.h"
#include "pop3/command.h"
#include "pop3/lang.h"
#include "pop3/reply.h"
#include "pop3/wire.h"

#define BAD_COMMANDS 10

static enum command_result command_user(void *state, const struct command_input *input)
{
	struct conversation *const c = state;

	if (login_attempt_is_forbidden(c, MECHANISM_USER)) {
		login_attempt_tell_name(c, input->text);
		return COMMAND_BAD;
	}
	memcpy(c->user, input->text.octets, input->text.length);
	c->user_octets = input->text.length;
	reply_ok(&c->wire, TEXT_PASSWORD_REQUIRED);
	return COMMAND_GOOD;
}

static enum command_result command_pass(void *state, const struct command_input *input)
{
	struct conversation *const c = state;
	const struct span login = {c->user, c->user_octets};

	if (login_attempt_is_forbidden(c, MECHANISM_USER))
		return COMMAND_BAD;
	if (login.length == 0) {
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_USER_FIRST);
		return COMMAND_BAD;
	}
	c->user_octets = 0;
	return login_attempt_answer(
		c, login_attempt_make(c, MECHANISM_USER, login, input->text));
}

/* RFC 1939 section 7: "APOP name digest", the digest 32 lower-case hex digits. */
static enum command_result command_apop(void *state, const struct command_input *input)
{
	struct conversation *const c = state;
	const struct span text = input->text;
	const char *const space = memchr(text.octets, ' ', text.length);
	const size_t name = space != NULL ? (size_t)(space - text.octets) : text.length;

	if (mechanism_set_has(c->options->asked.opted, MECHANISM_APOP) &&
		login_attempt_is_forbidden(c, MECHANISM_APOP)) {
		login_attempt_tell_name(c, (struct span){text.octets, name});
		return COMMAND_BAD;
	}
	if (!mechanism_set_has(c->limits.offered, MECHANISM_APOP)) {
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_NO_APOP);
		return COMMAND_BAD;
	}
	if (text.length != name + 33 || name == 0 ||
		strspn(space + 1, "0123456789abcdef") < 32) {
		reply_error(&c->wire, REPLY_NO_CODE, TEXT_BAD_APOP);
		return COMMAND_BAD;
	}
	c->user_octets = 0;
	return login_attempt_answer(
		c, login_attempt_make(c, MECHANISM_APOP, (struct span){text.octets, name},
			   (struct span){space + 1, 32}));
}

static enum command_result command_capa(void *state, const struct command_input *input)
{
	struct conversation *const c = state;
	const struct capa capa = {
		CAPA_AUTHORIZATION, c->limits.offered, c->options->asked.utf8};

	(void)input;
	capa_reply(&c->wire, &capa);
	return COMMAND_GOOD;
}

static enum command_result command_quit(void *state, const struct command_input *input)
{
	struct conversation *const c = state;

	(void)input;
	reply_ok_with(
		&c->wire, TEXT_GOODBYE, (struct text_values){{0, 0}, c->options->asked.host});
	wire_flush(&c->wire);
	return conversation_end(c, LOGIN_QUIT);
}

static enum command_result command_lang(void *state, const struct command_input *input)
{
	struct conversation *const c = state;

	return lang_reply(&c->wire, input->text) ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_result command_utf8(void *state, const struct command_input *input)
{
	struct conversation *const c = state;

	(void)input;
	c->utf8 = true;
	reply_ok(&c->wire, TEXT_UTF8_ON);
	return COMMAND_GOOD;
}

/* After STLS the conversation begins anew, with the mechanisms that are offered under TLS. The
 * connection in clear is closed. */
static void forget_all(struct conversation *c)
{
	const struct policy_situation situation = {
		.tls = true, .opted = c->options->asked.opted};

	c->tls = true;
	c->utf8 = false;
	c->refused_cleartext = false;
	c->user_octets = 0;
	refusals_forget(&c->refusals);
	c->wire.language = LANGUAGE_ENGLISH;
	c->limits.offered = policy_offered(&situation);
	wire_switch(&c->wire, UCSPI_READ_FD, UCSPI_WRITE_FD);
	close(0);
	close(1);
}

/* RFC 2595 section 4. Commands that an attacker on the network inserted after STLS must not be
 * answered inside TLS, so all input is discarded. It is discarded before the reply is sent,
 * because the client may begin its handshake as soon as it has the reply. Octets that are
 * inserted later become part of the handshake and break it. */
static enum command_result command_stls(void *state, const struct command_input *input)
{
	struct conversation *const c = state;
	static struct request request LARGE; /* without credentials */

	(void)input;
	if (!mechanism_set_has(c->limits.offered, MECHANISM_STLS)) {
		reply_error(&c->wire, REPLY_NO_CODE, c->tls ? TEXT_TLS_RUNS : TEXT_NO_STLS);
		return COMMAND_BAD;
	}
	if (!wire_discard_input(&c->wire))
		return conversation_end(c, LOGIN_BROKEN);
	reply_ok(&c->wire, TEXT_BEGIN_TLS);
	request.kind = MECHANISM_STLS;
	if (!wire_flush(&c->wire) || login_attempt_ask_monitor(c, &request) != VERDICT_GRANTED)
		return conversation_end(c, LOGIN_BROKEN);
	forget_all(c);
	return COMMAND_GOOD;
}

static enum command_result command_too_early(void *state, const struct command_input *input)
{
	struct conversation *const c = state;

	(void)input;
	reply_error(&c->wire, REPLY_NO_CODE, TEXT_LOGIN_FIRST);
	return COMMAND_BAD;
}

static const struct command commands[] = {
	{"CAPA", ARGUMENTS_NONE, command_capa},
	{"USER", ARGUMENTS_VERBATIM, command_user},
	{"PASS", ARGUMENTS_VERBATIM_SECRET, command_pass},
	{"APOP", ARGUMENTS_TEXT_SECRET, command_apop},
	{"AUTH", ARGUMENTS_REST_SECRET, exchange_command},
	{"STLS", ARGUMENTS_NONE, command_stls},
	{"UTF8", ARGUMENTS_NONE, command_utf8},
	{"LANG", ARGUMENTS_REST, command_lang},
	{"QUIT", ARGUMENTS_NONE, command_quit},
	{"STAT", ARGUMENTS_REST, command_too_early},
	{"LIST", ARGUMENTS_REST, command_too_early},
	{"RETR", ARGUMENTS_REST, command_too_early},
	{"DELE", ARGUMENTS_REST, command_too_early},
	{"NOOP", ARGUMENTS_REST, command_too_early},
	{"RSET", ARGUMENTS_REST, command_too_early},
	{"TOP", ARGUMENTS_REST, command_too_early},
	{"UIDL", ARGUMENTS_REST, command_too_early},
};

static const struct command_table table = {
	commands, sizeof commands / sizeof *commands, true, BAD_COMMANDS};

static enum login_end end_of_wire(const struct wire *w)
{
	switch (w->end) {
	case WIRE_TIMEOUT: return LOGIN_TIMEOUT;
	case WIRE_BROKEN: return LOGIN_BROKEN;
	case WIRE_ORPHAN: return LOGIN_ORPHAN;
	case WIRE_EOF:
	case WIRE_OPEN: break;
	}
	return LOGIN_EOF;
}

/* A client that cannot do TLS leaves after it was told to; the log says why it left. One that
 * has not said a word looked whether the port is open; after a handshake it may have disliked
 * the certificate. */
static enum login_end explain(const struct conversation *c, enum login_end end)
{
	if ((end == LOGIN_EOF || end == LOGIN_BROKEN) && !c->wire.has_input && !c->tls)
		return LOGIN_CHECK;
	return c->refused_cleartext && (end == LOGIN_QUIT || end == LOGIN_EOF)
		       ? LOGIN_CLEARTEXT_REFUSED
		       : end;
}

/* The greeting has the timestamp even if APOP will be offered only after STLS, because there is
 * no second greeting. */
static void greet(struct conversation *c, const char *timestamp)
{
	char line[WIRE_REPLY_OCTETS];
	const struct text_values values = {{0, 0}, c->options->asked.host};

	text_fill(line, sizeof line, TEXT_READY, c->wire.language, &values);
	if (mechanism_set_has(c->options->asked.opted, MECHANISM_APOP))
		wire_reply(&c->wire, "+OK %s %s", line, timestamp);
	else
		wire_reply(&c->wire, "+OK %s", line);
}

static enum login_end end_of_proxy(enum proxy_read found)
{
	switch (found) {
	case PROXY_READ_NOTHING: return LOGIN_CHECK;
	case PROXY_READ_EOF: return LOGIN_EOF;
	case PROXY_READ_TIMEOUT: return LOGIN_TIMEOUT;
	case PROXY_READ_WRONG: return LOGIN_NO_PROXY;
	case PROXY_READ_COMPLETE:
	case PROXY_READ_BROKEN: break;
	}
	return LOGIN_BROKEN;
}

/* Reads a proxy's header and passes it on to the monitor, as numbers. */
static enum proxy_read meet_proxy(struct conversation *c)
{
	static struct request request LARGE;
	const int64_t deadline_ms = clock_now_ms() + PROXY_READ_MS;
	struct proxy_header header = {.reason = NULL};
	const enum proxy_read found = proxy_read(0,
		deadline_ms < c->wire.deadline_ms ? deadline_ms : c->wire.deadline_ms, &header);
	struct settings now = *c->options;
	struct proxy_client proxied;

	if (found == PROXY_READ_WRONG)
		log_event(LOG_DEBUG, "proxy-header problem=\"%s\"", header.reason);
	if (found != PROXY_READ_COMPLETE)
		return found;
	request.kind = MECHANISM_PROXY;
	request.login_octets = sizeof(struct proxy_client);
	proxied = proxy_client_of(&header);
	memcpy(request.octets, &proxied, sizeof proxied);
	if (login_attempt_ask_monitor(c, &request) != VERDICT_GRANTED)
		return PROXY_READ_BROKEN;
	now.found.local &= header.local;
	options_meet_proxy(&now, header.tls);
	c->tls = now.found.tls;
	c->limits.offered = options_offer(&now);
	return found;
}

enum login_end login_run(
	const struct settings *o, int monitor_fd, const char *timestamp, int64_t deadline_ms)
{
	static struct conversation c LARGE;

	c.options = o;
	c.monitor_fd = monitor_fd;
	c.tls = o->found.tls;
	c.timestamp = timestamp;
	c.limits = request_limits_of(o, timestamp);
	wire_open(&c.wire, 0, 1, WIRE_EXACT, o->asked.login_seconds * 1000);
	c.wire.watch_fd = monitor_fd;
	c.wire.deadline_ms = deadline_ms;
	if (o->found.proxy_awaited) {
		const enum proxy_read found = meet_proxy(&c);

		if (found != PROXY_READ_COMPLETE)
			return end_of_proxy(found);
	}
	greet(&c, timestamp);
	switch (command_loop(&c.wire, &table, &c)) {
	case COMMANDS_ENDED: return explain(&c, c.end);
	case COMMANDS_WIRE_CLOSED: return explain(&c, end_of_wire(&c.wire));
	case COMMANDS_TOO_MANY_BAD: break;
	}
	wire_flush(&c.wire);
	return LOGIN_BAD_COMMANDS;
}
