/* dovecot_userdb: see dovecot_userdb.h. RUNS AS ROOT. */
#include "checkpw/dovecot_userdb.h"

#include <string.h>

#include "checkpw/entry.h"
#include "checkpw/mail.h"
#include "checkpw/name.h"

static enum pw_status ask_who(struct conversation *c)
{
	static char octets[2048];
	struct auth_text text = {octets, 0, sizeof octets, false};
	enum pw_status status;

	auth_text_add(&text, "USER\t" TALK_ID "\t");
	auth_text_escape(&text, c->login);
	auth_text_add(&text, "\tservice=pop3");
	talk_add_connection(&text);
	auth_text_add(&text, "\n");
	if (text.is_full)
		return talk_nonsense(c);
	if (!auth_socket_send(&c->socket, octets, text.length))
		return talk_broken(c);
	do
		status = talk_read(c);
	while (status == PW_OK && talk_reply_is(c, "SPID"));
	if (status == PW_OK && !talk_reply_is_ours(c))
		return talk_nonsense(c);
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

	if (c->reply.count < 3 || !talk_take_name(c->reply.field[2], user->name))
		return talk_nonsense(c);
	problem = take_owner(c, dovecot, user);
	if (problem == NULL)
		problem = take_home(c, dovecot, user);
	if (problem == NULL)
		problem = take_mail(c, user);
	return problem == NULL ? PW_OK : talk_unusable(c, problem, PW_MISCONFIGURED);
}

enum pw_status pwuserdb_judge(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user)
{
	if (talk_reply_is(c, "USER"))
		return take_user(c, dovecot, user);
	if (talk_reply_is(c, "NOTFOUND"))
		return talk_unusable(c,
			"the password is right, but its userdb has no such user",
			PW_MISCONFIGURED);
	if (!talk_reply_is(c, "FAIL"))
		return talk_nonsense(c);
	talk_judge_refusal(c);
	return talk_unusable(c, "its userdb does not work", PW_TEMPORARY);
}

/* The reply lies in the socket's memory: the caller closes that. */
enum pw_status pwuserdb_ask(
	struct conversation *c, const struct pwdovecot *dovecot, const char *name)
{
	enum pw_status status;

	c->login = name;
	status = talk_connect(c, "userdb", dovecot->userdb_socket, "VERSION\t1\t1\n");
	if (status == PW_OK)
		status = talk_read_version(c);
	return status == PW_OK ? ask_who(c) : status;
}
