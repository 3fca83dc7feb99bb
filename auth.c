/* auth: see auth.h.
 *
 * The one place that keeps the identity the superserver gave it while strangers talk to the
 * greeter. It reads nothing that the network wrote but struct request: bounded, checked, a few
 * times at most. What else decides with that identity in this phase: auth/request.c,
 * auth/checker.c and auth/checker_log.c, in all under 300 lines of code. They call os/log.c,
 * os/clock.c and os/handover.c, of os/process.c what resets signals, of auth/invocation.c what
 * writes the mechanism's name, of monitor.c what ends the greeter and words a failure; and when a
 * greeter asks for TLS or says what a proxy said, monitor_take_change with peer/ucspi.c,
 * peer/proxy_client.c, pop3/policy.c and auth/invocation.c: constant work on what the
 * administrator said, and on two addresses in binary form. At the start, before a stranger has
 * said anything, so do pop3d.c, auth/invocation.c, peer/peer.c, os/process.c, peer/ucspi.c,
 * monitor.c and confine/jail.c. As soon as a session runs, sandbox_monitor takes away what waiting
 * for it does not need. */
#include "auth.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/sandbox.h"
#include "monitor.h"
#include "os/clock.h"
#include "os/handover.h"
#include "os/log.h"

static void send_verdict(struct monitor *m, enum request_verdict verdict)
{
	const unsigned char octet = (unsigned char)verdict;

	if (send(m->greeter_fd, &octet, 1, MSG_NOSIGNAL) != 1)
		kill(m->greeter_pid, SIGKILL); /* it listens no more */
}

/* The client was let in: the greeter must not touch the connection any more. */
static void let_in(struct monitor *m)
{
	m->logged_in = true;
	log_event(LOG_INFO, "login ip=%s port=%s user=%s tls=%s", peer_ip(&m->peer),
		peer_port(&m->peer), m->login, m->options->tls ? "yes" : "no");
	monitor_end_greeter(m, 0);
	sandbox_monitor();
}

/* The status descriptor speaks: the session's octet, the errno of a failed start, or its end.
 */
static void hear_status(struct monitor *m)
{
	char octets[sizeof(int)];
	const ssize_t length = read(m->checker.status_fd, octets, sizeof octets);

	if (length == (ssize_t)sizeof octets)
		memcpy(&m->exec_errno, octets, sizeof octets);
	else if (length == 1 && octets[0] == ANNOUNCE_SESSION_RUNS && !m->logged_in)
		let_in(m);
	if (length <= 0 || m->logged_in)
		checker_shut(&m->checker.status_fd);
}

/* What ended a wait. */
enum event {
	EVENT_TIME,    /* the deadline */
	EVENT_GREETER, /* it says something, or is gone */
	EVENT_OTHER,   /* the checker did something, or a signal came */
};

static enum event wait_event(struct monitor *m, int64_t deadline_ms)
{
	struct pollfd polled[3] = {{.fd = m->checker.status_fd, .events = POLLIN},
		{.fd = m->checker.stderr_fd, .events = POLLIN},
		{.fd = m->greeter_fd, .events = POLLIN}};
	const int timeout_ms = clock_poll_timeout(deadline_ms);
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	const int ready = ppoll(polled, 3, timeout_ms < 0 ? NULL : &timeout, &m->while_waiting);

	if (ready <= 0)
		return ready == 0 ? EVENT_TIME : EVENT_OTHER;
	if (polled[0].revents != 0)
		hear_status(m);
	if (polled[1].revents != 0 && !relay_read(&m->relay, m->checker.stderr_fd))
		checker_shut(&m->checker.stderr_fd);
	return polled[2].revents != 0 && !m->logged_in ? EVENT_GREETER : EVENT_OTHER;
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

/* Where the checker closed the status descriptor, the session marks the connection instead:
 * when to look for that mark, deadline_ms at the latest. */
static int64_t next_look(const struct monitor *m, int64_t deadline_ms)
{
	const int64_t soon_ms = clock_now_ms() + AUTH_LOOK_MS;
	const bool deaf = m->checker.status_fd < 0 && !m->logged_in;

	return deaf && soon_ms < deadline_ms ? soon_ms : deadline_ms;
}

static void hear_mark(struct monitor *m)
{
	if (m->checker.status_fd < 0 && !m->logged_in && announce_connection_marked())
		let_in(m);
}

/* Whether the checker has had its time. */
static bool overdue(const struct monitor *m)
{
	if (m->logged_in || clock_now_ms() < m->deadline_ms)
		return false;
	log_event(LOG_WARNING,
		"checker-killed ip=%s reason=login-timeout seconds=%lld program=%s",
		peer_ip(&m->peer), (long long)m->options->login_seconds, m->setup.arguments[0]);
	return true;
}

/* Follows the checker, and the session that it may become, until it exits; returns its status.
 * *ended is set where this process ended it: at the login timeout, asked to by a signal, or
 * because the greeter is gone or speaks when it should listen. */
static int follow(struct monitor *m, bool *ended)
{
	int64_t deadline_ms = m->deadline_ms;
	int wait_status = 0;

	*ended = false;
	while (waitpid(m->checker.pid, &wait_status, WNOHANG) == 0) {
		const enum event event = wait_event(m, next_look(m, deadline_ms));
		int signal_number = 0;

		hear_mark(m);
		if (*ended)
			signal_number = clock_now_ms() >= deadline_ms ? SIGKILL : 0;
		else if (monitor_end_signal() != 0)
			signal_number = monitor_end_signal();
		else if (event == EVENT_GREETER || overdue(m))
			signal_number = SIGKILL;
		if (signal_number != 0) {
			*ended = true;
			deadline_ms = clock_now_ms() + AUTH_GRACE_MS;
			if (!checker_kill(&m->checker, signal_number))
				break; /* somebody else by now: the end of the connection ends
					  it */
		} else if (m->logged_in && !*ended) {
			deadline_ms = -1;
		}
	}
	drain_status(m);
	hear_mark(m);
	return wait_status;
}

/* Everything ends: the greeter spoke when it should listen, said what it may not say, or is
 * gone. */
static void end_misbehaving(struct monitor *m, const char *when)
{
	log_event(LOG_ERR, "greeter-misbehaves ip=%s when=%s", peer_ip(&m->peer), when);
	kill(m->greeter_pid, SIGKILL);
}

/* Waits out the rest of what a failed login costs, counted from its start, so that how long the
 * checker took shows nothing. False when the connection is over. */
static bool delay(struct monitor *m, int64_t since_ms)
{
	int64_t until_ms = since_ms + m->options->fail_delay_seconds * 1000 * m->tries;
	enum event event;

	if (until_ms > m->deadline_ms)
		until_ms = m->deadline_ms;
	do
		event = wait_event(m, until_ms);
	while (event == EVENT_OTHER && monitor_end_signal() == 0);
	if (event == EVENT_GREETER)
		end_misbehaving(m, "delay");
	return event == EVENT_TIME;
}

/* Runs a checker that was started to its end; true when the connection is over with it. */
static bool finish_checker(struct monitor *m, enum request_verdict *verdict)
{
	bool ended;
	const int wait_status = follow(m, &ended);

	relay_drain(&m->relay, m->checker.stderr_fd);
	checker_close(&m->checker);
	m->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 111;
	if (ended) {
		/* whoever else still holds the connection, the client shall see its end */
		shutdown(0, SHUT_RDWR);
		m->exit_status = 111;
		monitor_end_greeter(m, 0);
	}
	if (m->logged_in && (ended || WIFSIGNALED(wait_status)))
		log_event(ended ? LOG_INFO : LOG_ERR, "session-%s ip=%s signal=%d%s user=%s",
			ended ? "ended" : "died", peer_ip(&m->peer),
			ended ? monitor_end_signal() : WTERMSIG(wait_status),
			monitor_signal_note(wait_status), m->login);
	if (ended || m->logged_in)
		return true;
	*verdict = m->exec_errno != 0 ? VERDICT_MISCONFIGURED : request_judge(wait_status);
	monitor_log_failure(m, *verdict, wait_status);
	return false;
}

/* True when the connection is over. */
static bool try_login(struct monitor *m, struct request *request)
{
	const int64_t since_ms = clock_now_ms();
	enum request_verdict verdict = VERDICT_TEMPORARY;
	bool started;

	log_quote(m->login, sizeof m->login, request->octets, request->login_octets);
	m->exec_errno = 0;
	memset(&m->relay, 0, sizeof m->relay);
	started = checker_start(&m->checker, &m->setup, request, m->timestamp, m->relay_stderr);
	explicit_bzero(request, request_length(request)); /* it was sent no more */
	if (!started)
		log_event(LOG_ERR, "checker-not-started errno=%d error=\"%s\"", errno,
			strerror(errno));
	else if (finish_checker(m, &verdict))
		return true;
	if (!delay(m, since_ms))
		return true;
	send_verdict(m, verdict);
	return false;
}

static bool permitted(struct monitor *m, const struct request *request)
{
	const struct options *const o = m->options;
	const struct request_limits limits = {.offered = o->offered,
		.credentials_most =
			o->long_credentials ? REQUEST_OCTETS : REQUEST_CREDENTIALS_OCTETS,
		.timestamp_octets = strlen(m->timestamp),
		.tries = m->tries + 1};

	m->tries += request_is_login(request);
	return request_permitted(request, &limits);
}

/* Gets the greeter's next request. False when there is none to come, or it is none that may
 * come: then everything ends. The greeter keeps the login timeout itself; one that does not is
 * ended. */
static bool next_request(struct monitor *m, struct request *request)
{
	enum event event;
	ssize_t length;

	do
		event = wait_event(m, m->deadline_ms + AUTH_SLACK_MS);
	while (event == EVENT_OTHER && monitor_end_signal() == 0);
	if (event != EVENT_GREETER)
		return false;
	/* MSG_TRUNC: the true length, so that a longer message is seen to be one */
	length = recv(m->greeter_fd, request, sizeof *request, MSG_TRUNC);
	if (length == 0)
		return false;
	if (length >= (ssize_t)REQUEST_LEAST && length == (ssize_t)request_length(request) &&
		permitted(m, request))
		return true;
	explicit_bzero(request, sizeof *request);
	end_misbehaving(m, "request");
	return false;
}

int auth_serve_logins(struct monitor *m)
{
	static struct request request; /* large */

	while (next_request(m, &request)) {
		if (request_is_login(&request)) {
			if (try_login(m, &request))
				return m->exit_status;
		} else if (!monitor_take_change(m, &request)) {
			return 111;
		} else {
			send_verdict(m, VERDICT_GRANTED);
		}
	}
	return 0;
}
