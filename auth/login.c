/* login: see login.h. Runs without privileges, on input from anybody. */
#include "auth/login.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/request.h"
#include "lib/utf8.h"
#include "os/clock.h"
#include "os/log.h"
#include "peer/proxy_client.h"
#include "peer/proxy_read.h"
#include "peer/ucspi.h"
#include "pop3/capa.h"
#include "pop3/command.h"
#include "pop3/lang.h"
#include "pop3/reply.h"
#include "pop3/sasl.h"
#include "pop3/wire.h"

#define BAD_COMMANDS 10
#define LOGIN_OCTETS WIRE_COMMAND_OCTETS

struct login {
	const struct options *options;
	int monitor_fd;
	const char *timestamp;
	struct request_limits limits;
	bool tls;
	bool refused_cleartext;
	bool utf8; /* RFC 6856: names and passwords are UTF-8 */
	unsigned tries;
	enum login_end end;
	size_t user_octets; /* 0: no USER yet */
	char user[LOGIN_OCTETS];
	struct wire wire; /* last: its buffers are large and hardly touched */
};

static enum command_result ended(struct login *l, enum login_end end)
{
	l->end = end;
	return COMMAND_END;
}

/* Asks the monitor; false if it is gone. The copy of the password dies here. */
static bool ask_monitor(struct login *l, struct request *request, unsigned char *verdict)
{
	const size_t length = request_length(request);
	ssize_t octets;

	do
		octets = send(l->monitor_fd, request, length, MSG_NOSIGNAL);
	while (octets < 0 && errno == EINTR);
	explicit_bzero(request, length);
	if (octets != (ssize_t)length)
		return false;
	do
		octets = recv(l->monitor_fd, verdict, 1, 0);
	while (octets < 0 && errno == EINTR);
	return octets == 1;
}

static enum command_result answer(struct login *l, unsigned char verdict)
{
	switch (verdict) {
	case VERDICT_GRANTED: return ended(l, LOGIN_GRANTED);
	case VERDICT_REFUSED: reply_error(&l->wire, REPLY_AUTH, TEXT_LOGIN_FAILED); break;
	case VERDICT_MISCONFIGURED:
		reply_error(&l->wire, REPLY_SYS_PERM, TEXT_LOGIN_BROKEN);
		break;
	default: reply_error(&l->wire, REPLY_SYS_TEMP, TEXT_LOGIN_LATER);
	}
	if (++l->tries < REQUEST_TRIES)
		return COMMAND_GOOD;
	wire_flush(&l->wire);
	return ended(l, LOGIN_FAILURES);
}

static enum command_result refuse(struct login *l, enum text text)
{
	reply_error(&l->wire, REPLY_AUTH, text);
	return COMMAND_BAD;
}

/* Whether the limits permit these credentials; if not, a reply has said why. */
static bool acceptable(struct login *l, struct wire_text login, struct wire_text password)
{
	if (password.length == 0)
		refuse(l, TEXT_EMPTY_PASSWORD);
	else if (login.length + password.length + l->limits.timestamp_octets + 3 >
			 l->limits.credentials_most ||
		 login.length + password.length > REQUEST_OCTETS)
		refuse(l, TEXT_CREDENTIALS_TOO_LONG);
	else if (l->utf8 && !(utf8_is_valid(login.octets, login.length) &&
				    utf8_is_valid(password.octets, password.length)))
		refuse(l, TEXT_CREDENTIALS_NOT_UTF8);
	else
		return true;
	return false;
}

/* Has credentials judged; false where that came to nothing: *result is for the caller to
 * return. */
static bool judge(struct login *l, enum offer kind, struct wire_text login,
	struct wire_text password, unsigned char *verdict, enum command_result *result)
{
	static struct request request; /* large: only what is used of it is touched */

	*result = COMMAND_BAD;
	if (!acceptable(l, login, password))
		return false;
	request.kind = (uint16_t)kind;
	request.language = (uint16_t)l->wire.language;
	request.login_octets = (uint16_t)login.length;
	request.password_octets = (uint16_t)password.length;
	memcpy(request.octets, login.octets, login.length);
	memcpy(request.octets + login.length, password.octets, password.length);
	wire_forget_input(&l->wire);
	if (!request_permitted(&request, &l->limits)) {
		explicit_bzero(&request, request_length(&request));
		refuse(l, TEXT_CREDENTIALS_CONTROLS);
		return false;
	}
	/* replies still held here must not come behind the session's */
	if (wire_flush(&l->wire) && ask_monitor(l, &request, verdict))
		return true;
	*result = ended(l, LOGIN_ORPHAN);
	return false;
}

static enum command_result check(
	struct login *l, enum offer kind, struct wire_text login, struct wire_text password)
{
	unsigned char verdict;
	enum command_result result;

	return judge(l, kind, login, password, &verdict, &result) ? answer(l, verdict) : result;
}

/* The policy of the host; -ERR with what the client can do, before a password is sent if it
 * asks. */
static bool not_offered(struct login *l, enum offer offer)
{
	const offer_set offered = l->limits.offered;

	if (offer_has(offered, offer))
		return false;
	l->refused_cleartext = true;
	reply_error(&l->wire, REPLY_AUTH,
		offer_has(offered, OFFER_APOP) ? TEXT_NO_CLEARTEXT_BUT_APOP
					       : TEXT_NO_CLEARTEXT);
	return true;
}

static enum command_result command_user(void *state, const struct command_input *input)
{
	struct login *const l = state;

	if (not_offered(l, OFFER_USER))
		return COMMAND_BAD;
	memcpy(l->user, input->text.octets, input->text.length);
	l->user_octets = input->text.length;
	reply_ok(&l->wire, TEXT_PASSWORD_REQUIRED);
	return COMMAND_GOOD;
}

static enum command_result command_pass(void *state, const struct command_input *input)
{
	struct login *const l = state;
	const struct wire_text login = {l->user, l->user_octets};

	if (not_offered(l, OFFER_USER))
		return COMMAND_BAD;
	if (login.length == 0) {
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_USER_FIRST);
		return COMMAND_BAD;
	}
	l->user_octets = 0;
	return check(l, OFFER_USER, login, input->text);
}

/* RFC 1939 section 7: "APOP name digest", the digest 32 lower-case hex digits. */
static enum command_result command_apop(void *state, const struct command_input *input)
{
	struct login *const l = state;
	const struct wire_text text = input->text;
	const char *const space = memchr(text.octets, ' ', text.length);
	size_t name;

	if (offer_has(l->options->opted, OFFER_APOP) && not_offered(l, OFFER_APOP))
		return COMMAND_BAD;
	if (!offer_has(l->limits.offered, OFFER_APOP)) {
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_NO_APOP);
		return COMMAND_BAD;
	}
	name = space != NULL ? (size_t)(space - text.octets) : text.length;
	if (text.length != name + 33 || name == 0 ||
		strspn(space + 1, "0123456789abcdef") < 32) {
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_BAD_APOP);
		return COMMAND_BAD;
	}
	l->user_octets = 0;
	return check(l, OFFER_APOP, (struct wire_text){text.octets, name},
		(struct wire_text){space + 1, 32});
}

static void list_mechanisms(struct login *l)
{
	reply_ok(&l->wire, TEXT_MECHANISMS);
	for (int i = OFFER_PLAIN; i <= OFFER_OAUTHBEARER; i++)
		if (offer_has(l->limits.offered, (enum offer)i))
			wire_reply(&l->wire, "%s", offer_name((enum offer)i));
	wire_puts(&l->wire, ".\r\n");
}

/* Sends a challenge and gives the answer to the exchange. */
static enum sasl_outcome next_step(struct login *l, struct sasl *sasl)
{
	struct wire_text line;
	enum wire_line found;

	wire_reply(&l->wire, "+ %s", sasl->challenge);
	l->wire.line_octets = sasl_line_octets(sasl);
	found = wire_read_line(&l->wire, &line);
	l->wire.line_octets = WIRE_COMMAND_OCTETS;
	if (found == WIRE_LINE)
		return sasl_step(sasl, line);
	/* the monitor has counted that login, whatever the client says to its failure */
	return sasl->state == SASL_AWAITS_LAST ? SASL_REFUSED : SASL_MALFORMED;
}

/* What is wrong with the credentials themselves; TEXT_COUNT: nothing, the exchange was not in
 * order. */
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

static enum command_result refuse_exchange(
	struct login *l, const struct sasl *sasl, enum sasl_outcome outcome)
{
	const struct offer_situation best = {.tls = true, .opted = l->options->opted};
	const enum offer offer = (enum offer)(OFFER_PLAIN + sasl->mechanism);
	const enum text problem = problem_of_credentials(sasl->problem);

	if (outcome == SASL_NOT_ALLOWED && offer_has(offer_of(&best), offer))
		not_offered(l, offer);
	else if (outcome == SASL_NOT_ALLOWED || outcome == SASL_UNKNOWN_MECHANISM)
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_UNKNOWN_MECHANISM);
	else if (outcome == SASL_CANCELLED)
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_AUTH_CANCELLED);
	else if (problem != TEXT_COUNT)
		reply_error(&l->wire, REPLY_AUTH, problem);
	else
		reply_error(&l->wire, REPLY_NO_CODE, TEXT_AUTH_MALFORMED);
	return COMMAND_BAD;
}

static enum command_result run_exchange(
	struct login *l, struct sasl *sasl, enum sasl_outcome outcome)
{
	unsigned char verdict = VERDICT_REFUSED;
	enum command_result result;

	for (;;) {
		switch (outcome) {
		case SASL_CONTINUE: outcome = next_step(l, sasl); break;
		case SASL_CREDENTIALS:
			if (!judge(l, (enum offer)(OFFER_PLAIN + sasl->mechanism), sasl->login,
				    sasl->secret, &verdict, &result))
				return result;
			if (verdict != VERDICT_REFUSED)
				return answer(l, verdict);
			outcome = sasl_refuse(sasl);
			break;
		case SASL_REFUSED: return answer(l, VERDICT_REFUSED);
		case SASL_CANCELLED:
		case SASL_MALFORMED:
		case SASL_NOT_ALLOWED:
		case SASL_UNKNOWN_MECHANISM: return refuse_exchange(l, sasl, outcome);
		}
	}
}

/* RFC 5034. */
static enum command_result command_auth(void *state, const struct command_input *input)
{
	static struct sasl sasl; /* large */
	struct login *const l = state;
	const struct wire_text timestamp = {l->timestamp, l->limits.timestamp_octets};
	const unsigned allowed = l->limits.offered >> OFFER_PLAIN & SASL_SET_ALL;
	enum command_result result;

	if (input->text.length == 0) {
		list_mechanisms(l);
		return COMMAND_GOOD;
	}
	l->user_octets = 0;
	result = run_exchange(l, &sasl, sasl_start(&sasl, allowed, input->text, timestamp));
	sasl_wipe(&sasl);
	return result;
}

static enum command_result command_capa(void *state, const struct command_input *input)
{
	struct login *const l = state;

	(void)input;
	capa_reply(&l->wire, CAPA_AUTHORIZATION, l->limits.offered);
	return COMMAND_GOOD;
}

static enum command_result command_quit(void *state, const struct command_input *input)
{
	struct login *const l = state;

	(void)input;
	reply_ok_with(&l->wire, TEXT_GOODBYE, (struct text_values){{0, 0}, l->options->host});
	wire_flush(&l->wire);
	return ended(l, LOGIN_QUIT);
}

static enum command_result command_lang(void *state, const struct command_input *input)
{
	struct login *const l = state;

	return lang_reply(&l->wire, input->text) ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_result command_utf8(void *state, const struct command_input *input)
{
	struct login *const l = state;

	(void)input;
	l->utf8 = true;
	reply_ok(&l->wire, TEXT_UTF8_ON);
	return COMMAND_GOOD;
}

/* After it everything begins anew, with what may be offered under TLS, and without the
 * connection in clear. */
static void forget_all(struct login *l)
{
	const struct offer_situation situation = {.tls = true, .opted = l->options->opted};

	l->tls = true;
	l->utf8 = false;
	l->refused_cleartext = false;
	l->user_octets = 0;
	l->wire.language = LANGUAGE_ENGLISH;
	l->limits.offered = offer_of(&situation);
	wire_switch(&l->wire, UCSPI_READ_FD, UCSPI_WRITE_FD);
	close(0);
	close(1);
}

/* RFC 2595 section 4. What a man in the middle put behind STLS must never be answered inside
 * TLS: it is thrown away. That comes before the reply, as a client may begin its handshake as
 * soon as it has that; what is put there later meets the handshake and breaks it. */
static enum command_result command_stls(void *state, const struct command_input *input)
{
	struct login *const l = state;
	static struct request request; /* without credentials */
	unsigned char verdict;

	(void)input;
	if (!offer_has(l->limits.offered, OFFER_STLS)) {
		reply_error(&l->wire, REPLY_NO_CODE, l->tls ? TEXT_TLS_RUNS : TEXT_NO_STLS);
		return COMMAND_BAD;
	}
	if (!wire_discard_input(&l->wire))
		return ended(l, LOGIN_BROKEN);
	reply_ok(&l->wire, TEXT_BEGIN_TLS);
	request.kind = OFFER_STLS;
	if (!wire_flush(&l->wire) || !ask_monitor(l, &request, &verdict) ||
		verdict != VERDICT_GRANTED)
		return ended(l, LOGIN_BROKEN);
	forget_all(l);
	return COMMAND_GOOD;
}

static enum command_result command_too_early(void *state, const struct command_input *input)
{
	struct login *const l = state;

	(void)input;
	reply_error(&l->wire, REPLY_NO_CODE, TEXT_LOGIN_FIRST);
	return COMMAND_BAD;
}

static const struct command commands[] = {
	{"CAPA", ARGUMENTS_NONE, command_capa},
	{"USER", ARGUMENTS_TEXT, command_user},
	{"PASS", ARGUMENTS_REST_SECRET, command_pass},
	{"APOP", ARGUMENTS_TEXT_SECRET, command_apop},
	{"AUTH", ARGUMENTS_REST_SECRET, command_auth},
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
	{"LAST", ARGUMENTS_REST, command_too_early},
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

/* A client that cannot do what it was told to leaves: the log shall say why. */
static enum login_end explain(const struct login *l, enum login_end end)
{
	return l->refused_cleartext && (end == LOGIN_QUIT || end == LOGIN_EOF)
		       ? LOGIN_CLEARTEXT_REFUSED
		       : end;
}

/* The timestamp is there where APOP is offered, or will be under TLS: it cannot come later. */
static void greet(struct login *l, const char *timestamp)
{
	char line[WIRE_REPLY_OCTETS];
	const struct text_values values = {{0, 0}, l->options->host};

	text_fill(line, sizeof line, TEXT_READY, l->wire.language, &values);
	if (offer_has(l->options->opted, OFFER_APOP))
		wire_reply(&l->wire, "+OK %s %s", line, timestamp);
	else
		wire_reply(&l->wire, "+OK %s", line);
}

static enum login_end end_of_proxy(enum proxy_read found)
{
	switch (found) {
	case PROXY_READ_EOF: return LOGIN_EOF;
	case PROXY_READ_TIMEOUT: return LOGIN_TIMEOUT;
	case PROXY_READ_WRONG: return LOGIN_NO_PROXY;
	case PROXY_READ_COMPLETE:
	case PROXY_READ_BROKEN: break;
	}
	return LOGIN_BROKEN;
}

/* Reads what a proxy says of its client and passes it on, as numbers. */
static enum proxy_read meet_proxy(struct login *l)
{
	static struct request request = {
		.kind = OFFER_PROXY, .login_octets = sizeof(struct proxied)};
	const int64_t deadline_ms = clock_now_ms() + PROXY_READ_MS;
	struct proxy_header header = {.reason = NULL};
	const enum proxy_read found = proxy_read(0,
		deadline_ms < l->wire.deadline_ms ? deadline_ms : l->wire.deadline_ms, &header);
	struct options now = *l->options;
	struct proxied proxied;
	unsigned char verdict;

	if (found == PROXY_READ_WRONG)
		log_event(LOG_DEBUG, "proxy-header problem=\"%s\"", header.reason);
	if (found != PROXY_READ_COMPLETE)
		return found;
	proxied = proxied_of(&header);
	memcpy(request.octets, &proxied, sizeof proxied);
	if (!ask_monitor(l, &request, &verdict) || verdict != VERDICT_GRANTED)
		return PROXY_READ_BROKEN;
	now.local &= header.local;
	options_meet_proxy(&now, header.tls);
	l->tls = now.tls;
	l->limits.offered = options_offer(&now);
	return found;
}

enum login_end login_run(
	const struct options *o, int monitor_fd, const char *timestamp, int64_t deadline_ms)
{
	static struct login l; /* large, and of this one process */

	l.options = o;
	l.monitor_fd = monitor_fd;
	l.tls = o->tls;
	l.timestamp = timestamp;
	l.limits = (struct request_limits){.offered = o->offered,
		.credentials_most =
			o->long_credentials ? REQUEST_OCTETS : REQUEST_CREDENTIALS_OCTETS,
		.timestamp_octets = strlen(timestamp)};
	wire_open(&l.wire, 0, 1, WIRE_EXACT, o->login_seconds * 1000);
	l.wire.watch_fd = monitor_fd;
	l.wire.deadline_ms = deadline_ms;
	if (o->proxy_awaited) {
		const enum proxy_read found = meet_proxy(&l);

		if (found != PROXY_READ_COMPLETE)
			return end_of_proxy(found);
	}
	greet(&l, timestamp);
	switch (command_loop(&l.wire, &table, &l)) {
	case COMMANDS_ENDED: return explain(&l, l.end);
	case COMMANDS_WIRE_CLOSED: return explain(&l, end_of_wire(&l.wire));
	case COMMANDS_TOO_MANY_BAD: break;
	}
	wire_flush(&l.wire);
	return LOGIN_BAD_COMMANDS;
}
