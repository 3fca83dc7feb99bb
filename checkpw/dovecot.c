/* dovecot: see dovecot.h.
 *
 * The protocol is Dovecot's own, versions 1.x: doc/CHECKPASSWORD says where it is documented.
 * RUNS AS ROOT, and takes what Dovecot says for true, since Dovecot decides who may log in; but
 * a reply that is out of place ends the conversation. */
#include "checkpw/dovecot.h"

#include <string.h>

#include "checkpw/dovecot_auth.h"
#include "checkpw/dovecot_talk.h"
#include "checkpw/dovecot_userdb.h"
#include "os/clock.h"

static struct conversation conversation;

enum pw_status pwdovecot_find(
	const struct pwdovecot *dovecot, const char *login, struct pw_user *user)
{
	struct conversation *const c = &conversation;
	char name[PWUSER_NAME_MAX + 1];
	enum pw_status status;

	if (!talk_take_name(login, name))
		return PW_REFUSED;
	c->socket.deadline_ms = clock_now_ms() + dovecot->answer_seconds * 1000;
	status = pwuserdb_ask(c, dovecot, name);
	if (status == PW_OK)
		status = talk_reply_is(c, "NOTFOUND") ? PW_REFUSED
						      : pwuserdb_judge(c, dovecot, user);
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
	if (!talk_take_name(login, asked) ||
		(pwdovecot_takes_token() && strchr(password, '\001') != NULL))
		return PW_REFUSED;
	c->login = asked;
	c->socket.deadline_ms = clock_now_ms() + dovecot->answer_seconds * 1000;
	status = pwauth_ask(c, dovecot->auth_socket, password, name);
	if (status != PW_OK)
		return status;
	status = pwuserdb_ask(c, dovecot, name);
	if (status == PW_OK)
		status = pwuserdb_judge(c, dovecot, user);
	auth_socket_close(&c->socket);
	return status;
}
