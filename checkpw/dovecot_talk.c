/* dovecot_talk: see dovecot_talk.h. RUNS AS ROOT. */
#include "checkpw/dovecot_talk.h"

#include <stdlib.h>
#include <string.h>

#include "checkpw/name.h"
#include "checkpw/quote.h"
#include "lib/address.h"
#include "lib/number.h"
#include "os/log.h"

enum pw_status talk_unusable(
	const struct conversation *c, const char *problem, enum pw_status status)
{
	log_event(LOG_ERR, "checkpw-dovecot step=%s socket=%s user=%s problem=\"%s\"", c->step,
		quote(c->path).text, quote(c->login).text, problem);
	return status;
}

enum pw_status talk_broken(const struct conversation *c)
{
	return talk_unusable(c, c->socket.problem, PW_TEMPORARY);
}

enum pw_status talk_nonsense(const struct conversation *c)
{
	return talk_unusable(c, "it says what the protocol does not", PW_TEMPORARY);
}

enum pw_status talk_read(struct conversation *c)
{
	char *const line = auth_socket_line(&c->socket, &c->length);

	if (line == NULL)
		return talk_broken(c);
	return auth_line_split(line, c->length, &c->reply) ? PW_OK : talk_nonsense(c);
}

bool talk_reply_is(const struct conversation *c, const char *command)
{
	return strcmp(c->reply.field[0], command) == 0;
}

/* A reply to our request has its id in it. */
bool talk_reply_is_ours(const struct conversation *c)
{
	return c->reply.count >= 2 && strcmp(c->reply.field[1], TALK_ID) == 0;
}

enum pw_status talk_connect(
	struct conversation *c, const char *step, const char *path, const char *hello)
{
	c->step = step;
	c->path = path;
	if (!auth_socket_open(&c->socket, path) ||
		!auth_socket_send(&c->socket, hello, strlen(hello)))
		return talk_broken(c);
	return PW_OK;
}

/* "VERSION", major, minor: the first line of the server. */
enum pw_status talk_read_version(struct conversation *c)
{
	const enum pw_status status = talk_read(c);

	if (status != PW_OK)
		return status;
	if (!talk_reply_is(c, "VERSION") || c->reply.count < 3)
		return talk_nonsense(c);
	if (strcmp(c->reply.field[1], "1") != 0)
		return talk_unusable(c, "its protocol has another major version", PW_TEMPORARY);
	return PW_OK;
}

/* Adds an address or a port of the environment where it is one. */
static void add_address(struct auth_text *text, const char *name, const char *variable)
{
	const char *const value = getenv(variable);
	struct address address;

	if (value == NULL || !address_parse(value, strlen(value), &address))
		return;
	auth_text_add(text, name);
	auth_text_add(text, value);
}

static void add_port(struct auth_text *text, const char *name, const char *variable)
{
	const char *const value = getenv(variable);
	uint64_t port;

	if (value == NULL || !number_parse(value, strlen(value), &port) || port > 65535)
		return;
	auth_text_add(text, name);
	auth_text_add(text, value);
}

void talk_add_connection(struct auth_text *text)
{
	if (log_session()[0] != '\0') {
		auth_text_add(text, "\tsession=");
		auth_text_escape(text, log_session());
	}
	add_address(text, "\tlip=", "TCPLOCALIP");
	add_address(text, "\trip=", "TCPREMOTEIP");
	add_port(text, "\tlport=", "TCPLOCALPORT");
	add_port(text, "\trport=", "TCPREMOTEPORT");
}

static bool has_code(const struct conversation *c, const char *code, const char *old_name)
{
	const char *const value = auth_line_value(&c->reply, 2, "code");

	return (value != NULL && strcmp(value, code) == 0) ||
	       auth_line_value(&c->reply, 2, old_name) != NULL;
}

void talk_log_refusal(
	const struct conversation *c, int priority, const char *code, const char *reason)
{
	log_event(priority, "checkpw-dovecot step=%s socket=%s user=%s code=%s reason=%s",
		c->step, quote(c->path).text, quote(c->login).text, code,
		quote(reason != NULL ? reason : "-").text);
}

/* A plain refusal has neither code nor reason, and no line of ours: the caller logs it. */
enum pw_status talk_judge_refusal(const struct conversation *c)
{
	const bool is_temporary = has_code(c, "temp_fail", "temp");
	const bool is_disabled = has_code(c, "user_disabled", "user_disabled");
	const bool is_expired = has_code(c, "pass_expired", "pass_expired");
	const bool is_unauthorized = has_code(c, "authz_fail", "authz");
	const char *const reason = auth_line_value(&c->reply, 2, "reason");
	const char *const code = is_temporary      ? "temp"
				 : is_disabled     ? "user_disabled"
				 : is_expired      ? "pass_expired"
				 : is_unauthorized ? "authz"
						   : "-";

	if (code[0] != '-' || reason != NULL)
		talk_log_refusal(c, is_temporary ? LOG_ERR : LOG_NOTICE, code, reason);
	return is_temporary ? PW_TEMPORARY : PW_REFUSED;
}

/* Copies a name that Dovecot gives, which goes into the log and the environment. */
bool talk_take_name(const char *value, char name[PWUSER_NAME_MAX + 1])
{
	const size_t length = strlen(value);

	if (length == 0 || length > PWUSER_NAME_MAX || pwname_has_control(value, length))
		return false;
	memcpy(name, value, length + 1);
	return true;
}
