/* make: the tool side of pop3d-checkpw: from a password that a person types to an entry. */
#include "checkpw/make.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "checkpw/file.h"
#include "checkpw/hash.h"
#include "checkpw/host.h"
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

static enum pw_status print_hash(const char *login, const struct secret *secret)
{
	char hash[PWFILE_HASH_MAX + 1];

	if (!pwhash_make(secret->text, hash, sizeof hash)) {
		complain(strerror(errno));
		return PW_TEMPORARY;
	}
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

enum pw_status pwmake_entry(const char *login)
{
	static struct secret secret;
	enum pw_status status = PW_REFUSED;

	if (login != NULL && !pwfile_login_is_valid(login)) {
		complain("a login has 1 to 255 octets, no colon or control character, and no "
			 "blank or # first");
		return PW_MISUSED;
	}
	if (isatty(STDIN_FILENO) ? ask_twice(&secret) : read_line(&secret))
		status = print_hash(login, &secret);
	explicit_bzero(&secret, sizeof secret);
	return status;
}
