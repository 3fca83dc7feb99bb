/* survey: the password file of pop3d-checkpw, line by line; see checks.h. What a line is, the
 * code of pop3d-checkpw decides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/checks.h"
#include "admin/passwd.h"
#include "checkpw/name.h"
#include "os/finding.h"

#define SAID_MOST 8 /* lines of one kind that are named */
#define SUBJECT "password file"

/* Where a login stands. */
struct place {
	char *login;
	unsigned long line;
};

struct survey {
	const char *path;
	const struct command *command;
	struct place *places;
	size_t count, capacity;
	unsigned long bad, weak, homeless;
};

static const char *kind_of(const char *hash)
{
	static const char name[] = "{CRYPT}"; /* the only one that says nothing */
	static const struct {
		const char *prefix, *name;
	} kinds[] = {{"$1$", "MD5 ($1$)"}, {"$apr1$", "Apache's MD5 ($apr1$)"},
		{"$md5", "Sun's MD5 ($md5)"}, {"$3$", "NT ($3$)"},
		{"$2x$", "a faulty bcrypt ($2x$)"}, {"_", "extended DES"},
		{"$", "a kind that is not known"}};

	if (strncasecmp(hash, name, sizeof name - 1) == 0)
		hash += sizeof name - 1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(hash, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].name;
	if (hash[0] == '\0')
		return "empty";
	return strlen(hash) == 13 ? "DES" : "none (a password in clear text?)";
}

/* A hash that is accepted, and is quick to try. */
static bool is_quick(const char *hash)
{
	const char *const rounds = strstr(hash, "$rounds=");

	if (strncmp(hash, "$2", 2) == 0 && strlen(hash) > 6)
		return strtoul(hash + 4, NULL, 10) < 8;
	return rounds != NULL && strtoul(rounds + 8, NULL, 10) < 5000;
}

static void say_bad(struct survey *s, unsigned long line, const char *raw, const char *why)
{
	const char *const colon = strchr(raw, ':');
	char hash[PWFILE_HASH_MAX + 1] = "";

	if (++s->bad > SAID_MOST)
		return;
	if (strncmp(why, "the hash is empty", 17) == 0 && colon != NULL) {
		snprintf(
			hash, sizeof hash, "%.*s", (int)strcspn(colon + 1, ":\r\n"), colon + 1);
		finding_put(FINDING_WRONG, SUBJECT,
			"%s, line %lu, login %.*s: the hash is %s, which is not accepted: make "
			"a "
			"new one with pop3d-checkpw --hash",
			s->path, line, (int)(colon - raw), raw, kind_of(hash));
		explicit_bzero(hash, sizeof hash);
		return;
	}
	finding_put(FINDING_WRONG, SUBJECT, "%s, line %lu, is ignored: %s; mend or remove it",
		s->path, line, why);
}

static void remember(struct survey *s, const char *login, unsigned long line)
{
	if (s->count == s->capacity) {
		const size_t more = s->capacity > 0 ? 2 * s->capacity : 64;
		struct place *const grown = realloc(s->places, more * sizeof *grown);

		if (grown == NULL)
			return;
		s->places = grown;
		s->capacity = more;
	}
	s->places[s->count] = (struct place){strdup(login), line};
	s->count += s->places[s->count].login != NULL;
}

static void judge_entry(struct survey *s, const struct pwfile_entry *entry, unsigned long line)
{
	struct stat st;

	remember(s, entry->user.name, line);
	if (is_quick(entry->hash) && ++s->weak <= SAID_MOST)
		finding_put(FINDING_WARNING, SUBJECT,
			"%s, line %lu, login %s: the hash takes few rounds, so passwords are "
			"quick to "
			"guess; make a new one with pop3d-checkpw --hash",
			s->path, line, entry->user.name);
	if (entry->user.uid == s->command->settings.asked.greeter_uid)
		finding_put(FINDING_WRONG, SUBJECT,
			"%s, line %lu, login %s has the uid %lu of the process that talks to "
			"clients "
			"before login: give one of the two another",
			s->path, line, entry->user.name, (unsigned long)entry->user.uid);
	if (geteuid() == 0 && !pwname_is_pattern(entry->user.home) &&
		stat(entry->user.home, &st) != 0 && errno == ENOENT &&
		++s->homeless <= SAID_MOST)
		finding_put(FINDING_WARNING, SUBJECT,
			"%s, line %lu, login %s: the home %s is not there: make it, or correct "
			"the line",
			s->path, line, entry->user.name, entry->user.home);
}

static void survey_line(void *context, unsigned long number, const char *raw,
	enum pwfile_line kind, const struct pwfile_entry *entry, const char *why)
{
	struct survey *const s = context;

	if (kind == PWFILE_BAD)
		say_bad(s, number, raw, why);
	else if (kind == PWFILE_ENTRY)
		judge_entry(s, entry, number);
	else if (kind == PWFILE_LOCKED)
		remember(s, entry->user.name, number);
}

static int compare_places(const void *one, const void *other)
{
	const struct place *const a = one, *const b = other;
	const int sign = strcmp(a->login, b->login);

	return sign != 0 ? sign : (a->line > b->line) - (a->line < b->line);
}

static void say_repeated(struct survey *s)
{
	size_t said = 0;

	if (s->count == 0)
		return;
	qsort(s->places, s->count, sizeof *s->places, compare_places);
	for (size_t i = 1; i < s->count; i++)
		if (strcmp(s->places[i - 1].login, s->places[i].login) == 0 &&
			said++ < SAID_MOST)
			finding_put(FINDING_WARNING, SUBJECT,
				"%s has login %s in line %lu and again in line %lu: only the "
				"last line "
				"counts, unless one of them is locked; remove the other",
				s->path, s->places[i].login, s->places[i - 1].line,
				s->places[i].line);
}

static bool check_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		finding_put(FINDING_WRONG, SUBJECT,
			"%s cannot be read (%s): nobody can log in; make it with install -m "
			"600 /dev/null "
			"%s, and add the lines of pop3d-checkpw --hash LOGIN",
			path, strerror(errno), path);
	else if (!S_ISREG(st.st_mode))
		finding_put(FINDING_WRONG, SUBJECT, "%s is no regular file: nobody can log in",
			path);
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		finding_put(FINDING_WRONG, SUBJECT,
			"%s has mode %04o: others than its owner can write it, so nobody can "
			"log in; chmod "
			"600 %s, and look at what was written",
			path, (unsigned)st.st_mode & 07777, path);
	else if (geteuid() == 0 && st.st_uid != 0)
		finding_put(FINDING_WRONG, SUBJECT,
			"%s belongs to uid %lu, so nobody can log in: chown root %s", path,
			(unsigned long)st.st_uid, path);
	else if ((st.st_mode & S_IROTH) != 0)
		finding_put(FINDING_WRONG, SUBJECT,
			"%s has mode %04o: every user of this host can read the hashes; chmod "
			"600 %s",
			path, (unsigned)st.st_mode & 07777, path);
	else
		return true;
	return false;
}

void check_password_file(const struct command *c)
{
	static struct pw_options options;
	struct survey s = {.command = c};
	bool good_mode;

	if (!passwd_options(c, &options) || options.action != CHECK_FILE)
		return;
	s.path = options.file;
	good_mode = check_mode(s.path);
	if (!passwd_read(s.path, survey_line, &s))
		return;
	say_repeated(&s);
	if (s.bad > SAID_MOST || s.weak > SAID_MOST || s.homeless > SAID_MOST)
		finding_put(FINDING_WARNING, SUBJECT,
			"%s: of all lines, %lu are not good, %lu have quick hashes, %lu have "
			"no home",
			s.path, s.bad, s.weak, s.homeless);
	if (s.count == 0)
		finding_put(FINDING_WARNING, SUBJECT,
			"%s has no login: add the lines of pop3d-checkpw --hash LOGIN", s.path);
	else if (good_mode)
		finding_put(FINDING_OK, SUBJECT, "%s, logins: %zu", s.path, s.count);
	for (size_t i = 0; i < s.count; i++)
		free(s.places[i].login);
	free(s.places);
}
