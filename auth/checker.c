/* checker: see checker.h. Keeps the launch privileges; parses nothing from the network. */
#include "auth/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/handover.h"
#include "os/process.h"

#define CREDENTIALS_FD 3

/* Ends of the three pipes; -1: not open. */
struct pipes {
	int credentials[2], status[2], error[2];
};

void checker_close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_ends(int ends[2])
{
	checker_close_end(&ends[0]);
	checker_close_end(&ends[1]);
}

/* A pipe has room for these octets, so they are written before the checker runs. Nothing that
 * the checker does with descriptor 3 can then block or kill this process. O_NONBLOCK: the pipe
 * may be a small one, if the user has many. */
static bool write_credentials(int fd, const struct request *request, const char *timestamp)
{
	char *const login = (char *)(size_t)request->octets, *const nul = (char *)(size_t) "";
	const size_t stamp = strlen(timestamp) + 1;
	const struct iovec parts[] = {{login, request->login_octets}, {nul, 1},
		{login + request->login_octets, request->password_octets}, {nul, 1},
		{(char *)(size_t)timestamp, stamp}};
	const size_t total = request_length(request) - REQUEST_LEAST + 2 + stamp;

	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && writev(fd, parts, 5) == (ssize_t)total;
}

/* Runs in the child of vfork, which shares the monitor's memory until exec, so it makes system
 * calls only. The death signal ends the checker if the monitor dies. The kernel drops the death
 * signal when the checker becomes another user, so a session may outlive its monitor. */
static _Noreturn void become_checker(
	struct invocation *s, const struct pipes *p, bool new_group, pid_t monitor)
{
	process_default_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != monitor)
		_exit(111); /* the monitor died before the death signal was set */
	if (new_group)
		setpgid(0, 0);
	if (dup2(p->credentials[0], CREDENTIALS_FD) >= 0 &&
		dup2(p->status[1], HANDOVER_FD) >= 0 &&
		(p->error[1] < 0 || dup2(p->error[1], 2) >= 0)) {
		execve(s->program, s->arguments, s->environment);
	}
	const int error_number = errno;
	_exit(write(p->status[1], &error_number, sizeof error_number) < 0 ? 111 : 126);
}

/* vfork: the child executes another program at once, so a copy of the memory would be wasted.
 */
static pid_t spawn(struct invocation *s, const struct pipes *p, bool new_group)
{
	const pid_t monitor = getpid(), pid = vfork();

	if (pid == 0)
		become_checker(s, p, new_group, monitor);
	return pid;
}

bool checker_start(struct checker *c, struct invocation *s, const struct request *request,
	const char *timestamp, bool logs_stderr)
{
	struct pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
	int error_number;

	invocation_for_login(s, (enum mechanism)request->kind, (enum language)request->language,
		request->octets, request->login_octets);
	/* on a terminal the checker must stay in the foreground group to be able to read */
	c->has_group = !isatty(0);
	c->pid = -1;
	if (pipe2(p.credentials, O_CLOEXEC) == 0 && pipe2(p.status, O_CLOEXEC) == 0 &&
		(!logs_stderr || pipe2(p.error, O_CLOEXEC) == 0) &&
		write_credentials(p.credentials[1], request, timestamp))
		c->pid = spawn(s, &p, c->has_group);
	error_number = errno;
	if (c->pid > 0) {
		c->status_fd = p.status[0];
		c->stderr_fd = p.error[0];
		p.status[0] = p.error[0] = -1;
	}
	close_ends(p.credentials);
	close_ends(p.status);
	close_ends(p.error);
	errno = error_number;
	return c->pid > 0;
}

bool checker_kill(const struct checker *c, int signal_number)
{
	return kill(c->has_group ? -c->pid : c->pid, signal_number) == 0;
}

void checker_close(struct checker *c)
{
	checker_close_end(&c->status_fd);
	checker_close_end(&c->stderr_fd);
}
