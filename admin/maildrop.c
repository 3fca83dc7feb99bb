/* maildrop: see maildrop.h. */
#include "admin/maildrop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir.h"
#include "os/finding.h"

#define PATH_OCTETS 1536

/* What new/ or cur/ has beside messages. */
struct strays {
	size_t others, hidden, unreadable;
	char other[256], unreadable_one[256];
};

static const char *const parts[] = {"new", "cur", "tmp"};

#define PARTS (sizeof parts / sizeof *parts)

static void say_missing(const struct command *c, const struct account *a, const char *path)
{
	if (c->settings.asked.create_maildir)
		finding_put(FINDING_OK, "Maildir", "%s is not there: the first login makes it",
			path);
	else
		finding_put(FINDING_WRONG, "Maildir",
			"%s is not there: install -d -m 700 -o %lu -g %lu %s %s/new %s/cur "
			"%s/tmp, "
			"or let the first login do so with --create-maildir",
			path, (unsigned long)a->uid, (unsigned long)a->gid, path, path, path,
			path);
}

/* Owner, mode and rights of a directory; the session needs all three rights. */
static bool check_directory(const struct account *a, const char *path)
{
	struct stat st, link;

	if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
		finding_put(FINDING_WARNING, "Maildir",
			"%s is a symbolic link: who can change what it leads to changes the "
			"mail; use the "
			"place itself (--maildir, or the path in the password file)",
			path);
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		finding_put(FINDING_WRONG, "Maildir",
			"%s cannot be used (%s): make it a directory", path,
			S_ISLNK(link.st_mode) ? "the link leads nowhere" : "no directory");
		return false;
	}
	/* of a disk that is read-only, check_disk tells */
	if (access(path, R_OK | X_OK) != 0 || (access(path, W_OK) != 0 && errno != EROFS)) {
		finding_put(FINDING_WRONG, "Maildir",
			"%s, of uid %lu, mode %04o: uid %lu cannot read and change it (%s); "
			"chown %lu %s; "
			"chmod 700 %s",
			path, (unsigned long)st.st_uid, (unsigned)st.st_mode & 07777,
			(unsigned long)a->uid, strerror(errno), (unsigned long)a->uid, path,
			path);
		return false;
	}
	if ((st.st_mode & S_IWOTH) != 0)
		finding_put(FINDING_WRONG, "Maildir",
			"%s has mode %04o: every user can add and remove mail; chmod 700 %s",
			path, (unsigned)st.st_mode & 07777, path);
	else if (st.st_uid != a->uid)
		finding_put(FINDING_WARNING, "Maildir",
			"%s belongs to uid %lu, not to %s (uid %lu): chown %lu %s", path,
			(unsigned long)st.st_uid, a->name, (unsigned long)a->uid,
			(unsigned long)a->uid, path);
	return true;
}

/* The home is the current directory. Further up, few hosts close anything. */
static void check_privacy(const char *path)
{
	struct stat home, st;

	if (stat(".", &home) == 0 && (home.st_mode & S_IXOTH) != 0 && stat(path, &st) == 0 &&
		(st.st_mode & (S_IROTH | S_IXOTH)) != 0)
		finding_put(FINDING_WARNING, "Maildir",
			"%s has mode %04o, and the home lets everybody through: other users "
			"can read the "
			"mail; chmod 700 %s",
			path, (unsigned)st.st_mode & 07777, path);
}

static bool check_parts(const struct account *a, const char *path)
{
	bool good = true;

	for (size_t i = 0; i < PARTS; i++) {
		char part[PATH_OCTETS];
		struct stat st;

		snprintf(part, sizeof part, "%s/%s", path, parts[i]);
		if (lstat(part, &st) == 0) {
			good &= check_directory(a, part) || i == 2;
			continue;
		}
		good &= i == 2;
		finding_put(i == 2 ? FINDING_WARNING : FINDING_WRONG, "Maildir",
			"%s is not there: %s; install -d -m 700 -o %lu -g %lu %s", part,
			i == 2 ? "mail cannot be delivered" : "no session can begin",
			(unsigned long)a->uid, (unsigned long)a->gid, part);
	}
	return good;
}

static void look_at_entry(struct strays *s, int directory_fd, const char *name)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (name[0] == '.') {
		s->hidden++;
	} else if (!S_ISREG(st.st_mode)) {
		if (s->others++ == 0)
			snprintf(s->other, sizeof s->other, "%.255s", name);
	} else if (faccessat(directory_fd, name, R_OK, 0) != 0 && s->unreadable++ == 0) {
		snprintf(s->unreadable_one, sizeof s->unreadable_one, "%.255s", name);
	}
}

static void check_strays(const struct account *a, const char *path, const char *part)
{
	struct strays s = {.others = 0};
	char directory_path[PATH_OCTETS];
	DIR *directory;

	snprintf(directory_path, sizeof directory_path, "%s/%s", path, part);
	directory = opendir(directory_path);
	for (const struct dirent *entry = NULL;
		directory != NULL && (entry = readdir(directory)) != NULL;)
		look_at_entry(&s, dirfd(directory), entry->d_name);
	if (directory != NULL)
		closedir(directory);
	if (s.unreadable > 0)
		finding_put(FINDING_WRONG, "Maildir",
			"%s has files that uid %lu cannot read (%zu, the first is %s): RETR "
			"fails; give them to that uid (chown), and see who delivers with "
			"another",
			directory_path, (unsigned long)a->uid, s.unreadable, s.unreadable_one);
	if (s.others > 0)
		finding_put(FINDING_WARNING, "Maildir",
			"%s has entries that are no regular files (%zu, the first is %s): they "
			"are never "
			"served; remove them",
			directory_path, s.others, s.other);
	if (s.hidden > 0)
		finding_put(FINDING_WARNING, "Maildir",
			"%s has files whose names begin with a dot (%zu): they are never "
			"served; rename "
			"what is mail, remove the rest",
			directory_path, s.hidden);
}

/* Messages that lie beside new/ and cur/: their names begin with a time. */
static void check_misplaced(const char *path)
{
	DIR *const directory = opendir(path);
	size_t count = 0;
	char first[256] = "";

	for (const struct dirent *entry = NULL;
		directory != NULL && (entry = readdir(directory)) != NULL;)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && count++ == 0)
			snprintf(first, sizeof first, "%.255s", entry->d_name);
	if (directory != NULL)
		closedir(directory);
	if (count > 0)
		finding_put(FINDING_WARNING, "Maildir",
			"%s itself has files that look like messages (%zu, the first is %s): "
			"only new/ and "
			"cur/ are served; move them to %s/new if they are mail",
			path, count, first, path);
}

static void check_index(const struct account *a, const struct command *c, const char *path)
{
	char directory[PATH_OCTETS];
	struct stat st;

	snprintf(directory, sizeof directory, "%s/" INDEX_DIRECTORY, path);
	if (c->settings.asked.no_index || lstat(directory, &st) != 0)
		return;
	if (!S_ISDIR(st.st_mode))
		finding_put(FINDING_WARNING, "index",
			"%s is no directory, so there is no index: remove it", directory);
	else if (st.st_uid != a->uid)
		finding_put(FINDING_WARNING, "index",
			"%s belongs to uid %lu, so it is not used: remove it, and the next "
			"session makes it "
			"anew",
			directory, (unsigned long)st.st_uid);
	else if (access(directory, R_OK | W_OK | X_OK) != 0)
		finding_put(FINDING_WARNING, "index",
			"%s cannot be written (%s): every login reads the whole Maildir; chmod "
			"700 %s",
			directory, strerror(errno), directory);
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		finding_put(FINDING_WARNING, "index",
			"%s has mode %04o: others can write what sessions believe; chmod 700 "
			"%s",
			directory, (unsigned)st.st_mode & 07777, directory);
}

/* The first line has the limits, such as 10000000S,1000C; the others have octets and messages.
 */
static bool is_quota_line(const char *line, bool is_first)
{
	char *end;

	strtoll(line, &end, 10);
	if (end == line)
		return false;
	if (!is_first) {
		const char *const second = end;

		strtoll(second, &end, 10);
		return end != second && *end == '\0';
	}
	for (;;) {
		if (*end != 'S' && *end != 'C')
			return false;
		if (end[1] == '\0')
			return true;
		line = end + 2;
		if (end[1] != ',' || (strtoll(line, &end, 10), end == line))
			return false;
	}
}

/* A folder that is missing is made at login. */
static void check_folder(const struct account *a, const char *path, const char *folder)
{
	char part[PATH_OCTETS];
	struct stat st;

	snprintf(part, sizeof part, "%s/.%s", path, folder);
	if (lstat(part, &st) != 0)
		return;
	if (!S_ISDIR(st.st_mode) || access(part, R_OK | W_OK | X_OK) != 0)
		finding_put(FINDING_WRONG, "folder",
			"%s, the folder of --delete-to, is of uid %lu, mode %04o, and uid %lu "
			"cannot use it: no message is deleted; chown -R %lu %s",
			part, (unsigned long)st.st_uid, (unsigned)st.st_mode & 07777,
			(unsigned long)a->uid, (unsigned long)a->uid, part);
}

static void check_quota(const char *path)
{
	char file_path[PATH_OCTETS], line[256];
	bool ends = true;
	unsigned long number = 0, bad = 0;
	struct stat st;
	FILE *file;

	snprintf(file_path, sizeof file_path, "%s/maildirsize", path);
	if (lstat(file_path, &st) != 0)
		return;
	file = S_ISREG(st.st_mode) ? fopen(file_path, "re") : NULL;
	if (file == NULL || access(file_path, W_OK) != 0) {
		finding_put(FINDING_WARNING, "quota",
			"%s cannot be read and written by this user, so deletions do not count "
			"in the "
			"quota: remove it, and the delivery agent makes it anew",
			file_path);
	}
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		ends = strchr(line, '\n') != NULL;
		line[strcspn(line, "\n")] = '\0';
		if (!is_quota_line(line, number++ == 0) && bad == 0)
			bad = number;
	}
	if (file != NULL)
		fclose(file);
	if (bad > 0 || !ends)
		finding_put(FINDING_WARNING, "quota",
			"%s, line %lu, is damaged: remove the file, and the delivery agent "
			"makes it anew",
			file_path, bad > 0 ? bad : number);
}

/* Says why a session could not begin. */
static void say_unusable(const char *path, const char *failed_path)
{
	if (strcmp(failed_path, UIDS_NAME) == 0)
		finding_put(FINDING_WRONG, "Maildir",
			"%s/" UIDS_NAME
			", the unique ids taken over from another server, cannot be used "
			"(%s): nobody can log in; restore it from a backup, since without it "
			"clients fetch "
			"every message again",
			path, strerror(errno));
	else
		finding_put(FINDING_WRONG, "Maildir",
			"%s cannot be opened as a session does (%s: %s): mend or remove that, "
			"or look at "
			"the kernel's log",
			path, failed_path, strerror(errno));
}

/* The Maildir as a session opens it, without a change. */
static void open_as_session(const struct command *c, const char *path)
{
	static struct maildir maildir;
	const struct maildir_wish wish = {
		.path = path, .index = !c->settings.asked.no_index, .read_only = true};
	const char *failed_path = path;
	struct maildir_totals totals;

	if (maildir_open(&maildir, &wish, &failed_path) != MAILDIR_READY) {
		say_unusable(path, failed_path);
		return;
	}
	if (!maildir_load(&maildir)) {
		say_unusable(path, path);
	} else if (!maildir_read_uids(&maildir)) {
		say_unusable(path, UIDS_NAME);
	} else {
		totals = maildir_totals(&maildir);
		finding_put(FINDING_OK, "Maildir", "%s, messages: %zu, octets: %llu", path,
			totals.messages, (unsigned long long)totals.octets);
	}
	maildir_close(&maildir);
}

void check_maildrop(const struct command *c, const struct account *a, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0 && errno == ENOENT) {
		say_missing(c, a, path);
		return;
	}
	if (!check_directory(a, path) || !check_parts(a, path))
		return;
	check_privacy(path);
	check_strays(a, path, "new");
	check_strays(a, path, "cur");
	check_misplaced(path);
	check_index(a, c, path);
	check_quota(path);
	if (c->settings.asked.delete_to != NULL)
		check_folder(a, path, c->settings.asked.delete_to);
	open_as_session(c, path);
}
