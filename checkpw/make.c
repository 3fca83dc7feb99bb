/* make: from a password that a person types to a hash, an entry, or a changed file. */
#include "checkpw/make.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "checkpw/edit.h"
#include "checkpw/entry.h"
#include "checkpw/hash.h"
#include "checkpw/host.h"
#include "lib/argument.h"
#include "os/log.h"

/* What fits into a POP3 command line, "PASS " and CRLF taken off (RFC 2449, section 4) */
#define PASSWORD_MAX 248

struct secret {
	char text[PASSWORD_MAX + 1];
};

static volatile sig_atomic_t caught_signal;

static void note_signal(int number)
{
	caught_signal = number;
}

/* Words for a person: only where standard error is the log. */
static void tell(const char *text)
{
	if (!log_to_syslog())
		fputs(text, stderr);
}

static void complain(const char *what)
{
	log_event(LOG_ERR, "checkpw-no-hash problem=\"%s\"", what);
}

/* Octet by octet: no second copy in a buffer of stdio, and nothing read from after the line.
 */
static bool read_line(struct secret *secret)
{
	size_t length = 0;
	char octet = '\0';
	ssize_t got;

	while ((got = read(STDIN_FILENO, &octet, 1)) == 1 && octet != '\n' && octet != '\0') {
		if (length == PASSWORD_MAX + 1)
			break;
		/* one more than allowed is kept for the moment: it may be the CR of a CRLF */
		secret->text[length < PASSWORD_MAX ? length : PASSWORD_MAX] = octet;
		length++;
	}
	if (got < 0 || (got == 1 && octet != '\n')) {
		complain(got < 0 ? strerror(errno)
				 : "the password is longer than 248 octets or has a NUL");
		return false;
	}
	if (length > 0 && secret->text[length - 1] == '\r')
		length--;
	if (length == 0 || length > PASSWORD_MAX ||
		memchr(secret->text, '\r', length) != NULL) {
		complain("the password must have 1 to 248 octets and no CR");
		return false;
	}
	secret->text[length] = '\0';
	return true;
}

/* Reads a line with the echo off. The signals that end or stop a process are let through only
 * while nothing has been typed to the end, and raised again when the terminal is as it was. */
static bool read_line_unseen(const char *prompt, struct secret *secret)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
	struct sigaction action = {.sa_handler = note_signal}, saved_actions[NUMBERS];
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	struct termios saved, unseen;
	sigset_t blocked, saved_mask;
	bool done = false;

	if (tcgetattr(STDIN_FILENO, &saved) != 0)
		return false;
	sigemptyset(&blocked);
	for (size_t i = 0; i < NUMBERS; i++)
		sigaddset(&blocked, numbers[i]);
	sigprocmask(SIG_BLOCK, &blocked, &saved_mask);
	for (size_t i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &action, &saved_actions[i]);
	unseen = saved;
	unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0) {
		tell(prompt);
		done = ppoll(&input, 1, NULL, &saved_mask) == 1 && read_line(secret);
		tell("\n");
	}
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
	for (size_t i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &saved_actions[i], NULL);
	sigprocmask(SIG_SETMASK, &saved_mask, NULL);
	if (caught_signal != 0)
		raise(caught_signal);
	return done;
}

static bool ask_twice(struct secret *secret)
{
	struct secret again = {""};
	bool asked =
		read_line_unseen("Password: ", secret) && read_line_unseen("Again: ", &again);
	bool same = asked && strcmp(secret->text, again.text) == 0;

	explicit_bzero(&again, sizeof again);
	if (asked && !same)
		complain("the two passwords differ");
	return same;
}

/* What is known of the login fills the line; the rest is for the administrator to write. */
static void print_entry(const char *login, const char *hash)
{
	static struct pw_user account;
	enum pw_status status = pwhost_find(login, &account);

	if (status != PW_OK && geteuid() != 0)
		status = pwhost_find_self(&account);
	if (status == PW_OK && account.uid != 0) {
		printf("%s:%s:%lu:%lu:%s\n", login, hash, (unsigned long)account.uid,
			(unsigned long)account.gid, account.home);
		return;
	}
	printf("%s:%s:UID:GID:/home/%s\n", login, hash, login);
	tell("Put the uid, the gid and the home of the mailbox where UID:GID:/home/... "
	     "is.\n");
}

/* The password, hashed, as a person gives it. */
static enum pw_status ask_for_hash(char *hash, size_t size)
{
	static struct secret secret;
	enum pw_status status = PW_REFUSED;

	if (isatty(STDIN_FILENO) ? ask_twice(&secret) : read_line(&secret)) {
		status = pwhash_make(secret.text, hash, size) ? PW_OK : PW_TEMPORARY;
		if (status != PW_OK)
			complain(strerror(errno));
	}
	explicit_bzero(&secret, sizeof secret);
	return status;
}

static bool login_is_good(const char *login)
{
	if (pwfile_login_is_valid(login))
		return true;
	complain("a login has 1 to 255 octets, no colon or control character, and no "
		 "blank or # first");
	return false;
}

/* The account that a new line is for: that of --as, or the one of the same name. */
static enum pw_status find_owner(
	const struct pw_options *options, const char *login, struct pw_user *owner)
{
	enum pw_status status;

	if (options->as != NULL && argument_user(options->as, &owner->uid, &owner->gid))
		return PW_OK;
	status = pwhost_find(options->as != NULL ? options->as : login, owner);
	if (status == PW_OK && owner->uid == 0) {
		complain("root serves nobody: name another user by --as");
		return PW_REFUSED;
	}
	if (status == PW_REFUSED && options->as != NULL)
		complain("there is no account of the name that --as gives");
	return status;
}

/* Writes what the line of the login is to have, but its hash. */
static enum pw_status fill_line(const struct pw_options *options, struct pwedit_line *line)
{
	static struct pw_user owner;
	static char uid[16], gid[16];
	bool is_known;
	enum pw_status status = pwedit_find(options->file, line->login, &is_known);

	line->home = options->home;
	if (status != PW_OK || (is_known && options->as == NULL))
		return status;
	status = find_owner(options, line->login, &owner);
	if (status == PW_REFUSED && options->as == NULL) {
		complain("the login is new: give its owner by --as and its home by --home");
		return PW_REFUSED;
	}
	if (status != PW_OK)
		return status;
	snprintf(uid, sizeof uid, "%lu", (unsigned long)owner.uid);
	snprintf(gid, sizeof gid, "%lu", (unsigned long)owner.gid);
	line->uid = uid;
	line->gid = gid;
	if (!is_known && line->home == NULL && options->as == NULL)
		line->home = owner.home;
	return PW_OK;
}

enum pw_status pwmake_set(const struct pw_options *options, const char *login)
{
	static char hash[PWFILE_HASH_MAX + 1];
	struct pwedit_line line = {.login = login, .hash = hash};
	enum pw_status status = PW_MISUSED;

	if (login_is_good(login))
		status = fill_line(options, &line);
	if (status == PW_OK)
		status = ask_for_hash(hash, sizeof hash);
	if (status == PW_OK)
		status = pwedit_set(options->file, &line);
	explicit_bzero(hash, sizeof hash);
	return status;
}

enum pw_status pwmake_entry(const char *login)
{
	static char hash[PWFILE_HASH_MAX + 1];
	enum pw_status status;

	if (login != NULL && !login_is_good(login))
		return PW_MISUSED;
	status = ask_for_hash(hash, sizeof hash);
	if (status != PW_OK)
		return status;
	if (login != NULL)
		print_entry(login, hash);
	else
		puts(hash);
	explicit_bzero(hash, sizeof hash);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return PW_OK;
	complain(strerror(errno));
	return PW_TEMPORARY;
}
