/* pop3d-checkpw: a checkpassword program: descriptor 3 in, the user's identity out.
 *
 * RUNS AS ROOT where it serves more than one user. What comes from the network is at most 512
 * octets on descriptor 3 (more for a token); they are cut at NULs (credentials.c), looked up in
 * the password file (file.c) or given to PAM (pam.c) or Dovecot (dovecot.c), and wiped before
 * anything else happens. user.c then gives the privileges up, and the rest of the command line
 * is run. */
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

#include "checkpw/check.h"
#include "checkpw/credentials.h"
#include "checkpw/dovecot_auth.h"
#include "checkpw/edit.h"
#include "checkpw/host.h"
#include "checkpw/list.h"
#include "checkpw/make.h"
#include "checkpw/name.h"
#include "checkpw/options.h"
#include "checkpw/quote.h"
#include "checkpw/user.h"
#include "os/log.h"
#include "os/relro.h"

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

static enum pw_status serve(const struct pw_options *options, const struct inherited *inherited)
{
	static struct credentials credentials;
	static struct pw_user user;
	const bool is_token = options->action == CHECK_DOVECOT && pwdovecot_takes_token();
	enum pw_status status;

	if (options->rest[0] == NULL)
		return pwoptions_misused("no program to run");
	if (!inherited->conversation)
		return pwoptions_misused("descriptor 3 is not open for reading");
	status = credentials_read(
		&credentials, is_token ? CREDENTIALS_TOKEN_MAX : CREDENTIALS_MAX);
	if (status == PW_OK)
		status = pwcheck_login(options, &credentials, &user);
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

/* The login is the one that a client's would become. */
static enum pw_status change_entry(const struct pw_options *options)
{
	const bool is_set = options->action == SET_ENTRY;
	char login[PWUSER_NAME_MAX + 1];

	if (!pwname_make(is_set ? options->set_login : options->delete_login,
		    options->fold_login, options->default_domain, login, sizeof login))
		return pwoptions_misused("the login is too long");
	return is_set ? pwmake_set(options, login) : pwedit_delete(options->file, login);
}

/* Whatever a person asks for. */
static enum pw_status serve_person(
	const struct pw_options *options, const struct inherited *inherited)
{
	char **const rest = options->rest;

	if (inherited->conversation && !stdout_is_a_persons())
		return pwoptions_misused("only the check of a password is for descriptor 3");
	log_open_for_person();
	if (options->action == MAKE_HASH && rest[0] != NULL && rest[1] != NULL)
		return pwoptions_misused("--hash takes one login at most");
	if (options->action != MAKE_HASH && rest[0] != NULL)
		return pwoptions_misused("without a program to run there are no arguments");
	switch (options->action) {
	case MAKE_HASH: return pwmake_entry(rest[0]);
	case SET_ENTRY:
	case DELETE_ENTRY: return change_entry(options);
	case LIST_ENTRIES: return pwlist_write(options->file, stdout);
	case SHOW_VERSION: puts("pop3d-checkpw " VERSION); break;
	default: fputs(pwoptions_usage(), stdout);
	}
	return fflush(stdout) == 0 ? PW_OK : PW_TEMPORARY;
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
	struct pw_options options;
	enum pw_status status;
	const bool tables_are_read_only = relro_apply();

	take_stock(&inherited);
	if (!tables_are_read_only) {
		log_event(LOG_ERR, "checkpw-failed step=mprotect errno=%d error=\"%s\"", errno,
			strerror(errno));
		return PW_TEMPORARY;
	}
	if (getuid() != geteuid() || getgid() != getegid())
		return pwoptions_misused("this program must not be made set-uid or set-gid");
	status = pwoptions_parse(argv, &options);
	if (status != PW_OK)
		return status;
	if (!pwhost_is_here && pwoptions_need_host(&options))
		return take_over(argv, &inherited);
	if (pwoptions_serve(&options))
		return serve(&options, &inherited);
	return serve_person(&options, &inherited);
}

int main(int argc, char **argv)
{
	(void)argc;
	return (int)run(argv);
}
