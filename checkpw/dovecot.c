/* dovecot: see dovecot.h.
 *
 * The protocol is Dovecot's own, versions 1.x: doc/CHECKPASSWORD says where it is documented.
 * RUNS AS ROOT, and takes what Dovecot says for true, since Dovecot decides who may log in; but
 * a reply that is out of place ends the conversation. */
#include "checkpw/dovecot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpw/auth_line.h"
#include "checkpw/auth_socket.h"
#include "checkpw/credentials.h"
#include "checkpw/entry.h"
#include "checkpw/mail.h"
#include "checkpw/name.h"
#include "checkpw/quote.h"
#include "lib/address.h"
#include "lib/base64.h"
#include "lib/number.h"
#include "os/clock.h"
#include "os/log.h"

/* Lines before "DONE": a handful, and one for each mechanism. */
#define GREETING_LINES_MAX 128
/* The only request of a connection. */
#define ID "1"

#define MESSAGE_OCTETS (CREDENTIALS_TOKEN_MAX + 256)

struct mechanism {
	const char *name;
	bool is_token;
};

/* One conversation; large, so there is one of it. */
struct conversation {
	struct auth_socket socket;
	const char *step, *path, *login;
	struct auth_line reply;
	size_t length;
};

static struct conversation conversation;

static enum pw_status unusable(
	const struct conversation *c, const char *problem, enum pw_status status)
{
	log_event(LOG_ERR, "checkpw-dovecot step=%s socket=%s user=%s problem=\"%s\"", c->step,
		quote(c->path).text, quote(c->login).text, problem);
	return status;
}

static enum pw_status broken(const struct conversation *c)
{
	return unusable(c, c->socket.problem, PW_TEMPORARY);
}

static enum pw_status nonsense(const struct conversation *c)
{
	return unusable(c, "it says what the protocol does not", PW_TEMPORARY);
}

static enum pw_status read_reply(struct conversation *c)
{
	char *const line = auth_socket_line(&c->socket, &c->length);

	if (line == NULL)
		return broken(c);
	return auth_line_split(line, c->length, &c->reply) ? PW_OK : nonsense(c);
}

static bool reply_is(const struct conversation *c, const char *command)
{
	return strcmp(c->reply.field[0], command) == 0;
}

/* A reply to our request has its id in it. */
static bool reply_is_ours(const struct conversation *c)
{
	return c->reply.count >= 2 && strcmp(c->reply.field[1], ID) == 0;
}

static enum pw_status connect_to(
	struct conversation *c, const char *step, const char *path, const char *hello)
{
	c->step = step;
	c->path = path;
	if (!auth_socket_open(&c->socket, path) ||
		!auth_socket_send(&c->socket, hello, strlen(hello)))
		return broken(c);
	return PW_OK;
}

/* "VERSION", major, minor: the first line of the server. */
static enum pw_status read_version(struct conversation *c)
{
	const enum pw_status status = read_reply(c);

	if (status != PW_OK)
		return status;
	if (!reply_is(c, "VERSION") || c->reply.count < 3)
		return nonsense(c);
	if (strcmp(c->reply.field[1], "1") != 0)
		return unusable(c, "its protocol has another major version", PW_TEMPORARY);
	return PW_OK;
}

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

static void add_connection(struct auth_text *text)
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

	auth_text_add(&text, "AUTH\t" ID "\t");
	auth_text_add(&text, mechanism->name);
	auth_text_add(&text, "\tservice=pop3");
	if (is_secured())
		auth_text_add(&text, "\tsecured");
	add_connection(&text);
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
	return is_sent ? PW_OK : broken(c);
}

/* ---- what is answered ---------------------------------------------------------------------
 */

/* To "DONE", which ends what the server says by itself. */
static enum pw_status read_greeting(struct conversation *c, const struct mechanism *mechanism)
{
	bool is_offered = false;
	enum pw_status status = read_version(c);

	for (int lines = 0; status == PW_OK; lines++) {
		status = read_reply(c);
		if (status != PW_OK)
			break;
		if (reply_is(c, "DONE"))
			return is_offered ? PW_OK
					  : unusable(c,
						    "its auth_mechanisms lack the one of this "
						    "login",
						    PW_MISCONFIGURED);
		if (reply_is(c, "MECH") && c->reply.count >= 2)
			is_offered =
				is_offered || strcmp(c->reply.field[1], mechanism->name) == 0;
		else if (!reply_is(c, "SPID") && !reply_is(c, "CUID") && !reply_is(c, "COOKIE"))
			return nonsense(c);
		if (lines == GREETING_LINES_MAX)
			return nonsense(c);
	}
	return status;
}

static bool has_code(const struct conversation *c, const char *code, const char *old_name)
{
	const char *const value = auth_line_value(&c->reply, 2, "code");

	return (value != NULL && strcmp(value, code) == 0) ||
	       auth_line_value(&c->reply, 2, old_name) != NULL;
}

/* A plain refusal has neither code nor reason, and no line of ours: the caller logs it. */
static enum pw_status judge_refusal(const struct conversation *c)
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
		log_event(is_temporary ? LOG_ERR : LOG_NOTICE,
			"checkpw-dovecot step=%s socket=%s user=%s code=%s reason=%s", c->step,
			quote(c->path).text, quote(c->login).text, code,
			quote(reason != NULL ? reason : "-").text);
	return is_temporary ? PW_TEMPORARY : PW_REFUSED;
}

/* Copies a name that Dovecot gives, which goes into the log and the environment. */
static bool take_name(const char *value, char name[PWUSER_NAME_MAX + 1])
{
	const size_t length = strlen(value);

	if (length == 0 || length > PWUSER_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return false;
	memcpy(name, value, length + 1);
	return true;
}

/* A password that is right is not all: the user may live on another host, or nowhere. */
static enum pw_status take_success(const struct conversation *c, char *name)
{
	const char *const user = auth_line_value(&c->reply, 2, "user");
	const char *const reason = auth_line_value(&c->reply, 2, "reason");

	if (auth_line_value(&c->reply, 2, "nologin") != NULL ||
		auth_line_value(&c->reply, 2, "proxy") != NULL) {
		log_event(LOG_NOTICE,
			"checkpw-dovecot step=%s socket=%s user=%s code=nologin reason=%s",
			c->step, quote(c->path).text, quote(c->login).text,
			quote(reason != NULL ? reason : "-").text);
		return PW_REFUSED;
	}
	return take_name(user != NULL ? user : c->login, name) ? PW_OK : nonsense(c);
}

/* A token that is refused gets the reason in a challenge first, which has to be answered: RFC
 * 7628 section 3.2.3. */
static enum pw_status answer_challenge(struct conversation *c)
{
	static const char answer[] = "CONT\t" ID "\tAQ==\n";

	return auth_socket_send(&c->socket, answer, sizeof answer - 1) ? PW_OK : broken(c);
}

static enum pw_status read_verdict(
	struct conversation *c, const struct mechanism *mechanism, char *name)
{
	bool is_answered = false;
	enum pw_status status;

	for (;;) {
		status = read_reply(c);
		if (status != PW_OK)
			return status;
		if (!reply_is_ours(c))
			return nonsense(c);
		if (reply_is(c, "OK"))
			return take_success(c, name);
		if (reply_is(c, "FAIL"))
			return judge_refusal(c);
		if (!reply_is(c, "CONT") || !mechanism->is_token || is_answered)
			return nonsense(c);
		is_answered = true;
		status = answer_challenge(c);
		if (status != PW_OK)
			return status;
	}
}

static enum pw_status ask_auth(
	struct conversation *c, const char *path, const char *password, char *name)
{
	const struct mechanism *const mechanism = find_mechanism();
	char hello[64];
	enum pw_status status;

	snprintf(hello, sizeof hello, "VERSION\t1\t2\nCPID\t%ld\n", (long)getpid());
	status = connect_to(c, "auth", path, hello);
	if (status == PW_OK)
		status = read_greeting(c, mechanism);
	if (status == PW_OK)
		status = send_request(c, mechanism, password);
	if (status == PW_OK)
		status = read_verdict(c, mechanism, name);
	auth_socket_close(&c->socket);
	return status;
}

/* ---- who it is ----------------------------------------------------------------------------
 */

static enum pw_status ask_who(struct conversation *c)
{
	static char octets[2048];
	struct auth_text text = {octets, 0, sizeof octets, false};
	enum pw_status status;

	auth_text_add(&text, "USER\t" ID "\t");
	auth_text_escape(&text, c->login);
	auth_text_add(&text, "\tservice=pop3");
	add_connection(&text);
	auth_text_add(&text, "\n");
	if (text.is_full)
		return nonsense(c);
	if (!auth_socket_send(&c->socket, octets, text.length))
		return broken(c);
	do
		status = read_reply(c);
	while (status == PW_OK && reply_is(c, "SPID"));
	if (status == PW_OK && !reply_is_ours(c))
		return nonsense(c);
	return status;
}

/* Dovecot's numbers, or those of --as. */
static const char *take_owner(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user)
{
	const char *const uid = auth_line_value(&c->reply, 3, "uid");
	const char *const gid = auth_line_value(&c->reply, 3, "gid");

	if (uid != NULL && !pwfile_parse_id(uid, &user->uid))
		return "its uid is not a number";
	if (gid != NULL && !pwfile_parse_id(gid, &user->gid))
		return "its gid is not a number";
	if ((uid == NULL || gid == NULL) && !dovecot->has_owner)
		return "it has no uid or no gid, and there is no --as";
	if (uid == NULL)
		user->uid = dovecot->uid;
	if (gid == NULL)
		user->gid = dovecot->gid;
	return NULL;
}

static const char *take_home(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user)
{
	const char *const home = auth_line_value(&c->reply, 3, "home");

	if (home == NULL && dovecot->home == NULL)
		return "it has no home, and there is no --home";
	if (home == NULL)
		return pwname_expand(dovecot->home, user->name, user->home, sizeof user->home);
	if (home[0] != '/')
		return "its home is not an absolute path";
	if (strlen(home) >= sizeof user->home)
		return "its home is too long";
	memcpy(user->home, home, strlen(home) + 1);
	return NULL;
}

/* "mail", or from version 2.4 on "mail_driver" and "mail_path". */
static const char *take_mail(const struct conversation *c, struct pw_user *user)
{
	const char *const mail = auth_line_value(&c->reply, 3, "mail");
	const char *const driver = auth_line_value(&c->reply, 3, "mail_driver");
	const char *const path = auth_line_value(&c->reply, 3, "mail_path");
	const char *const chroot_path = auth_line_value(&c->reply, 3, "chroot");
	const char *const location = mail != NULL ? mail : path;

	if (chroot_path != NULL && chroot_path[0] != '\0')
		return "it has a chroot";
	if (driver != NULL && strcmp(driver, "maildir") != 0)
		return "the mail is not in a Maildir";
	if (location == NULL || location[0] == '\0')
		return NULL;
	return pwmail_parse(location, user->maildir, sizeof user->maildir);
}

static enum pw_status take_user(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user)
{
	const char *problem;

	if (c->reply.count < 3 || !take_name(c->reply.field[2], user->name))
		return nonsense(c);
	problem = take_owner(c, dovecot, user);
	if (problem == NULL)
		problem = take_home(c, dovecot, user);
	if (problem == NULL)
		problem = take_mail(c, user);
	return problem == NULL ? PW_OK : unusable(c, problem, PW_MISCONFIGURED);
}

static enum pw_status judge_user(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user)
{
	if (reply_is(c, "USER"))
		return take_user(c, dovecot, user);
	if (reply_is(c, "NOTFOUND"))
		return unusable(c, "the password is right, but its userdb has no such user",
			PW_MISCONFIGURED);
	if (!reply_is(c, "FAIL"))
		return nonsense(c);
	judge_refusal(c);
	return unusable(c, "its userdb does not work", PW_TEMPORARY);
}

/* The reply lies in the socket's memory: the caller closes that. */
static enum pw_status ask_userdb(
	struct conversation *c, const struct pwdovecot *dovecot, const char *name)
{
	enum pw_status status;

	c->login = name;
	status = connect_to(c, "userdb", dovecot->userdb_socket, "VERSION\t1\t1\n");
	if (status == PW_OK)
		status = read_version(c);
	return status == PW_OK ? ask_who(c) : status;
}

enum pw_status pwdovecot_find(
	const struct pwdovecot *dovecot, const char *login, struct pw_user *user)
{
	struct conversation *const c = &conversation;
	char name[PWUSER_NAME_MAX + 1];
	enum pw_status status;

	if (!take_name(login, name))
		return PW_REFUSED;
	c->socket.deadline_ms = clock_now_ms() + dovecot->answer_seconds * 1000;
	status = ask_userdb(c, dovecot, name);
	if (status == PW_OK)
		status = reply_is(c, "NOTFOUND") ? PW_REFUSED : judge_user(c, dovecot, user);
	auth_socket_close(&c->socket);
	return status;
}

enum pw_status pwdovecot_check(const struct pwdovecot *dovecot, const char *login,
	const char *password, struct pw_user *user)
{
	struct conversation *const c = &conversation;
	char name[PWUSER_NAME_MAX + 1], asked[PWUSER_NAME_MAX + 1];
	enum pw_status status;

	/* nothing that a line or a message of a mechanism could mistake for its own */
	if (!take_name(login, asked) ||
		(find_mechanism()->is_token && strchr(password, '\001') != NULL))
		return PW_REFUSED;
	c->login = asked;
	c->socket.deadline_ms = clock_now_ms() + dovecot->answer_seconds * 1000;
	status = ask_auth(c, dovecot->auth_socket, password, name);
	if (status != PW_OK)
		return status;
	status = ask_userdb(c, dovecot, name);
	if (status == PW_OK)
		status = judge_user(c, dovecot, user);
	auth_socket_close(&c->socket);
	return status;
}
