/* login_attempt: see login_attempt.h. Runs without privileges, on input from anybody. */
#include "auth/login_attempt.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/large.h"
#include "lib/lower.h"
#include "lib/utf8.h"
#include "pop3/reply.h"

bool login_attempt_is_forbidden(struct conversation *c, enum mechanism mechanism)
{
	const mechanism_set offered = c->limits.offered;

	if (mechanism_set_has(offered, mechanism))
		return false;
	c->refused_cleartext = true;
	reply_error(&c->wire, REPLY_AUTH,
		mechanism_set_has(offered, MECHANISM_APOP) ? TEXT_NO_CLEARTEXT_BUT_APOP
							   : TEXT_NO_CLEARTEXT);
	return true;
}

unsigned char login_attempt_ask_monitor(struct conversation *c, struct request *request)
{
	const size_t length = request_length(request);
	unsigned char verdict;
	ssize_t octets;

	do
		octets = send(c->monitor_fd, request, length, MSG_NOSIGNAL);
	while (octets < 0 && errno == EINTR);
	explicit_bzero(request, length);
	if (octets != (ssize_t)length)
		return 0;
	do
		octets = recv(c->monitor_fd, &verdict, 1, 0);
	while (octets < 0 && errno == EINTR);
	return octets == 1 ? verdict : 0;
}

void login_attempt_tell_name(struct conversation *c, struct span login)
{
	static struct request request LARGE;

	if (login.length > REQUEST_NAME_OCTETS)
		return;
	request.kind = REQUEST_NAMES_USER;
	request.login_octets = (uint16_t)login.length;
	memcpy(request.octets, login.octets, login.length);
	c->limits.names++;
	/* without the name the line in the log says less, and that is all */
	if (request_permitted(&request, &c->limits))
		send(c->monitor_fd, &request, request_length(&request), MSG_NOSIGNAL);
}

/* Whether the limits permit these credentials; if not, sends a reply that says why. */
static bool credentials_fit(struct conversation *c, struct span login, struct span password)
{
	if (password.length == 0)
		reply_error(&c->wire, REPLY_AUTH, TEXT_EMPTY_PASSWORD);
	else if (!request_has_room(&c->limits, login.length + password.length))
		reply_error(&c->wire, REPLY_AUTH, TEXT_CREDENTIALS_TOO_LONG);
	else if (c->utf8 && !(utf8_is_valid(login.octets, login.length) &&
				    utf8_is_valid(password.octets, password.length)))
		reply_error(&c->wire, REPLY_AUTH, TEXT_CREDENTIALS_NOT_UTF8);
	else
		return true;
	return false;
}

static enum login_attempt ask_checker(struct conversation *c, struct request *request)
{
	struct refusals with_this = c->refusals;
	enum login_attempt attempt = LOGIN_ATTEMPT_TEMPORARY;

	/* the request is wiped before the verdict is known, so it is added beforehand */
	refusals_add(&with_this, request);
	switch (login_attempt_ask_monitor(c, request)) {
	case 0: attempt = LOGIN_ATTEMPT_ORPHAN; break;
	case VERDICT_GRANTED: attempt = LOGIN_ATTEMPT_GRANTED; break;
	case VERDICT_REFUSED:
		c->refusals = with_this;
		attempt = LOGIN_ATTEMPT_REFUSED;
		break;
	case VERDICT_MISCONFIGURED: attempt = LOGIN_ATTEMPT_MISCONFIGURED; break;
	default: break;
	}
	refusals_forget(&with_this);
	return attempt;
}

enum login_attempt login_attempt_make(
	struct conversation *c, enum mechanism kind, struct span login, struct span password)
{
	static struct request request LARGE; /* only the part that is used is touched */
	enum login_attempt attempt;

	if (!credentials_fit(c, login, password))
		return LOGIN_ATTEMPT_UNACCEPTABLE;
	request.kind = (uint16_t)kind;
	request.language = (uint16_t)c->wire.language;
	request.login_octets = (uint16_t)login.length;
	request.password_octets = (uint16_t)password.length;
	memcpy(request.octets, login.octets, login.length);
	memcpy(request.octets + login.length, password.octets, password.length);
	if (c->options->asked.fold_login)
		lower_octets(request.octets, login.length);
	wire_forget_input(&c->wire);
	if (!request_permitted(&request, &c->limits)) {
		reply_error(&c->wire, REPLY_AUTH, TEXT_CREDENTIALS_CONTROLS);
		attempt = LOGIN_ATTEMPT_UNACCEPTABLE;
	} else if (refusals_have(&c->refusals, &request)) {
		attempt = LOGIN_ATTEMPT_REPEATED;
	} else {
		return wire_flush(&c->wire) ? ask_checker(c, &request) : LOGIN_ATTEMPT_ORPHAN;
	}
	explicit_bzero(&request, request_length(&request));
	return attempt;
}

static enum command_result count_failure(struct conversation *c)
{
	if (++c->tries < REQUEST_TRIES)
		return COMMAND_GOOD;
	wire_flush(&c->wire);
	return conversation_end(c, LOGIN_FAILURES);
}

enum command_result login_attempt_answer(struct conversation *c, enum login_attempt attempt)
{
	switch (attempt) {
	case LOGIN_ATTEMPT_GRANTED: return conversation_end(c, LOGIN_GRANTED);
	case LOGIN_ATTEMPT_ORPHAN: return conversation_end(c, LOGIN_ORPHAN);
	case LOGIN_ATTEMPT_UNACCEPTABLE: return COMMAND_BAD;
	case LOGIN_ATTEMPT_REPEATED:
		reply_error(&c->wire, REPLY_AUTH, TEXT_LOGIN_FAILED);
		return COMMAND_BAD;
	case LOGIN_ATTEMPT_REFUSED: reply_error(&c->wire, REPLY_AUTH, TEXT_LOGIN_FAILED); break;
	case LOGIN_ATTEMPT_MISCONFIGURED:
		reply_error(&c->wire, REPLY_SYS_PERM, TEXT_LOGIN_BROKEN);
		break;
	case LOGIN_ATTEMPT_TEMPORARY:
		reply_error(&c->wire, REPLY_SYS_TEMP, TEXT_LOGIN_LATER);
		break;
	}
	return count_failure(c);
}
