/* account: see account.h. */
#include "admin/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/passwd.h"
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

static bool find_in_host(const struct command *c, struct account *a)
{
	const struct passwd *const found = getpwnam(a->name);
	const bool is_ours = strcmp(command_name(c->checker.list[0]), "pop3d-checkpw") == 0;

	if (found == NULL) {
		finding_put(is_ours ? FINDING_WRONG : FINDING_WARNING, "login",
			is_ours ? "%s is no account of this host: useradd %s%s"
				: "%s is no account of this host, and where its mail is only "
				  "%s knows: look "
				  "at its Maildir with pop3d --show",
			a->name, is_ours ? a->name : c->checker.list[0], "");
		return false;
	}
	if (found->pw_uid == 0 && !c->settings.asked.allow_root) {
		finding_put(FINDING_WRONG, "login",
			"%s has uid 0, for which there are no sessions: deliver its mail to "
			"somebody else",
			a->name);
		return false;
	}
	a->uid = found->pw_uid;
	a->gid = found->pw_gid;
	a->is_host = true;
	snprintf(a->home, sizeof a->home, "%s", found->pw_dir);
	return true;
}

bool account_find(const struct command *c, const char *login, struct account *a)
{
	const char *const path = passwd_path(c);

	memset(a, 0, sizeof *a);
	snprintf(a->name, sizeof a->name, "%s", login);
	for (char *octet = a->name; c->settings.asked.fold_login && *octet != '\0'; octet++)
		if (*octet >= 'A' && *octet <= 'Z')
			*octet = (char)(*octet - 'A' + 'a');
	if (!(path != NULL ? find_in_file(path, a) : find_in_host(c, a)))
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
