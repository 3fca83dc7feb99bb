/* checker: see checker.h. Runs with the launch privileges; parses nothing from the network. */
#include "checker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "process.h"

#define CREDENTIALS_FD 3
#define LOWEST_FREE_FD 10 /* above those with a meaning to checkers */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extern char **environ;

/* Formats into the setup's text; NULL when it is full. */
static char *text(struct checker_setup *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static char *text(struct checker_setup *s, const char *format, ...)
{
	char *const start = s->text + s->text_octets;
	const size_t room = sizeof s->text - s->text_octets;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(start, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		return NULL;
	s->text_octets += (size_t)length + 1;
	return start;
}

static bool add_argument(struct checker_setup *s, char *argument)
{
	if (argument == NULL || s->argument_count + 1 >= CHECKER_ARGUMENTS)
		return false;
	s->arguments[s->argument_count++] = argument;
	return true;
}

static bool add_variable(struct checker_setup *s, char *variable)
{
	if (variable == NULL || s->variable_count + 1 >= CHECKER_VARIABLES)
		return false;
	s->environment[s->variable_count++] = variable;
	return true;
}

/* Adds the variable as this process has it; none is no error. */
static bool add_own(struct checker_setup *s, const char *name)
{
	const size_t length = strlen(name);

	for (char **variable = environ; *variable != NULL; variable++)
		if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=')
			return add_variable(s, *variable);
	return true;
}

static bool add_locale(struct checker_setup *s)
{
	for (char **variable = environ; *variable != NULL; variable++)
		if (strncmp(*variable, "LC_", 3) == 0 && !add_variable(s, *variable))
			return false;
	return add_own(s, "LANG") && add_own(s, "TZ");
}

static bool add_known(struct checker_setup *s, const char *name, const char *value)
{
	return value[0] == '\0' || add_variable(s, text(s, "%s=%s", name, value));
}

static bool make_environment(
	struct checker_setup *s, const struct options *o, const struct peer *p)
{
	bool fits = getenv("PATH") != NULL ? add_own(s, "PATH")
					   : add_variable(s, text(s, "PATH=%s", DEFAULT_PATH));

	fits = fits && add_locale(s) && add_known(s, "PROTO", p->protocol);
	fits = fits && add_known(s, "TCPREMOTEIP", p->remote_ip);
	fits = fits && add_known(s, "TCPREMOTEPORT", p->remote_port);
	fits = fits && add_known(s, "TCPLOCALIP", p->local_ip);
	fits = fits && add_known(s, "TCPLOCALPORT", p->local_port);
	fits = fits && add_variable(s, text(s, "SERVICE=pop3"));
	s->mechanism = text(s, "AUTH_MECHANISM=USER");
	fits = fits && add_variable(s, s->mechanism);
	for (size_t i = 0; fits && i < o->pass_env_count; i++)
		fits = add_own(s, o->pass_env[i]);
	return fits;
}

/* The file that this process runs from, to be run again as the session. */
static char *own_program(struct checker_setup *s)
{
	static const char deleted[] = " (deleted)";
	char path[1024];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

	if (length <= 0)
		return text(s, "pop3d");
	path[length] = '\0';
	/* replaced by a newer one since this connection began: that is at the same path */
	if ((size_t)length > sizeof deleted &&
		strcmp(path + length - (sizeof deleted - 1), deleted) == 0)
		path[(size_t)length - (sizeof deleted - 1)] = '\0';
	return text(s, "%s", path);
}

static bool add_program(struct checker_setup *s, const struct options *o, char *program)
{
	const char *const slash = program != NULL ? strrchr(program, '/') : NULL;

	for (size_t i = 0; i < o->checker_count; i++)
		if (!add_argument(s, o->checker[i]))
			return false;
	if (o->checker_count > 0)
		return true;
	if (slash == NULL)
		return add_argument(s, text(s, "pop3d-checkpw"));
	return add_argument(s, text(s, "%.*s/pop3d-checkpw", (int)(slash - program), program));
}

static bool make_arguments(struct checker_setup *s, const struct options *o)
{
	static char allow_root[] = "--allow-root", lock[] = "--lock",
		    syslog_option[] = "--syslog", verify[] = "--verify-sizes",
		    exec_option[] = "--exec", end[] = "--";
	char *const program = own_program(s);
	bool fits = add_program(s, o, program) && add_argument(s, program);

	fits = fits && add_argument(s, text(s, "--session"));
	fits = fits && add_argument(s, text(s, "--status-fd=%d", CHECKER_STATUS_FD));
	fits = fits && add_argument(s, text(s, "--hostname=%s", o->host));
	fits = fits &&
	       add_argument(s, text(s, "--idle-timeout=%lld", (long long)o->idle_seconds));
	fits = fits && (!o->allow_root || add_argument(s, allow_root));
	fits = fits && (!o->lock || add_argument(s, lock));
	fits = fits && (!o->verify_sizes || add_argument(s, verify));
	fits = fits && (!log_to_syslog() || add_argument(s, syslog_option));
	if (o->exec_text != NULL)
		fits = fits && add_argument(s, exec_option) && add_argument(s, o->exec_text);
	if (o->maildir != NULL)
		fits = fits && add_argument(s, end) &&
		       add_argument(s, (char *)(size_t)o->maildir);
	return fits;
}

bool checker_prepare(struct checker_setup *s, const struct options *o, const struct peer *p)
{
	s->argument_count = s->variable_count = s->text_octets = 0;
	if (!make_arguments(s, o) || !make_environment(s, o, p))
		return false;
	s->arguments[s->argument_count] = NULL;
	s->environment[s->variable_count] = NULL;
	return true;
}

struct pipe_ends {
	int read_fd, write_fd;
};

static void close_pipe(struct pipe_ends *p)
{
	if (p->read_fd >= 0)
		close(p->read_fd);
	if (p->write_fd >= 0)
		close(p->write_fd);
	p->read_fd = p->write_fd = -1;
}

/* Opens a pipe on descriptors that are none of those a checker gives a meaning to. */
static bool open_pipe(struct pipe_ends *p)
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) != 0)
		return false;
	p->read_fd = fcntl(low[0], F_DUPFD_CLOEXEC, LOWEST_FREE_FD);
	p->write_fd = fcntl(low[1], F_DUPFD_CLOEXEC, LOWEST_FREE_FD);
	close(low[0]);
	close(low[1]);
	if (p->read_fd >= 0 && p->write_fd >= 0)
		return true;
	close_pipe(p);
	return false;
}

/* The pipe takes up to 512 octets at once, long before anybody reads: nothing can block or
 * break here, whatever the checker does with descriptor 3. */
static bool write_credentials(int fd, const struct auth_request *request, const char *timestamp)
{
	char octets[AUTH_CREDENTIALS_OCTETS];
	const size_t login = request->login_octets, password = request->password_octets;
	const size_t stamp = strlen(timestamp) + 1;
	const size_t total = login + 1 + password + 1 + stamp;
	bool written;

	if (total > sizeof octets) {
		errno = E2BIG;
		return false;
	}
	memcpy(octets, request->octets, login);
	octets[login] = '\0';
	memcpy(octets + login + 1, request->octets + login, password);
	octets[login + 1 + password] = '\0';
	memcpy(octets + login + password + 2, timestamp, stamp);
	written = write(fd, octets, total) == (ssize_t)total;
	explicit_bzero(octets, sizeof octets);
	return written;
}

static void become_checker(const struct checker_setup *s, bool new_group, int credentials_fd,
	int status_fd, int stderr_fd)
{
	int error_number;

	process_default_signals();
	if (new_group)
		setpgid(0, 0);
	if (dup2(credentials_fd, CREDENTIALS_FD) >= 0 &&
		dup2(status_fd, CHECKER_STATUS_FD) >= 0 &&
		(stderr_fd < 0 || dup2(stderr_fd, 2) >= 0)) {
		environ = (char **)(size_t)s->environment;
		execvp(s->arguments[0], s->arguments);
	}
	error_number = errno;
	if (write(status_fd, &error_number, sizeof error_number) < 0)
		_exit(111);
	_exit(error_number == ENOENT ? 127 : 126);
}

bool checker_start(struct checker *c, struct checker_setup *s,
	const struct auth_request *request, const char *timestamp, bool relay_stderr)
{
	struct pipe_ends credentials = {-1, -1}, status = {-1, -1}, error = {-1, -1};
	const bool new_group = !isatty(0); /* a terminal talks to one group only */
	bool ready;
	int error_number;

	memcpy(strchr(s->mechanism, '=') + 1, request->mechanism == AUTH_APOP ? "APOP" : "USER",
		4);
	ready = open_pipe(&credentials) && open_pipe(&status) &&
		(!relay_stderr || open_pipe(&error)) &&
		write_credentials(credentials.write_fd, request, timestamp);
	c->pid = ready ? fork() : -1;
	if (c->pid == 0)
		become_checker(
			s, new_group, credentials.read_fd, status.write_fd, error.write_fd);
	error_number = errno;
	close_pipe(&credentials);
	if (c->pid > 0) {
		close(status.write_fd);
		if (error.write_fd >= 0)
			close(error.write_fd);
		if (new_group)
			setpgid(c->pid, c->pid); /* in the child as well: whoever comes first */
		c->has_group = new_group;
		c->status_fd = status.read_fd;
		c->stderr_fd = error.read_fd;
		return true;
	}
	close_pipe(&status);
	close_pipe(&error);
	errno = error_number;
	return false;
}

bool checker_kill(const struct checker *c, int signal_number)
{
	return kill(c->has_group ? -c->pid : c->pid, signal_number) == 0;
}

void checker_close(struct checker *c)
{
	if (c->status_fd >= 0)
		close(c->status_fd);
	if (c->stderr_fd >= 0)
		close(c->stderr_fd);
	c->status_fd = c->stderr_fd = -1;
}

void checker_tell_session_runs(int status_fd)
{
	const char runs = CHECKER_SESSION_RUNS;
	struct stat st;

	if (status_fd < 0)
		return;
	/* a checker may have closed it and opened something of its own there */
	if (fstat(status_fd, &st) != 0 || !S_ISFIFO(st.st_mode) ||
		write(status_fd, &runs, 1) != 1)
		fcntl(1, F_SETSIG, SIGURG);
	close(status_fd);
}

bool checker_connection_marked(void)
{
	return fcntl(1, F_GETSIG) == SIGURG;
}
