/* dovecot_auth: see dovecot_auth.h. RUNS AS ROOT. */
#include "checkpw/dovecot_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpw/credentials.h"
#include "lib/address.h"
#include "lib/base64.h"
#include "os/log.h"

/* Lines before "DONE": a handful, and one for each mechanism. */
#define GREETING_LINES_MAX 128

#define MESSAGE_OCTETS (CREDENTIALS_TOKEN_MAX + 256)

struct mechanism {
	const char *name;
	bool is_token;
};

/* ---- what is asked ------------------------------------------------------------------------
 */

static const struct mechanism *find_mechanism(void)
{
	static const struct mechanism mechanisms[] = {
		{"XOAUTH2", true}, {"OAUTHBEARER", true}, {"PLAIN", false}};
	const char *const asked = getenv("AUTH_MECHANISM");
	size_t i = 0;

	while (mechanisms[i].is_token &&
		(asked == NULL || strcmp(asked, mechanisms[i].name) != 0))
		i++;
	return &mechanisms[i];
}

bool pwdovecot_takes_token(void)
{
	return find_mechanism()->is_token;
}

static bool is_loopback(const char *text)
{
	static const unsigned char loopback_v6[16] = {[15] = 1};
	struct address address;

	if (!address_parse(text, strlen(text), &address))
		return false;
	return address.length == 4 ? address.octets[0] == 127
				   : memcmp(address.octets, loopback_v6, 16) == 0;
}

/* TLS, as pop3d or another front end says, or a client on this host. */
static bool is_secured(void)
{
	const char *const tls = getenv("POP3D_TLS");
	const char *const protocol = getenv("SSL_PROTOCOL");
	const char *const remote = getenv("TCPREMOTEIP");
	const char *const local = getenv("TCPLOCALIP");

	if (tls != NULL ? strcmp(tls, "yes") == 0 : protocol != NULL && protocol[0] != '\0')
		return true;
	return remote != NULL &&
	       (is_loopback(remote) || (local != NULL && strcmp(local, remote) == 0));
}

/* A name in a GS2 header (RFC 5801 section 4). */
static void escape_name(char *to, const char *name)
{
	for (; *name != '\0'; name++) {
		const char *const escaped = *name == ',' ? "=2C" : *name == '=' ? "=3D" : NULL;

		if (escaped == NULL)
			*to++ = *name;
		for (const char *at = escaped; at != NULL && *at != '\0'; at++)
			*to++ = *at;
	}
	*to = '\0';
}

/* The first message of the mechanism: RFC 4616 section 2, RFC 7628 section 3.1, and what
 * XOAUTH2 has in place of that. Returns its length; size or more if it does not fit. */
static size_t write_message(const struct mechanism *mechanism, const char *login,
	const char *password, char *message, size_t size)
{
	char name[3 * PWUSER_NAME_MAX + 1];
	int length;

	if (!mechanism->is_token) {
		length = snprintf(message, size, "%c%s%c%s", '\0', login, '\0', password);
	} else if (strcmp(mechanism->name, "XOAUTH2") == 0) {
		length = snprintf(
			message, size, "user=%s\001auth=Bearer %s\001\001", login, password);
	} else {
		escape_name(name, login);
		length = snprintf(
			message, size, "n,a=%s,\001auth=Bearer %s\001\001", name, password);
	}
	return length < 0 ? size : (size_t)length;
}

/* "resp" is the last parameter, as the protocol wants it. */
static enum pw_status send_request(
	struct conversation *c, const struct mechanism *mechanism, const char *password)
{
	static char octets[BASE64_OCTETS(MESSAGE_OCTETS) + 1024];
	static char message[MESSAGE_OCTETS];
	struct auth_text text = {octets, 0, sizeof octets, false};
	size_t length;
	bool is_sent;

	auth_text_add(&text, "AUTH\t" TALK_ID "\t");
	auth_text_add(&text, mechanism->name);
	auth_text_add(&text, "\tservice=pop3");
	if (is_secured())
		auth_text_add(&text, "\tsecured");
	talk_add_connection(&text);
	auth_text_add(&text, "\tresp=");
	length = write_message(mechanism, c->login, password, message, sizeof message);
	if (length >= sizeof message ||
		text.length + BASE64_OCTETS(length) + sizeof "\n" > sizeof octets)
		return PW_REFUSED;
	base64_encode(message, length, octets + text.length);
	text.length += BASE64_OCTETS(length);
	auth_text_add(&text, "\n");
	is_sent = auth_socket_send(&c->socket, octets, text.length);
	explicit_bzero(message, sizeof message);
	explicit_bzero(octets, sizeof octets);
	return is_sent ? PW_OK : talk_broken(c);
}

/* ---- what is answered ---------------------------------------------------------------------
 */

/* To "DONE", which ends what the server says by itself. */
static enum pw_status read_greeting(struct conversation *c, const struct mechanism *mechanism)
{
	bool is_offered = false;
	enum pw_status status = talk_read_version(c);

	for (int lines = 0; status == PW_OK; lines++) {
		status = talk_read(c);
		if (status != PW_OK)
			break;
		if (talk_reply_is(c, "DONE"))
			return is_offered ? PW_OK
					  : talk_unusable(c,
						    "its auth_mechanisms lack the one of this "
						    "login",
						    PW_MISCONFIGURED);
		if (talk_reply_is(c, "MECH") && c->reply.count >= 2)
			is_offered =
				is_offered || strcmp(c->reply.field[1], mechanism->name) == 0;
		else if (!talk_reply_is(c, "SPID") && !talk_reply_is(c, "CUID") &&
			 !talk_reply_is(c, "COOKIE"))
			return talk_nonsense(c);
		if (lines == GREETING_LINES_MAX)
			return talk_nonsense(c);
	}
	return status;
}

/* A password that is right is not all: the user may live on another host, or nowhere. */
static enum pw_status take_success(const struct conversation *c, char *name)
{
	const char *const user = auth_line_value(&c->reply, 2, "user");
	const char *const reason = auth_line_value(&c->reply, 2, "reason");

	if (auth_line_value(&c->reply, 2, "nologin") != NULL ||
		auth_line_value(&c->reply, 2, "proxy") != NULL) {
		talk_log_refusal(c, LOG_NOTICE, "nologin", reason);
		return PW_REFUSED;
	}
	return talk_take_name(user != NULL ? user : c->login, name) ? PW_OK : talk_nonsense(c);
}

/* A token that is refused gets the reason in a challenge first, which has to be answered: RFC
 * 7628 section 3.2.3. */
static enum pw_status answer_challenge(struct conversation *c)
{
	static const char answer[] = "CONT\t" TALK_ID "\tAQ==\n";

	return auth_socket_send(&c->socket, answer, sizeof answer - 1) ? PW_OK : talk_broken(c);
}

static enum pw_status read_verdict(
	struct conversation *c, const struct mechanism *mechanism, char *name)
{
	bool is_answered = false;
	enum pw_status status;

	for (;;) {
		status = talk_read(c);
		if (status != PW_OK)
			return status;
		if (!talk_reply_is_ours(c))
			return talk_nonsense(c);
		if (talk_reply_is(c, "OK"))
			return take_success(c, name);
		if (talk_reply_is(c, "FAIL"))
			return talk_judge_refusal(c);
		if (!talk_reply_is(c, "CONT") || !mechanism->is_token || is_answered)
			return talk_nonsense(c);
		is_answered = true;
		status = answer_challenge(c);
		if (status != PW_OK)
			return status;
	}
}

enum pw_status pwauth_ask(
	struct conversation *c, const char *path, const char *password, char *name)
{
	const struct mechanism *const mechanism = find_mechanism();
	char hello[64];
	enum pw_status status;

	snprintf(hello, sizeof hello, "VERSION\t1\t2\nCPID\t%ld\n", (long)getpid());
	status = talk_connect(c, "auth", path, hello);
	if (status == PW_OK)
		status = read_greeting(c, mechanism);
	if (status == PW_OK)
		status = send_request(c, mechanism, password);
	if (status == PW_OK)
		status = read_verdict(c, mechanism, name);
	auth_socket_close(&c->socket);
	return status;
}
