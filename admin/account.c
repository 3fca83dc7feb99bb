/* account: see account.h. */
#include "admin/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/passwd.h"
#include "checkpw/dovecot.h"
#include "checkpw/name.h"
#include "lib/argument.h"
#include "lib/lower.h"
#include "os/finding.h"

/* A login that is looked for in the password file. */
struct search {
	const char *login;
	struct account *account;
	unsigned long line;
	bool is_locked;
};

static void look_at_line(void *context, unsigned long number, const char *raw,
	enum pwfile_line kind, const struct pwfile_entry *entry, const char *why)
{
	struct search *const s = context;

	(void)raw;
	(void)why;
	if ((kind != PWFILE_ENTRY && kind != PWFILE_LOCKED) || s->is_locked ||
		strcmp(entry->user.name, s->login) != 0)
		return;
	s->line = number;
	s->is_locked = kind == PWFILE_LOCKED;
	s->account->uid = entry->user.uid;
	s->account->gid = entry->user.gid;
	snprintf(s->account->home, sizeof s->account->home, "%s", entry->user.home);
	snprintf(s->account->maildir, sizeof s->account->maildir, "%s", entry->user.maildir);
}

static bool find_in_file(const char *path, struct account *a)
{
	struct search s = {.login = a->name, .account = a};

	if (!passwd_read(path, look_at_line, &s))
		finding_put(FINDING_WRONG, "login", "%s cannot be read (%s)", path,
			strerror(errno));
	else if (s.is_locked)
		finding_put(FINDING_WRONG, "login",
			"%s is locked in %s, line %lu: its hash begins with ! or *; remove "
			"that to let it "
			"in",
			a->name, path, s.line);
	else if (s.line == 0)
		finding_put(FINDING_WRONG, "login",
			"%s is not in %s, or its line is not good: add the line of "
			"pop3d-checkpw --hash %s",
			a->name, path, a->name);
	else
		return true;
	return false;
}

/* The account of the host with this name, root left out. */
static bool find_host_account(const struct command *c, const char *name, struct account *a)
{
	const struct passwd *const found = getpwnam(name);

	if (found == NULL) {
		finding_put(FINDING_WRONG, "login", "%s is no account of this host: useradd %s",
			name, name);
		return false;
	}
	if (found->pw_uid == 0 && !c->settings.asked.allow_root) {
		finding_put(FINDING_WRONG, "login",
			"%s has uid 0, for which there are no sessions: deliver its mail to "
			"somebody else",
			name);
		return false;
	}
	a->uid = found->pw_uid;
	a->gid = found->pw_gid;
	snprintf(a->home, sizeof a->home, "%s", found->pw_dir);
	return true;
}

static bool find_in_host(const struct command *c, struct account *a)
{
	a->is_host = find_host_account(c, a->name, a);
	return a->is_host;
}

/* Another checker decides. An account of the host with that name is its most likely answer. */
static bool find_guess(const struct command *c, struct account *a)
{
	if (getpwnam(a->name) != NULL)
		return find_in_host(c, a);
	finding_put(FINDING_WARNING, "login",
		"%s is no account of this host, and only %s knows where its mail is: look at "
		"its "
		"Maildir with pop3d --show",
		a->name, c->checker.list[0]);
	return false;
}

/* Puts the login where a path has %u, %n or %d. */
static bool expand(const char *login, char *path)
{
	char pattern[ACCOUNT_PATH_OCTETS];
	const char *problem;

	if (!pwname_is_pattern(path))
		return true;
	memcpy(pattern, path, strlen(path) + 1);
	problem = pwname_expand(pattern, login, path, ACCOUNT_PATH_OCTETS);
	if (problem != NULL)
		finding_put(FINDING_WRONG, "login",
			"%s cannot be put into %s (%s): log in with the whole address, or give "
			"--default-domain",
			login, pattern, problem);
	return problem == NULL;
}

/* --as: numbers, or an account of the host. */
static bool find_named(const struct command *c, const char *as, struct account *a)
{
	return argument_user(as, &a->uid, &a->gid) || find_host_account(c, as, a);
}

/* --pam serves everybody as one user. */
static bool find_owner(const struct command *c, const struct pw_options *o, struct account *a)
{
	if (!find_named(c, o->as, a))
		return false;
	snprintf(a->home, sizeof a->home, "%s", o->home);
	return true;
}

/* What the userdb of Dovecot says, which root may ask without a password. */
static bool find_in_dovecot(
	const struct command *c, const struct pw_options *o, struct account *a)
{
	static struct pw_user user;
	struct pwdovecot dovecot = {.userdb_socket = o->userdb_socket,
		.answer_seconds = o->answer_seconds,
		.home = o->home,
		.has_owner = o->as != NULL};
	enum pw_status status;

	if (o->as != NULL && !find_named(c, o->as, a))
		return false;
	dovecot.uid = a->uid;
	dovecot.gid = a->gid;
	status = pwdovecot_find(&dovecot, a->name, &user);
	if (status == PW_OK) {
		a->uid = user.uid;
		a->gid = user.gid;
		snprintf(a->home, sizeof a->home, "%s", user.home);
		snprintf(a->maildir, sizeof a->maildir, "%s", user.maildir);
		return true;
	}
	if (status == PW_REFUSED)
		finding_put(FINDING_WRONG, "login",
			"Dovecot's userdb does not know %s: add it there (doveadm user %s)",
			a->name, a->name);
	else
		finding_put(FINDING_WRONG, "login",
			"Dovecot does not say who %s is, or nothing that can be served; "
			"standard error "
			"says why, and doveadm user %s what it knows",
			a->name, a->name);
	return false;
}

static bool find(const struct command *c, struct account *a)
{
	static struct pw_options options;
	char typed[ACCOUNT_NAME_OCTETS];

	if (!passwd_options(c, &options))
		return find_guess(c, a);
	memcpy(typed, a->name, sizeof typed);
	pwname_make(typed, options.fold_login, options.default_domain, a->name, sizeof a->name);
	switch (options.action) {
	case CHECK_FILE:
		if (!find_in_file(options.file, a))
			return false;
		break;
	case CHECK_SYSTEM: return find_in_host(c, a);
	case CHECK_PAM:
		if (!find_owner(c, &options, a))
			return false;
		break;
	default: return find_in_dovecot(c, &options, a);
	}
	return expand(a->name, a->home) && expand(a->name, a->maildir);
}

bool account_find(const struct command *c, const char *login, struct account *a)
{
	memset(a, 0, sizeof *a);
	snprintf(a->name, sizeof a->name, "%s", login);
	if (c->settings.asked.fold_login)
		lower_octets(a->name, strlen(a->name));
	if (!find(c, a))
		return false;
	finding_put(FINDING_OK, "login", "%s is uid %lu, gid %lu, home %s", a->name,
		(unsigned long)a->uid, (unsigned long)a->gid, a->home);
	return true;
}

bool account_become(const struct account *a)
{
	if (geteuid() != 0)
		return true;
	return (a->is_host ? initgroups(a->name, a->gid) : setgroups(1, &a->gid)) == 0 &&
	       setgid(a->gid) == 0 && setuid(a->uid) == 0;
}
