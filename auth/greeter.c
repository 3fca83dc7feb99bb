/* greeter: see greeter.h. Runs with the launch privileges; its child gives them up. */
#include "auth/greeter.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/login.h"
#include "confine/confine.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/process.h"
#include "os/signals.h"
#include "peer/ucspi.h"

/* The greeter's end of the socket pair, after the descriptors of TLS. */
#define GREETER_FD (UCSPI_WRITE_FD + 1)

static _Noreturn void run_greeter(
	const struct settings *o, const char *timestamp, int64_t deadline_ms, int fd)
{
	log_close(); /* its socket may have the number GREETER_FD */
	if (dup3(fd, GREETER_FD, O_CLOEXEC) < 0)
		_exit(LOGIN_NO_JAIL);
	process_close_others(o->found.stls ? UCSPI_READ_FD : GREETER_FD, GREETER_FD);
	if (o->asked.debug)
		log_open(o->asked.syslog);
	if (!confine_greeter(o->asked.greeter_uid, o->asked.greeter_gid, o->asked.debug))
		_exit(LOGIN_NO_JAIL);
	_exit((int)login_run(o, GREETER_FD, timestamp, deadline_ms));
}

bool greeter_start(
	struct greeter *g, const struct settings *o, const char *timestamp, int64_t deadline_ms)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	g->pid = fork();
	if (g->pid == 0)
		run_greeter(o, timestamp, deadline_ms, ends[1]);
	close(ends[1]);
	if (g->pid > 0) {
		g->fd = ends[0];
		return true;
	}
	close(ends[0]);
	return false;
}

/* Whether nobody wanted to log in: a proxy looks every few seconds whether the port is served.
 */
static bool is_check(const struct greeter *g, int code)
{
	return code == LOGIN_CHECK ||
	       (g->is_for_proxy && g->tries == 0 &&
		       (code == LOGIN_QUIT || code == LOGIN_EOF || code == LOGIN_BROKEN));
}

/* Logs how a conversation without a login ended. */
static void log_greeter_end(const struct greeter *g, int wait_status)
{
	static const char *const names[] = {"quit", "eof", "timeout", "broken", "bad-commands",
		"failures", "orphan", "no-jail", "clear-text-refused", "no-proxy-header",
		"check"};
	int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	const int known = (int)(sizeof names / sizeof *names);

	_Static_assert(sizeof names / sizeof *names == LOGIN_CHECK - LOGIN_QUIT + 1,
		"one for each end");
	if (is_check(g, code))
		code = LOGIN_CHECK;
	if (code == LOGIN_ORPHAN)
		return; /* this process ended the greeter, and has logged why */
	if (code >= LOGIN_QUIT && code < LOGIN_QUIT + known)
		log_event(code == LOGIN_CHECK     ? LOG_DEBUG
			  : code == LOGIN_NO_JAIL ? LOG_ERR
						  : LOG_INFO,
			"end ip=%s stage=login reason=%s tries=%u", g->ip,
			names[code - LOGIN_QUIT], g->tries);
	else if (WIFSIGNALED(wait_status))
		log_event(LOG_ERR, "greeter-died ip=%s signal=%d%s", g->ip,
			WTERMSIG(wait_status), process_death_note(wait_status));
	else if (code != LOGIN_GRANTED)
		log_event(LOG_ERR, "greeter-died ip=%s status=%d", g->ip, code);
}

/* Waits for the greeter's end, at most until deadline_ms; returns whether it came. */
static bool await_greeter(const struct greeter *g, int64_t deadline_ms,
	const sigset_t *while_waiting, int *wait_status)
{
	pid_t pid;

	while ((pid = waitpid(g->pid, wait_status, WNOHANG)) == 0) {
		const int timeout_ms = clock_poll_timeout(deadline_ms);
		const struct timespec timeout = {
			timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

		if (timeout_ms == 0)
			return false;
		ppoll(NULL, 0, &timeout, while_waiting); /* until SIGCHLD */
	}
	return true;
}

void greeter_end(struct greeter *g, int64_t grace_ms, const sigset_t *while_waiting)
{
	const bool kill_it = grace_ms == 0;
	bool gone = false;
	int wait_status = 0;

	if (g->fd < 0)
		return;
	/* killed before its socket is closed, it need not run again to see that */
	if (kill_it)
		kill(g->pid, SIGKILL);
	close(g->fd);
	g->fd = -1;
	if (!kill_it)
		gone = await_greeter(g, clock_now_ms() + grace_ms, while_waiting, &wait_status);
	if (!kill_it && !gone)
		kill(g->pid, SIGKILL);
	if (!gone)
		wait_status = process_await(g->pid);
	signals_forget_child();
	/* a greeter that has asked for a login had finished confining itself */
	if (WIFSIGNALED(wait_status) && g->tries == 0)
		confine_clean_greeter(g->pid);
	if (!kill_it)
		log_greeter_end(g, wait_status);
}
