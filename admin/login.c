/* login: a login's home and Maildir, as its session would find them; see checks.h.
 *
 * The checks run in a child with the rights of the mail user: what it cannot reach is what a
 * session cannot reach, and links that it made lead root nowhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/account.h"
#include "admin/checks.h"
#include "admin/maildrop.h"
#include "os/finding.h"
#include "os/process.h"

/* Names the directory on the way to the home that the user cannot enter. */
static void say_closed(const struct account *a)
{
	char path[ACCOUNT_PATH_OCTETS];
	size_t octets = 0;

	while (a->home[octets] != '\0') {
		octets += 1 + strcspn(a->home + octets + 1, "/");
		snprintf(path, sizeof path, "%.*s", (int)octets, a->home);
		if (access(path, X_OK) == 0)
			continue;
		if (errno == ENOENT)
			finding_put(FINDING_WRONG, "home",
				"%s is not there: install -d -m 700 -o %lu -g %lu %s", path,
				(unsigned long)a->uid, (unsigned long)a->gid, a->home);
		else
			finding_put(FINDING_WRONG, "home",
				"%s cannot enter %s (%s): chmod or chown it so that uid %lu "
				"can",
				a->name, path, strerror(errno), (unsigned long)a->uid);
		return;
	}
	finding_put(FINDING_WRONG, "home", "%s cannot enter %s", a->name, a->home);
}

static bool check_home(const struct account *a)
{
	struct stat st;

	if (a->home[0] != '/') {
		finding_put(FINDING_WRONG, "home",
			"\"%s\" is no absolute path: correct it where the account is defined",
			a->home);
		return false;
	}
	if (chdir(a->home) != 0 || stat(".", &st) != 0) {
		say_closed(a);
		return false;
	}
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
		finding_put(FINDING_WRONG, "home",
			"%s has mode %04o: every user can replace what is in it; chmod o-w %s",
			a->home, (unsigned)st.st_mode & 07777, a->home);
	else if (st.st_uid != a->uid && st.st_uid != 0)
		finding_put(FINDING_WARNING, "home",
			"%s belongs to uid %lu, not to %s (uid %lu): chown it, unless that "
			"user may read "
			"this mail",
			a->home, (unsigned long)st.st_uid, a->name, (unsigned long)a->uid);
	else
		finding_put(FINDING_OK, "home", "%s", a->home);
	return true;
}

static void check_disk(const char *maildir)
{
	struct statvfs fs;

	if (statvfs(maildir, &fs) != 0)
		return;
	if ((fs.f_flag & ST_RDONLY) != 0)
		finding_put(FINDING_WRONG, "disk",
			"%s is on a file system that is read-only here: no message can be "
			"deleted; mount it "
			"for writing",
			maildir);
	else if (fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_favail == 0))
		finding_put(FINDING_WARNING, "disk",
			"%s is on a file system that is full: mail is still served and "
			"deleted, but none "
			"arrives",
			maildir);
}

static int check_as_user(const struct command *c, const struct account *a)
{
	const char *maildir = c->settings.asked.maildir;
	char path[2 * ACCOUNT_PATH_OCTETS + 2];

	if (!account_become(a)) {
		finding_put(FINDING_WRONG, "login", "this program cannot become uid %lu: %s",
			(unsigned long)a->uid, strerror(errno));
		return FINDING_WRONG;
	}
	if (maildir == NULL)
		maildir = a->maildir[0] != '\0' ? a->maildir : OPTIONS_MAILDIR;
	snprintf(path, sizeof path, "%s%s%s", maildir[0] == '/' ? "" : a->home,
		maildir[0] == '/' ? "" : "/", maildir);
	if (check_home(a)) {
		check_maildrop(c, a, path);
		check_disk(path);
	}
	fflush(stdout);
	return (int)finding_worst();
}

void check_login(const struct command *c, const char *login)
{
	static struct account account;
	pid_t pid;

	if (!account_find(c, login, &account))
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(check_as_user(c, &account));
	if (pid < 0 || !finding_add_status(process_await(pid)))
		finding_put(FINDING_WRONG, "login",
			"the check of the Maildir did not come to its end");
}
