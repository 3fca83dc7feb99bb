/* check: see check.h. */
#include "checkpw/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpw/dovecot.h"
#include "checkpw/file.h"
#include "checkpw/hash.h"
#include "checkpw/host.h"
#include "checkpw/name.h"
#include "checkpw/pam.h"
#include "checkpw/quote.h"
#include "lib/argument.h"
#include "os/log.h"

/* Refused, as the login does not lead to a home; an administrator may wonder why. */
static enum pw_status refuse_home(const char *pattern, const char *login, const char *problem)
{
	log_event(LOG_WARNING, "checkpw-home-unusable home=%s user=%s problem=\"%s\"",
		quote(pattern).text, quote(login).text, problem);
	return PW_REFUSED;
}

/* Puts the login into a path of the user, in place. */
static enum pw_status expand_path(char *path, const char *login)
{
	static char pattern[PWUSER_PATH_MAX + 1];
	const char *problem;

	if (!pwname_is_pattern(path))
		return PW_OK;
	memcpy(pattern, path, strlen(path) + 1);
	problem = pwname_expand(pattern, login, path, sizeof pattern);
	return problem == NULL ? PW_OK : refuse_home(pattern, login, problem);
}

/* An unknown login is compared as well, with somebody else's hash: the same work, the same
 * answer. */
static enum pw_status compare_hash(
	const char *password, const struct pwfile_found *found, struct pw_user *user)
{
	const enum pwhash_verdict verdict =
		pwhash_check(password, found->known ? found->entry.hash : found->any_hash);

	*user = found->entry.user;
	if (verdict != PWHASH_TROUBLE)
		return verdict == PWHASH_MATCHES && found->known ? PW_OK : PW_REFUSED;
	log_event(LOG_ERR, "checkpw-no-hash problem=\"crypt does not compute one: no memory "
			   "left for it?\"");
	return PW_TEMPORARY;
}

static enum pw_status check_file(const struct pw_options *options, const char *login,
	const char *password, struct pw_user *user)
{
	static struct pwfile_found found;
	enum pw_status status = pwfile_find(options->file, login, &found);
	int slot;

	if (status != PW_OK)
		return status;
	status = PW_TEMPORARY;
	if (pwslot_enter(&options->slots, options->file, &slot) == PWSLOT_FREE)
		status = compare_hash(password, &found, user);
	pwslot_leave(slot);
	explicit_bzero(&found, sizeof found);
	if (status == PW_OK)
		status = expand_path(user->home, login);
	return status == PW_OK ? expand_path(user->maildir, login) : status;
}

static enum pw_status check_system(const struct pw_options *options, const char *login,
	const char *password, struct pw_user *user)
{
	enum pw_status status = PW_TEMPORARY;
	int slot;

	if (pwslot_enter(&options->slots, NULL, &slot) == PWSLOT_FREE)
		status = pwpam_check(login, password, user);
	pwslot_leave(slot);
	return status;
}

/* Fills uid and gid by --as: numbers, or an account of this host. */
static enum pw_status become_named(const char *as, struct pw_user *user)
{
	static struct pw_user account;
	enum pw_status status;

	if (argument_user(as, &user->uid, &user->gid))
		return PW_OK;
	status = pwhost_find(as, &account);
	if (status == PW_OK && account.uid != 0) {
		user->uid = account.uid;
		user->gid = account.gid;
		return PW_OK;
	}
	log_event(LOG_ERR, "checkpw-no-account user=%s problem=\"--as: %s\"", quote(as).text,
		status == PW_TEMPORARY ? strerror(errno)
		: status == PW_OK      ? "root serves nobody"
				       : "there is no such account");
	return status == PW_TEMPORARY ? PW_TEMPORARY : PW_MISCONFIGURED;
}

static enum pw_status expand_home(const char *pattern, struct pw_user *user)
{
	const char *const problem =
		pwname_expand(pattern, user->name, user->home, sizeof user->home);

	return problem == NULL ? PW_OK : refuse_home(pattern, user->name, problem);
}

/* A login that leads to no home is refused before PAM sees the password: the time that takes
 * must not tell whether it was right. */
static enum pw_status check_pam(const struct pw_options *options, const char *login,
	const char *password, struct pw_user *user)
{
	enum pw_status status = become_named(options->as, user);
	int slot;

	if (status != PW_OK)
		return status;
	if (strlen(login) > PWUSER_NAME_MAX)
		return PW_REFUSED;
	memcpy(user->name, login, strlen(login) + 1);
	status = expand_home(options->home, user);
	if (status != PW_OK)
		return status;
	status = PW_TEMPORARY;
	if (pwslot_enter(&options->slots, NULL, &slot) == PWSLOT_FREE)
		status = pwpam_ask(login, password, user->name, sizeof user->name);
	pwslot_leave(slot);
	/* modules may have made another name of it */
	return status == PW_OK ? expand_home(options->home, user) : status;
}

static enum pw_status check_dovecot(const struct pw_options *options, const char *login,
	const char *password, struct pw_user *user)
{
	struct pwdovecot dovecot = {.auth_socket = options->auth_socket,
		.userdb_socket = options->userdb_socket,
		.answer_seconds = options->answer_seconds,
		.home = options->home,
		.has_owner = options->as != NULL};
	enum pw_status status = PW_OK;

	if (options->as != NULL)
		status = become_named(options->as, user);
	dovecot.uid = user->uid;
	dovecot.gid = user->gid;
	return status == PW_OK ? pwdovecot_check(&dovecot, login, password, user) : status;
}

static bool is_apop(void)
{
	const char *mechanism = getenv("AUTH_MECHANISM");

	return mechanism != NULL && strcmp(mechanism, "APOP") == 0;
}

static void log_refusal(const char *login)
{
	const char *remote = getenv("TCPREMOTEIP");

	log_event(LOG_NOTICE, "checkpw-refused ip=%s user=%s",
		remote != NULL ? quote(remote).text : "-", quote(login).text);
}

static enum pw_status ask(const struct pw_options *options, const char *login,
	const char *password, struct pw_user *user)
{
	switch (options->action) {
	case CHECK_SYSTEM: return check_system(options, login, password, user);
	case CHECK_PAM: return check_pam(options, login, password, user);
	case CHECK_DOVECOT: return check_dovecot(options, login, password, user);
	default: return check_file(options, login, password, user);
	}
}

enum pw_status pwcheck_login(const struct pw_options *options,
	const struct credentials *credentials, struct pw_user *user)
{
	/* a login that is too long is looked up, too, and takes as long as any other */
	char login[CREDENTIALS_MAX + PWUSER_NAME_MAX + 2];
	enum pw_status status = PW_REFUSED;

	if (is_apop())
		log_event(LOG_ERR,
			"checkpw-misused problem=\"APOP needs passwords in clear text, "
			"and here are only hashes\"");
	else if (credentials->login[0] != '\0' && credentials->password[0] != '\0' &&
		 pwname_make(credentials->login, options->fold_login, options->default_domain,
			 login, sizeof login))
		status = ask(options, login, credentials->password, user);
	if (status == PW_REFUSED)
		log_refusal(credentials->login);
	return status;
}
