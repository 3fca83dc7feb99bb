/* programs: whether the programs of a service can run, and as whom; see checks.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/checks.h"
#include "admin/passwd.h"
#include "os/finding.h"
#include "os/process.h"

/* A program of the superserver's user, root, that others can write, gives them the host. */
static bool check_program(const char *name, const char *source)
{
	char path[1024];
	struct stat st;

	process_find_program(name, path, sizeof path);
	if (stat(path, &st) != 0)
		finding_put(FINDING_WRONG, "program",
			"%s, which %s names, is not there (%s): install it, or mend the path",
			path, source, strerror(errno));
	else if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		finding_put(FINDING_WRONG, "program",
			"%s, which %s names, cannot be run: chmod 755 %s", path, source, path);
	else if ((st.st_mode & S_IWOTH) != 0 || (st.st_uid != 0 && geteuid() == 0))
		finding_put(FINDING_WRONG, "program",
			"%s can be replaced by other users than root: chown root %s; chmod "
			"go-w %s",
			path, path, path);
	else
		return true;
	return false;
}

/* pop3d-checkpw runs another program for the accounts of the host, from its own directory. */
static bool check_companion(const struct command *c, const char *source)
{
	static struct pw_options options;
	static const char name[] = "/pop3d-checkpw-host";
	char path[1024];
	char *slash;

	if (!passwd_options(c, &options) || !pwoptions_need_host(&options))
		return true;
	process_find_program(c->checker.list[0], path, sizeof path - sizeof name);
	slash = strrchr(path, '/');
	if (slash == NULL)
		return true;
	memcpy(slash, name, sizeof name);
	return check_program(path, source);
}

bool check_programs(const struct command *c, const char *source)
{
	bool good = true;

	if (c->is_wrong) {
		finding_put(FINDING_WRONG, "options",
			"pop3d refuses the options of %s; standard error says which: mend them",
			source);
		return false;
	}
	if (c->tls.count > 0 && c->pop3d == NULL) {
		finding_put(FINDING_WRONG, "options",
			"%s starts pop3d-tls without pop3d after it: give \"-- "
			"/path/to/pop3d\"",
			source);
		return false;
	}
	if (c->tls.count > 0)
		good &= check_program(c->tls.list[0], source);
	if (c->pop3d != NULL)
		good &= check_program(c->pop3d, source);
	good &= check_program(c->checker.list[0], source) && check_companion(c, source);
	if (good)
		finding_put(
			FINDING_OK, "service", "%s: its programs and options are good", source);
	return good;
}

/* The first process of this user that is no program of ours; "" if there is none. */
static void find_foreign_process(uid_t uid, char *name, size_t octets)
{
	DIR *const directory = opendir("/proc");

	name[0] = '\0';
	for (const struct dirent *entry = NULL;
		directory != NULL && name[0] == '\0' && (entry = readdir(directory)) != NULL;) {
		char path[64];
		struct stat st;
		FILE *file;

		snprintf(path, sizeof path, "/proc/%.16s/comm", entry->d_name);
		if (strtol(entry->d_name, NULL, 10) <= 0 || stat(path, &st) != 0 ||
			st.st_uid != uid)
			continue;
		file = fopen(path, "re");
		if (file != NULL && fgets(name, (int)octets, file) != NULL)
			name[strcspn(name, "\n")] = '\0';
		if (file != NULL)
			fclose(file);
		if (strncmp(name, "pop3d", 5) == 0)
			name[0] = '\0';
	}
	if (directory != NULL)
		closedir(directory);
}

void check_greeter(const struct command *c)
{
	const uid_t uid = c->settings.asked.greeter_uid;
	const struct passwd *const account = getpwuid(uid);
	char user[64], foreign[64];

	snprintf(user, sizeof user, "uid %lu (%.40s)", (unsigned long)uid,
		account != NULL ? account->pw_name : "no account of this host");
	find_foreign_process(uid, foreign, sizeof foreign);
	if (foreign[0] != '\0')
		finding_put(FINDING_WARNING, "greeter",
			"%s, which talks to clients before login, runs %s as well: what takes "
			"over one "
			"could disturb the other; make a user of its own and give its numbers "
			"with "
			"--greeter-user (/usr/local/libexec/pop3d/prepare users)",
			user, foreign);
	else if (account != NULL && uid >= 1000 && uid < 65534)
		finding_put(FINDING_WARNING, "greeter",
			"%s, which talks to clients before login, looks like a person's: make "
			"a system "
			"user and give its numbers with --greeter-user",
			user);
	else
		finding_put(FINDING_OK, "greeter", "%s talks to clients before login", user);
}
