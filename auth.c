/* auth: see auth.h.
 *
 * The monitor: the one process that keeps the identity the superserver gave it. It reads
 * nothing that the network wrote but auth_request, of fixed size and checked. What else runs
 * with that identity: pop3d.c until the greeter is forked, checker.c, process.c, relay.c and
 * log.c. */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checker.h"
#include "clock.h"
#include "jail.h"
#include "log.h"
#include "login.h"
#include "peer.h"
#include "process.h"
#include "relay.h"

#define GRACE_MS 5000 /* from a polite signal to SIGKILL */

struct monitor {
	const struct options *options;
	struct peer peer;
	struct checker_setup setup;
	int greeter_fd; /* -1 once it has been told that somebody is in */
	pid_t greeter_pid;
	unsigned tries;
	bool relay_stderr;
	int64_t deadline_ms; /* of the login */
	struct checker checker;
	struct relay relay;
	bool logged_in;
	int exec_errno;
	char login[256]; /* quoted for the log, short enough to leave room for all else */
	char timestamp[AUTH_TIMESTAMP_OCTETS];
};

static volatile sig_atomic_t end_signal;

static void on_signal(int signal_number)
{
	if (signal_number != SIGCHLD)
		end_signal = signal_number;
}

/* From here on signals arrive only while ppoll waits. */
static void take_signals(sigset_t *while_waiting)
{
	static const int taken[] = {SIGCHLD, SIGTERM, SIGHUP, SIGINT};
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

bool auth_request_valid(const struct auth_request *request, size_t timestamp_octets)
{
	const size_t login = request->login_octets, password = request->password_octets;

	if (request->mechanism != AUTH_USER && request->mechanism != AUTH_APOP)
		return false;
	if (login == 0 || password == 0)
		return false;
	if (login + password + timestamp_octets + 3 > AUTH_CREDENTIALS_OCTETS)
		return false;
	for (size_t i = 0; i < login + password; i++)
		if (request->octets[i] == '\0' || request->octets[i] == '\r' ||
			request->octets[i] == '\n')
			return false;
	return true;
}

enum auth_verdict auth_judge(int wait_status)
{
	if (!WIFEXITED(wait_status))
		return AUTH_TEMPORARY;
	switch (WEXITSTATUS(wait_status)) {
	case 1:
	case 3:
	case 20: return AUTH_REFUSED;
	case 2:
	case 100:
	case 126:
	case 127: return AUTH_MISCONFIGURED;
	default: return AUTH_TEMPORARY;
	}
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
	process_close_others(fd);
	if (!jail_greeter(m->options->greeter_uid, m->options->greeter_gid))
		_exit(LOGIN_NO_JAIL);
	_exit((int)login_run(m->options, fd, m->timestamp, m->deadline_ms));
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

/* What became of a conversation before login, in the log. */
static void log_greeter_end(const struct monitor *m, int wait_status)
{
	static const char *const names[] = {"quit", "eof", "timeout", "broken", "bad-commands",
		"failures", "orphan", "no-jail"};
	const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	const int known = (int)(sizeof names / sizeof *names);

	if (code >= LOGIN_QUIT && code < LOGIN_QUIT + known)
		log_event(code == LOGIN_NO_JAIL ? LOG_ERR : LOG_INFO,
			"end ip=%s stage=login reason=%s tries=%u", peer_ip(&m->peer),
			names[code - LOGIN_QUIT], m->tries);
	else if (WIFSIGNALED(wait_status))
		log_event(LOG_ERR, "greeter-died ip=%s signal=%d", peer_ip(&m->peer),
			WTERMSIG(wait_status));
	else if (code != LOGIN_GRANTED)
		log_event(LOG_ERR, "greeter-died ip=%s status=%d", peer_ip(&m->peer), code);
}

static void await(pid_t pid, int *wait_status)
{
	*wait_status = 0;
	while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR)
		;
}

static void end_greeter(struct monitor *m, bool log_it)
{
	int wait_status;

	if (m->greeter_fd < 0)
		return;
	close(m->greeter_fd);
	m->greeter_fd = -1;
	await(m->greeter_pid, &wait_status);
	if (log_it || WIFSIGNALED(wait_status))
		log_greeter_end(m, wait_status);
}

static void send_verdict(struct monitor *m, enum auth_verdict verdict)
{
	const unsigned char octet = (unsigned char)verdict;

	if (send(m->greeter_fd, &octet, 1, MSG_NOSIGNAL) != 1)
		log_event(LOG_INFO, "greeter-gone ip=%s", peer_ip(&m->peer));
}

/* The client was let in: the greeter must not touch the connection any more. */
static void let_in(struct monitor *m)
{
	m->logged_in = true;
	log_event(LOG_INFO, "login ip=%s port=%s user=%s", peer_ip(&m->peer),
		peer_port(&m->peer), m->login);
	send_verdict(m, AUTH_GRANTED);
	end_greeter(m, false);
}

/* The status descriptor speaks: the session's octet, the errno of a failed start, or its end.
 */
static void hear_status(struct monitor *m)
{
	char octets[sizeof(int)];
	ssize_t length;

	do
		length = read(m->checker.status_fd, octets, sizeof octets);
	while (length < 0 && errno == EINTR);
	if (length == (ssize_t)sizeof octets)
		memcpy(&m->exec_errno, octets, sizeof octets);
	else if (length == 1 && octets[0] == CHECKER_SESSION_RUNS && !m->logged_in)
		let_in(m);
	if (length <= 0 || m->logged_in) {
		close(m->checker.status_fd);
		m->checker.status_fd = -1;
	}
}

/* Waits for the next event at most until deadline_ms; false when that passed. */
static bool wait_events(struct monitor *m, const sigset_t *mask, int64_t deadline_ms)
{
	struct pollfd polled[2] = {{.fd = m->checker.status_fd, .events = POLLIN},
		{.fd = m->checker.stderr_fd, .events = POLLIN}};
	const int timeout_ms = clock_poll_timeout(deadline_ms);
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	if (ppoll(polled, 2, timeout_ms < 0 ? NULL : &timeout, mask) == 0)
		return false;
	if (polled[0].revents != 0)
		hear_status(m);
	if (polled[1].revents != 0 && !relay_read(&m->relay, m->checker.stderr_fd)) {
		close(m->checker.stderr_fd);
		m->checker.stderr_fd = -1;
	}
	return true;
}

/* The checker has had its time: unless a session runs that could not say so, it must go. */
static bool overdue(struct monitor *m)
{
	if (checker_connection_marked()) {
		let_in(m);
		return false;
	}
	log_event(LOG_WARNING,
		"checker-killed ip=%s reason=login-timeout seconds=%lld program=%s",
		peer_ip(&m->peer), (long long)m->options->login_seconds, m->setup.arguments[0]);
	return true;
}

/* Takes what the status descriptor still holds when the checker is gone. */
static void drain_status(struct monitor *m)
{
	struct pollfd polled = {.events = POLLIN};

	while (m->checker.status_fd >= 0) {
		polled.fd = m->checker.status_fd;
		if (poll(&polled, 1, 0) <= 0)
			return;
		hear_status(m);
	}
}

/* Follows the checker, and the session that it may become, until it exits; returns its status.
 * ended is set where this process ended it: at the login timeout, or asked to by a signal. */
static int follow(struct monitor *m, const sigset_t *mask, bool *ended)
{
	int64_t deadline_ms = m->deadline_ms;
	int wait_status = 0;

	*ended = false;
	while (waitpid(m->checker.pid, &wait_status, WNOHANG) == 0) {
		const bool in_time = wait_events(m, mask, deadline_ms);
		int signal_number = 0;

		if (*ended)
			signal_number = in_time ? 0 : SIGKILL;
		else if (end_signal != 0)
			signal_number = end_signal;
		else if (!in_time && !m->logged_in && overdue(m))
			signal_number = SIGKILL;
		if (signal_number != 0) {
			*ended = true;
			deadline_ms = clock_now_ms() + GRACE_MS;
			if (!checker_kill(&m->checker, signal_number))
				break; /* somebody else by now: the end of the connection ends
					  it */
		} else if (m->logged_in && !*ended) {
			deadline_ms = -1;
		}
	}
	drain_status(m);
	return wait_status;
}

static void log_failure(struct monitor *m, enum auth_verdict verdict, int wait_status)
{
	const char *const program = m->setup.arguments[0];

	if (verdict == AUTH_REFUSED)
		log_event(LOG_NOTICE, "login-failed ip=%s port=%s user=%s", peer_ip(&m->peer),
			peer_port(&m->peer), m->login);
	else if (m->exec_errno != 0)
		log_event(LOG_ERR, "checker-not-started ip=%s program=%s errno=%d error=\"%s\"",
			peer_ip(&m->peer), program, m->exec_errno, strerror(m->exec_errno));
	else if (WIFSIGNALED(wait_status))
		log_event(LOG_ERR, "checker-failed ip=%s program=%s signal=%d user=%s",
			peer_ip(&m->peer), program, WTERMSIG(wait_status), m->login);
	else
		log_event(LOG_ERR, "checker-failed ip=%s program=%s status=%d%s user=%s",
			peer_ip(&m->peer), program, WEXITSTATUS(wait_status),
			WEXITSTATUS(wait_status) == 0 ? " problem=ran-no-session" : "",
			m->login);
}

/* Waits out the rest of what a failed login costs, counted from its start, so that how long the
 * checker took shows nothing. */
static void delay(struct monitor *m, const sigset_t *mask, int64_t since_ms)
{
	int64_t until_ms = since_ms + m->options->fail_delay_seconds * 1000 * m->tries;

	if (until_ms > m->deadline_ms)
		until_ms = m->deadline_ms;
	while (end_signal == 0 && wait_events(m, mask, until_ms))
		;
}

enum outcome { TRY_FAILED, TRY_SESSION_OVER, TRY_ENDED };

static enum outcome try_login(
	struct monitor *m, struct auth_request *request, const sigset_t *mask, int *exit_status)
{
	const int64_t since_ms = clock_now_ms();
	enum auth_verdict verdict = AUTH_TEMPORARY;
	int wait_status;
	bool started, ended;

	log_quote(m->login, sizeof m->login, request->octets, request->login_octets);
	m->exec_errno = 0;
	memset(&m->relay, 0, sizeof m->relay);
	started = checker_start(&m->checker, &m->setup, request, m->timestamp, m->relay_stderr);
	explicit_bzero(request, sizeof *request);
	if (!started) {
		log_event(LOG_ERR, "checker-not-started errno=%d error=\"%s\"", errno,
			strerror(errno));
	} else {
		wait_status = follow(m, mask, &ended);
		relay_drain(&m->relay, m->checker.stderr_fd);
		checker_close(&m->checker);
		*exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 111;
		if (ended)
			return TRY_ENDED;
		if (m->logged_in || checker_connection_marked())
			return TRY_SESSION_OVER;
		verdict = m->exec_errno != 0 ? AUTH_MISCONFIGURED : auth_judge(wait_status);
		log_failure(m, verdict, wait_status);
	}
	delay(m, mask, since_ms);
	send_verdict(m, verdict);
	return TRY_FAILED;
}

/* The greeter keeps the login timeout itself; one that does not is ended. */
static bool wait_greeter(struct monitor *m, struct pollfd *polled, const sigset_t *mask)
{
	const int64_t deadline_ms = m->deadline_ms + GRACE_MS;
	int ready;

	do {
		const int timeout_ms = clock_poll_timeout(deadline_ms);
		const struct timespec timeout = {
			timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

		ready = ppoll(polled, 1, &timeout, mask);
	} while (ready < 0 && errno == EINTR && end_signal == 0);
	if (ready == 0)
		kill(m->greeter_pid, SIGKILL);
	return ready > 0;
}

/* Waits for the greeter's next request. False when there is none to come, or none that may
 * come. */
static bool next_request(struct monitor *m, struct auth_request *request, const sigset_t *mask)
{
	struct pollfd polled = {.fd = m->greeter_fd, .events = POLLIN};
	ssize_t length;

	if (!wait_greeter(m, &polled, mask))
		return false;
	/* MSG_TRUNC: the true length, so that a longer message is seen to be one */
	length = recv(m->greeter_fd, request, sizeof *request, MSG_TRUNC);
	if (length == 0)
		return false;
	if (length == (ssize_t)sizeof *request && m->tries++ < AUTH_TRIES &&
		auth_request_valid(request, strlen(m->timestamp)))
		return true;
	explicit_bzero(request, sizeof *request);
	log_event(LOG_ERR, "greeter-misbehaves ip=%s octets=%zd", peer_ip(&m->peer), length);
	kill(m->greeter_pid, SIGKILL);
	return false;
}

static int serve_logins(struct monitor *m, const sigset_t *mask)
{
	struct auth_request request;
	int exit_status = 0;

	while (next_request(m, &request, mask)) {
		const enum outcome outcome = try_login(m, &request, mask, &exit_status);

		if (outcome == TRY_SESSION_OVER)
			return exit_status;
		if (outcome == TRY_ENDED) {
			/* whoever else still holds the connection, the client shall see its end
			 */
			shutdown(0, SHUT_RDWR);
			return 111;
		}
	}
	return 0;
}

int auth_serve(const struct options *o)
{
	static struct monitor m = {
		.greeter_fd = -1, .checker = {.status_fd = -1, .stderr_fd = -1}};
	struct stat st;
	sigset_t mask;
	int status;

	m.options = o;
	m.deadline_ms = clock_now_ms() + o->login_seconds * 1000;
	m.relay_stderr =
		log_stderr_is_clients() || (fstat(2, &st) == 0 && S_ISSOCK(st.st_mode));
	peer_lookup(&m.peer, 0);
	take_signals(&mask);
	if (!checker_prepare(&m.setup, o, &m.peer)) {
		log_event(LOG_ERR, "configuration problem=checker-command-line-too-long");
		return 100;
	}
	if (!make_timestamp(&m) || !fork_greeter(&m)) {
		log_event(LOG_ERR, "no-greeter errno=%d error=\"%s\"", errno, strerror(errno));
		return 111;
	}
	status = serve_logins(&m, &mask);
	end_greeter(&m, !m.logged_in);
	return end_signal != 0 ? 128 + end_signal : status;
}
