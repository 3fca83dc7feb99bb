/* pop3d-checkpw: a checkpassword program: descriptor 3 in, the user's identity out.
 *
 * RUNS AS ROOT where it serves more than one user. What comes from the network is at most 512
 * octets on descriptor 3; they are cut at NULs (read_credentials), looked up in the password
 * file (pwfile.c) or given to PAM (pwpam.c), and wiped before anything else happens. pwuser.c
 * then gives the privileges up, and the rest of the command line is run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "checkpw/file.h"
#include "checkpw/hash.h"
#include "checkpw/host.h"
#include "checkpw/make.h"
#include "checkpw/pam.h"
#include "checkpw/quote.h"
#include "checkpw/slot.h"
#include "checkpw/user.h"
#include "lib/argument.h"
#include "lib/option.h"
#include "os/log.h"
#include "os/relro.h"

#define CREDENTIALS_FD 3
#define CREDENTIALS_MAX 512
/* Shorter than the time to log in of any front end. */
#define WAIT_SECONDS 20

enum action { CHECK_FILE, CHECK_SYSTEM, MAKE_HASH, SHOW_HELP, SHOW_VERSION };

struct options {
	bool system, hash;
	enum action action;
	const char *file;
	struct pwslot_limits slots;
	char **rest; /* what follows the options, ended by NULL */
};

static bool take_most(void *settings, const char *value)
{
	struct options *const options = settings;

	return argument_number(value, 0, PWSLOT_MOST, &options->slots.most);
}

static const struct option_row rows[] = {
	{.name = "file",
		.letter = 'f',
		.kind = OPTION_TEXT,
		.value = "FILE",
		.field = offsetof(struct options, file),
		.help = "password file instead of " PWFILE_DEFAULT},
	{.name = "hash",
		.kind = OPTION_SWITCH,
		.field = offsetof(struct options, hash),
		.help = "make a hash, or the line of LOGIN for the password file"},
	{.name = "help", .kind = OPTION_ACTION, .help = "show this text"},
	{.name = "max-checks",
		.kind = OPTION_OTHER,
		.value = "NUMBER",
		.take = take_most,
		.help = "check at most so many passwords at a time on\n"
			"this host (2 for each processor, at least 8)"},
	{.name = "max-wait",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = offsetof(struct options, slots.wait_seconds),
		.least = 0,
		.most = 86400,
		.help = "wait at most so long for the others (20)"},
	{.name = "system",
		.kind = OPTION_SWITCH,
		.field = offsetof(struct options, system),
		.help = "accounts of this host through PAM, service " PWPAM_SERVICE},
	{.name = "version", .kind = OPTION_ACTION, .help = "show the version"},
};

static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static const char *usage(void)
{
	static const char first[] =
		"usage: pop3d-checkpw [-f FILE | --system] [--] PROGRAM [ARGUMENT ...]\n"
		"       pop3d-checkpw --hash [LOGIN]\n"
		"\n"
		"Reads login NUL password NUL timestamp NUL from descriptor 3 and, if the\n"
		"password is right, becomes that user and runs PROGRAM.\n"
		"\n";
	static const char last[] =
		"\nExit status if PROGRAM was not run: 1 refused, 2 wrong use, 100 wrong\n"
		"configuration, 111 temporary trouble, 126 PROGRAM cannot be executed,\n"
		"127 PROGRAM does not exist.\n";
	static char text[2048], help[1280];

	if (!option_help(&table, help, sizeof help))
		help[0] = '\0';
	snprintf(text, sizeof text, "%s%s%s", first, help, last);
	return text;
}

/* Holds what must be wiped; login and password point into data. */
struct credentials {
	char data[CREDENTIALS_MAX + 1];
	const char *login;
	const char *password;
};

/* What this process was given, and gives on to the program. */
struct inherited {
	bool conversation; /* somebody speaks checkpassword on descriptor 3 */
	struct sigaction sigpipe;
};

static bool fd_is_read_by_us(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

/* Where 0, 1 or 2 is closed, our own files must not land there: a log line would be written
 * into one. The place holders close at exec, so that the program finds what the caller left. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void take_stock(struct inherited *inherited)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	const bool to_syslog = log_stderr_is_clients();
	const char *const session = getenv("POP3D_SESSION");

	inherited->conversation = fd_is_read_by_us(CREDENTIALS_FD) && !isatty(CREDENTIALS_FD);
	occupy_standard_descriptors();
	log_set_program("pop3d-checkpw");
	log_set_session(session != NULL ? session : "");
	log_open(to_syslog);
	/* a log pipe whose reader died must not make a login fail */
	sigaction(SIGPIPE, &ignore, &inherited->sigpipe);
#ifdef __linux__
	/* no core file with a password in it; exec takes this back */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* For a person: nobody reads it in syslog. */
static void show_usage(void)
{
	if (!log_to_syslog())
		fputs(usage(), stderr);
}

static enum pw_status misused(const char *why)
{
	log_event(LOG_ERR, "checkpw-misused problem=\"%s\"", why);
	show_usage();
	return PW_MISUSED;
}

static enum pw_status misused_option(const char *option)
{
	log_event(LOG_ERR,
		"checkpw-misused option=%s problem=\"it is unknown, or its argument is missing "
		"or too much\"",
		quote(option).text);
	show_usage();
	return PW_MISUSED;
}

/* An action ends the parsing as soon as it is read; the options after it are not looked at. */
static enum pw_status parse_options(char **argv, struct options *options)
{
	struct option_end end;

	*options = (struct options){.action = CHECK_FILE,
		.slots = {.most = pwslot_default_most(), .wait_seconds = WAIT_SECONDS}};
	end = option_parse(&table, options, argv);
	if (end.is_wrong)
		return misused_option(end.value);
	options->rest = argv + end.index;
	if (options->system + options->hash + (end.row != NULL) > 1)
		return misused("options that exclude one another");
	if (options->system)
		options->action = CHECK_SYSTEM;
	else if (options->hash)
		options->action = MAKE_HASH;
	else if (end.row != NULL)
		options->action = strcmp(end.row->name, "help") == 0 ? SHOW_HELP : SHOW_VERSION;
	if (options->file != NULL && options->action != CHECK_FILE)
		return misused("-f goes with the password file only");
	return PW_OK;
}

/* Reads to the end of the data, or to one octet more than there may be. */
static enum pw_status read_all(char *data, size_t size, size_t *length)
{
	struct pollfd input = {.fd = CREDENTIALS_FD, .events = POLLIN};
	ssize_t got = 1;

	*length = 0;
	while (*length < size && got != 0) {
		got = read(CREDENTIALS_FD, data + *length, size - *length);
		if (got > 0)
			*length += (size_t)got;
		else if (got < 0 && errno == EAGAIN)
			poll(&input, 1, -1);
		else if (got < 0 && errno != EINTR)
			break;
	}
	if (got >= 0)
		return PW_OK;
	log_event(LOG_ERR, "checkpw-unreadable problem=\"cannot read descriptor 3: %s\"",
		strerror(errno));
	return errno == EBADF || errno == EISDIR || errno == EINVAL ? PW_MISUSED : PW_TEMPORARY;
}

/* Too much is refused, not called a misuse: a front end that hands on whatever the client typed
 * is no fault of the administrator's. A timestamp is not needed here, and need not be complete.
 */
static enum pw_status split_credentials(struct credentials *credentials, size_t length)
{
	const char *login_end, *password_end;

	if (length > CREDENTIALS_MAX) {
		log_event(LOG_NOTICE,
			"checkpw-refused problem=\"more than 512 octets on descriptor 3\"");
		return PW_REFUSED;
	}
	login_end = memchr(credentials->data, '\0', length);
	if (login_end == NULL)
		return misused("no NUL after the login on descriptor 3");
	credentials->login = credentials->data;
	credentials->password = login_end + 1;
	length -= (size_t)(credentials->password - credentials->data);
	password_end = memchr(credentials->password, '\0', length);
	if (password_end == NULL)
		return misused("no NUL after the password on descriptor 3");
	return PW_OK;
}

static enum pw_status read_credentials(
	const struct inherited *inherited, struct credentials *credentials)
{
	enum pw_status status;
	size_t length;

	if (!inherited->conversation)
		return misused("descriptor 3 is not open for reading");
	status = read_all(credentials->data, sizeof credentials->data, &length);
	close(CREDENTIALS_FD);
	return status == PW_OK ? split_credentials(credentials, length) : status;
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

static enum pw_status check_file(const struct options *options,
	const struct credentials *credentials, struct pw_user *user)
{
	static struct pwfile_found found;
	const char *const path = options->file != NULL ? options->file : PWFILE_DEFAULT;
	enum pw_status status = pwfile_find(path, credentials->login, &found);
	int slot;

	if (status != PW_OK)
		return status;
	status = PW_TEMPORARY;
	if (pwslot_enter(&options->slots, path, &slot) == PWSLOT_FREE)
		status = compare_hash(credentials->password, &found, user);
	pwslot_leave(slot);
	explicit_bzero(&found, sizeof found);
	return status;
}

static enum pw_status check_system(const struct options *options,
	const struct credentials *credentials, struct pw_user *user)
{
	enum pw_status status = PW_TEMPORARY;
	int slot;

	if (pwslot_enter(&options->slots, NULL, &slot) == PWSLOT_FREE)
		status = pwpam_check(credentials->login, credentials->password, user);
	pwslot_leave(slot);
	return status;
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

static enum pw_status check(const struct options *options,
	const struct credentials *credentials, struct pw_user *user)
{
	enum pw_status status = PW_REFUSED;

	if (is_apop())
		log_event(LOG_ERR,
			"checkpw-misused problem=\"APOP needs passwords in clear text, "
			"and here are only hashes\"");
	else if (credentials->login[0] != '\0' && credentials->password[0] != '\0')
		status = options->action == CHECK_SYSTEM
				 ? check_system(options, credentials, user)
				 : check_file(options, credentials, user);
	if (status == PW_REFUSED)
		log_refusal(credentials->login);
	return status;
}

static enum pw_status status_of_exec(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR: return PW_NOT_FOUND;
	case E2BIG:
	case EAGAIN:
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ETXTBSY: return PW_TEMPORARY;
	default: return PW_NOT_EXECUTABLE;
	}
}

static enum pw_status run_program(char **program, const struct inherited *inherited)
{
	int exec_errno;

	log_close();
	sigaction(SIGPIPE, &inherited->sigpipe, NULL);
	execvp(program[0], program);
	exec_errno = errno;
	signal(SIGPIPE, SIG_IGN);
	log_event(LOG_ERR, "checkpw-not-run program=%s errno=%d error=\"%s\"",
		quote(program[0]).text, exec_errno, strerror(exec_errno));
	return status_of_exec(exec_errno);
}

static enum pw_status serve(const struct options *options, const struct inherited *inherited)
{
	static struct credentials credentials;
	static struct pw_user user;
	enum pw_status status;

	if (options->rest[0] == NULL)
		return misused("no program to run");
	status = read_credentials(inherited, &credentials);
	if (status == PW_OK)
		status = check(options, &credentials, &user);
	explicit_bzero(&credentials, sizeof credentials);
	if (status == PW_OK)
		status = pwuser_become(&user);
	return status == PW_OK ? run_program(options->rest, inherited) : status;
}

/* Standard output is the client's in a conversation. None has begun where descriptor 3 just
 * happens to be open and holds nothing. */
static bool stdout_is_a_persons(void)
{
	struct pollfd polled = {.fd = CREDENTIALS_FD, .events = POLLIN};
	struct stat st;

	if (isatty(STDOUT_FILENO))
		return true;
	return fstat(CREDENTIALS_FD, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || poll(&polled, 1, 0) == 0);
}

/* Whatever writes to standard output. */
static enum pw_status serve_person(
	const struct options *options, const struct inherited *inherited)
{
	if (inherited->conversation && !stdout_is_a_persons())
		return misused("--hash, --help and --version are not for descriptor 3");
	if (options->action == MAKE_HASH && options->rest[0] != NULL &&
		options->rest[1] != NULL)
		return misused("--hash takes one login at most");
	if (options->action != MAKE_HASH && options->rest[0] != NULL)
		return misused("--help and --version take no arguments");
	if (options->action == MAKE_HASH)
		return pwmake_entry(options->rest[0]);
	if (options->action == SHOW_HELP)
		fputs(usage(), stdout);
	else
		puts("pop3d-checkpw " VERSION);
	return fflush(stdout) == 0 ? PW_OK : PW_TEMPORARY;
}

/* Accounts of the host are for the other program. */
static bool needs_host(const struct options *options)
{
	return options->action == CHECK_SYSTEM ||
	       (options->action == MAKE_HASH && options->rest[0] != NULL);
}

/* It finds everything as this one was given it. */
static enum pw_status take_over(char **argv, const struct inherited *inherited)
{
	log_close();
	sigaction(SIGPIPE, &inherited->sigpipe, NULL);
	return pwhost_take_over(argv);
}

static enum pw_status run(char **argv)
{
	struct inherited inherited;
	struct options options;
	enum pw_status status;
	const bool tables_are_read_only = relro_apply();

	take_stock(&inherited);
	if (!tables_are_read_only) {
		log_event(LOG_ERR, "checkpw-failed step=mprotect errno=%d error=\"%s\"", errno,
			strerror(errno));
		return PW_TEMPORARY;
	}
	if (getuid() != geteuid() || getgid() != getegid())
		return misused("this program must not be made set-uid or set-gid");
	status = parse_options(argv, &options);
	if (status != PW_OK)
		return status;
	if (!pwhost_is_here && needs_host(&options))
		return take_over(argv, &inherited);
	if (options.action == CHECK_FILE || options.action == CHECK_SYSTEM)
		return serve(&options, &inherited);
	return serve_person(&options, &inherited);
}

int main(int argc, char **argv)
{
	(void)argc;
	return (int)run(argv);
}
