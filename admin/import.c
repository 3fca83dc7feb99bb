/* import: pop3d --import-uids: takes over the unique ids of another server for many Maildirs,
 * before the switch. Each Maildir is a child process's. Its rights are those of the user whom
 * the password file names, and otherwise of the Maildir's owner. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/owner.h"
#include "admin/passwd.h"
#include "checkpw/name.h"
#include "maildir.h"
#include "os/log.h"

/* What became of a Maildir. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_DECIDED, /* it has a file of unique ids already */
	OUTCOME_FAILED
};

struct result {
	enum outcome outcome;
	struct maildir_takeover found;
};

/* A Maildir, and whose it is. */
struct target {
	const char *path;
	const struct pw_user *user; /* of the password file, or NULL */
};

struct import {
	struct foreign from;
	bool write;
	const char *file; /* a password file, or NULL */
	size_t maildirs, decided, failed;
	struct maildir_takeover sum;
};

static enum outcome fail(const char *path, const char *at)
{
	fprintf(stderr, "pop3d-admin: %s%s%s: %s\n", path, at[0] != '\0' ? ": " : "", at,
		errno == EBADMSG ? "it makes no sense" : strerror(errno));
	return OUTCOME_FAILED;
}

static void put_counts(const struct maildir_takeover *f)
{
	printf("%zu messages: %zu taken over, %zu the same anyway, %zu new to the old server",
		f->messages, f->taken, f->same, f->unknown);
	if (f->shared > 0)
		printf(", %zu shared their unique id with another one", f->shared);
	if (f->wrong > 0)
		printf(", %zu lines of the list make no sense", f->wrong);
}

/* The file is the user's, and so may be what it says. */
static void put_kind(const char *path, const char *kind)
{
	char quoted[4 * FOREIGN_KIND_OCTETS + 8];

	printf("%s: was decided before: %s\n", path,
		log_quote(quoted, sizeof quoted, kind, strlen(kind)));
}

static enum outcome import_maildir(const struct import *import, const struct target *target,
	struct maildir_takeover *found)
{
	static struct maildir maildir;
	const struct maildir_wish wish = {.path = ".", .read_only = true};
	const char *const path = target->path;
	const char *failed_path = wish.path;
	enum outcome outcome = OUTCOME_DONE;

	if ((target->user != NULL && !owner_become(target->user->uid, target->user->gid)) ||
		!owner_enter(path))
		return fail(path, "");
	if (maildir_open(&maildir, &wish, &failed_path) != MAILDIR_READY)
		return fail(path, failed_path == wish.path ? "" : failed_path);
	if (maildir.uids.is_there) {
		put_kind(path, maildir.uids.kind);
		outcome = OUTCOME_DECIDED;
	} else if (!maildir_take_over(&maildir, &import->from, import->write, found)) {
		/* EEXIST: a login was faster */
		outcome = errno == EEXIST
				  ? OUTCOME_DECIDED
				  : fail(path, foreign_list_name(&import->from) != NULL
						       ? foreign_list_name(&import->from)
						       : "unique ids");
	} else {
		printf("%s: ", path);
		put_counts(found);
		printf("%s%s\n", found->has_list ? "" : "; there is no ",
			found->has_list ? "" : foreign_list_name(&import->from));
	}
	maildir_close(&maildir);
	return outcome;
}

/* What the child found; a child that dies has failed. */
static struct result run_child(const struct import *import, const struct target *target)
{
	struct result result = {.outcome = OUTCOME_FAILED};
	int ends[2], status;
	pid_t pid;

	if (fflush(stdout) != 0 || pipe(ends) != 0)
		return result;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		result.outcome = import_maildir(import, target, &result.found);
		_exit(fflush(stdout) == 0 &&
					write(ends[1], &result, sizeof result) == sizeof result
				? 0
				: ADMIN_EXIT_TROUBLE);
	}
	close(ends[1]);
	if (pid > 0 && read(ends[0], &result, sizeof result) != sizeof result)
		result.outcome = OUTCOME_FAILED;
	close(ends[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
		result.outcome = OUTCOME_FAILED;
	return result;
}

static void import_one(struct import *import, const char *path, const struct pw_user *user)
{
	const struct target target = {path, user};
	const struct result result = run_child(import, &target);

	import->maildirs++;
	import->decided += result.outcome == OUTCOME_DECIDED;
	import->failed += result.outcome == OUTCOME_FAILED;
	if (result.outcome != OUTCOME_DONE)
		return;
	import->sum.messages += result.found.messages;
	import->sum.taken += result.found.taken;
	import->sum.same += result.found.same;
	import->sum.unknown += result.found.unknown;
	import->sum.shared += result.found.shared;
	import->sum.wrong += result.found.wrong;
}

static void complain(struct import *import, unsigned long line, const char *why)
{
	fprintf(stderr, "pop3d-admin: %s: line %lu: %s\n", import->file, line, why);
	import->failed++;
}

/* An account of the password file; several may share a Maildir, which is then decided. */
static void take_account(void *context, unsigned long number, const char *raw,
	enum pwfile_line kind, const struct pwfile_entry *entry, const char *why)
{
	struct import *const import = context;
	const struct pw_user *const user = &entry->user;
	char home[PWUSER_PATH_MAX + 1], maildir[PWUSER_PATH_MAX + 1];
	char path[sizeof home + sizeof maildir];
	const char *problem;

	(void)raw;
	if (kind == PWFILE_BAD)
		complain(import, number, why);
	if (kind != PWFILE_ENTRY && kind != PWFILE_LOCKED)
		return;
	problem = pwname_expand(user->home, user->name, home, sizeof home);
	if (problem == NULL)
		problem = pwname_expand(
			user->maildir[0] != '\0' ? user->maildir : OPTIONS_MAILDIR, user->name,
			maildir, sizeof maildir);
	if (problem != NULL) {
		complain(import, number, problem);
		return;
	}
	snprintf(path, sizeof path, "%s%s%s", maildir[0] == '/' ? "" : home,
		maildir[0] == '/' ? "" : "/", maildir);
	import_one(import, path, user);
}

/* A Maildir a line. */
static bool import_lines(struct import *import)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t octets;
	bool complete;

	while ((octets = getline(&line, &room, stdin)) > 0) {
		if (line[octets - 1] == '\n')
			line[octets - 1] = '\0';
		if (line[0] != '\0')
			import_one(import, line, NULL);
	}
	complete = feof(stdin) != 0;
	free(line);
	return complete;
}

static int put_sum(const struct import *import)
{
	printf("%zu Maildirs", import->maildirs);
	if (import->decided > 0)
		printf(", %zu decided before", import->decided);
	if (import->failed > 0)
		printf(", %zu failed", import->failed);
	printf("; ");
	put_counts(&import->sum);
	printf("\n%s", import->write ? "" : "This was a dry run: --write writes.\n");
	if (fflush(stdout) != 0)
		return ADMIN_EXIT_TROUBLE;
	return import->failed > 0 ? ADMIN_EXIT_TROUBLE : 0;
}

static int wrong_use(const char *problem)
{
	fprintf(stderr,
		"pop3d-admin: %s\nusage: pop3d --import-uids KIND [--write] "
		"[--file FILE | MAILDIR ...]\n",
		problem);
	return ADMIN_EXIT_USAGE;
}

/* Returns where the Maildirs begin, or NULL if an option is wrong. */
static char **take_options(struct import *import, char **words)
{
	for (; words[0] != NULL && strncmp(words[0], "--", 2) == 0; words++) {
		if (strcmp(words[0], "--") == 0)
			return words + 1;
		if (strcmp(words[0], "--write") == 0) {
			import->write = true;
		} else if (strcmp(words[0], "--file") == 0 && words[1] != NULL) {
			import->file = words[1];
			words++;
		} else {
			return NULL;
		}
	}
	return words;
}

int import_run(char **words)
{
	static struct import import;
	bool complete = true;

	if (words[0] == NULL || !foreign_parse(&import.from, words[0]))
		return wrong_use("there is no such kind of server");
	words = take_options(&import, words + 1);
	if (words == NULL)
		return wrong_use("unknown option");
	if (import.file != NULL && words[0] != NULL)
		return wrong_use("--file or Maildirs, not both");
	if (import.file != NULL)
		complete = passwd_read(import.file, take_account, &import);
	else if (words[0] == NULL)
		complete = import_lines(&import);
	for (; words[0] != NULL; words++)
		import_one(&import, words[0], NULL);
	if (!complete) {
		fail(import.file != NULL ? import.file : "standard input", "");
		import.failed++;
	}
	return put_sum(&import);
}
