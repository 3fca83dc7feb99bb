/* monitor: see monitor.h. Runs with the launch privileges; what it does while strangers talk is
 * in auth.c. */
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/login.h"
#include "auth/request.h"
#include "confine/jail.h"
#include "confine/sandbox.h"
#include "os/clock.h"
#include "os/handover.h"
#include "os/log.h"
#include "os/process.h"
#include "peer/proxy_client.h"
#include "peer/ucspi.h"

/* Where the greeter has its end of the socket pair: behind the descriptors of TLS. */
#define GREETER_FD (UCSPI_WRITE_FD + 1)

static volatile sig_atomic_t end_signal;

int monitor_end_signal(void)
{
	return end_signal;
}

static void on_signal(int signal_number)
{
	if (signal_number != SIGCHLD)
		end_signal = signal_number;
}

/* From here on signals arrive only while ppoll waits. */
static void take_signals(sigset_t *while_waiting)
{
	static const int taken[] = {
		SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		sigaction(taken[i], &action, NULL);
		sigaddset(&blocked, taken[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigemptyset(while_waiting);
}

/* RFC 1939 section 7: a msg-id, different each time; and nothing in it that could be guessed.
 */
static bool make_timestamp(struct monitor *m)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	snprintf(m->timestamp, sizeof m->timestamp, "<%016llx.%llx@%s>",
		(unsigned long long)random, (unsigned long long)time(NULL), m->options->host);
	return true;
}

static _Noreturn void run_greeter(const struct monitor *m, int fd)
{
	process_default_signals();
	signal(SIGPIPE, SIG_IGN);
	closelog(); /* its socket may lie where the greeter's is to be */
	if (dup3(fd, GREETER_FD, O_CLOEXEC) < 0)
		_exit(LOGIN_NO_JAIL);
	process_close_others(m->options->stls ? UCSPI_READ_FD : GREETER_FD, GREETER_FD);
	if (m->options->debug)
		log_open(m->options->syslog);
	if (!jail_greeter(
		    m->options->greeter_uid, m->options->greeter_gid, m->options->debug) ||
		!sandbox_greeter(m->options->debug))
		_exit(LOGIN_NO_JAIL);
	_exit((int)login_run(m->options, GREETER_FD, m->timestamp, m->deadline_ms));
}

static bool fork_greeter(struct monitor *m)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	m->greeter_pid = fork();
	if (m->greeter_pid == 0)
		run_greeter(m, ends[1]);
	close(ends[1]);
	if (m->greeter_pid > 0) {
		m->greeter_fd = ends[0];
		return true;
	}
	close(ends[0]);
	return false;
}

const char *monitor_signal_note(int wait_status)
{
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS
		       ? " cause=forbidden-system-call"
		       : "";
}

void monitor_log_failure(const struct monitor *m, enum request_verdict verdict, int wait_status)
{
	const bool died = WIFSIGNALED(wait_status);
	const int number = died ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);

	if (verdict == VERDICT_REFUSED)
		log_event(LOG_NOTICE, "login-failed ip=%s port=%s user=%s", peer_ip(&m->peer),
			peer_port(&m->peer), m->login);
	else if (m->exec_errno != 0)
		log_event(LOG_ERR, "checker-not-started ip=%s program=%s errno=%d error=\"%s\"",
			peer_ip(&m->peer), m->setup.arguments[0], m->exec_errno,
			strerror(m->exec_errno));
	else
		log_event(LOG_ERR, "checker-failed ip=%s program=%s %s=%d%s user=%s",
			peer_ip(&m->peer), m->setup.arguments[0], died ? "signal" : "status",
			number, number == 0 ? " problem=ran-no-session" : "", m->login);
}

/* What became of a conversation before login, in the log. */
static void log_greeter_end(const struct monitor *m, int wait_status)
{
	static const char *const names[] = {"quit", "eof", "timeout", "broken", "bad-commands",
		"failures", "orphan", "no-jail", "clear-text-refused", "no-proxy-header"};
	const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	const int known = (int)(sizeof names / sizeof *names);

	if (code == LOGIN_ORPHAN)
		return; /* this process ended it, and has said why */
	if (code >= LOGIN_QUIT && code < LOGIN_QUIT + known)
		log_event(code == LOGIN_NO_JAIL ? LOG_ERR : LOG_INFO,
			"end ip=%s stage=login reason=%s tries=%u", peer_ip(&m->peer),
			names[code - LOGIN_QUIT], m->tries);
	else if (WIFSIGNALED(wait_status))
		log_event(LOG_ERR, "greeter-died ip=%s signal=%d%s", peer_ip(&m->peer),
			WTERMSIG(wait_status), monitor_signal_note(wait_status));
	else if (code != LOGIN_GRANTED)
		log_event(LOG_ERR, "greeter-died ip=%s status=%d", peer_ip(&m->peer), code);
}

/* Waits for the greeter's end, at most until deadline_ms; returns whether it came. */
static bool await_greeter(struct monitor *m, int64_t deadline_ms, int *wait_status)
{
	pid_t pid;

	while ((pid = waitpid(m->greeter_pid, wait_status, WNOHANG)) == 0) {
		const int timeout_ms = clock_poll_timeout(deadline_ms);
		const struct timespec timeout = {
			timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

		if (timeout_ms == 0)
			return false;
		ppoll(NULL, 0, &timeout, &m->while_waiting); /* until SIGCHLD */
	}
	return true;
}

void monitor_end_greeter(struct monitor *m, int64_t grace_ms)
{
	const bool kill_it = grace_ms == 0;
	int wait_status = 0;

	if (m->greeter_fd < 0)
		return;
	close(m->greeter_fd);
	m->greeter_fd = -1;
	if (kill_it || !await_greeter(m, clock_now_ms() + grace_ms, &wait_status)) {
		kill(m->greeter_pid, SIGKILL);
		while (waitpid(m->greeter_pid, &wait_status, 0) < 0 && errno == EINTR)
			;
	}
	if (!kill_it)
		log_greeter_end(m, wait_status);
}

/* Who may log in how, and what that makes of checkers' command line and environment. */
static bool settle(struct monitor *m)
{
	struct options *const o = m->options;

	o->local = peer_is_local(&m->peer);
	o->offered = options_offer(o);
	if (setup_make(&m->setup, o, &m->peer))
		return true;
	log_event(LOG_ERR, "configuration problem=checker-command-line-too-long");
	return false;
}

static bool start_tls(struct monitor *m)
{
	if (!ucspi_start_tls()) {
		log_event(LOG_ERR, "tls-not-started ip=%s errno=%d error=\"%s\"",
			peer_ip(&m->peer), errno, strerror(errno));
		return false;
	}
	announce_unmark_connection();
	m->options->tls = true;
	m->options->stls = false;
	return settle(m);
}

static bool take_proxied(struct monitor *m, const struct request *request)
{
	struct options *const o = m->options;
	struct proxied proxied;

	memcpy(&proxied, request->octets, sizeof proxied);
	if (!proxied_is_valid(&proxied)) {
		log_event(LOG_ERR, "greeter-misbehaves ip=%s when=PROXY", peer_ip(&m->peer));
		return false;
	}
	proxied_apply(&proxied, &m->peer);
	options_meet_proxy(o, proxied.tls);
	return settle(m);
}

bool monitor_take_change(struct monitor *m, const struct request *request)
{
	const bool taken =
		request->kind == OFFER_PROXY ? take_proxied(m, request) : start_tls(m);

	if (!taken)
		monitor_end_greeter(m, 0);
	return taken;
}

/* Anybody could claim to be anybody. */
static bool is_trusted(const struct monitor *m)
{
	const struct options *const o = m->options;

	return !o->proxy_protocol || o->proxy_count == 0 ||
	       address_rules_match(o->proxies, o->proxy_count, m->peer.remote_ip);
}

int monitor_serve(struct options *o)
{
	static struct monitor m; /* not with values: what has some is copied from the file */
	int status;

	m.greeter_fd = m.checker.status_fd = m.checker.stderr_fd = -1;
	m.options = o;
	m.deadline_ms = clock_now_ms() + o->login_seconds * 1000;
	m.relay_stderr = log_stderr_is_clients();
	peer_lookup(&m.peer, 0);
	o->tls = m.peer.tls;
	o->proxy_awaited = o->proxy_protocol;
	if (!is_trusted(&m)) {
		log_event(peer_has_left(0) ? LOG_DEBUG : LOG_NOTICE, "proxy-not-trusted ip=%s",
			peer_ip(&m.peer));
		return 0;
	}
	take_signals(&m.while_waiting);
	announce_unmark_connection();
	if (!settle(&m))
		return 100;
	if (!make_timestamp(&m) || !fork_greeter(&m)) {
		log_event(LOG_ERR, "no-greeter errno=%d error=\"%s\"", errno, strerror(errno));
		return 111;
	}
	status = auth_serve_logins(&m);
	monitor_end_greeter(&m, AUTH_GRACE_MS);
	return end_signal != 0 ? 128 + end_signal : status;
}
