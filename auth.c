/* auth: see auth.h.
 *
 * The monitor keeps the identity that the superserver gave it while strangers talk to the
 * greeter. The only input from the network that reaches it is struct request, which is bounded
 * and checked, and comes a few times at most. As soon as a session runs, confine_monitor takes
 * away everything that is not needed to wait for the session. */
#include "auth.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/checker.h"
#include "auth/checker_log.h"
#include "auth/greeter.h"
#include "auth/invocation.h"
#include "auth/request.h"
#include "auth/watch.h"
#include "confine/confine.h"
#include "lib/large.h"
#include "os/clock.h"
#include "os/handover.h"
#include "os/log.h"
#include "os/parting.h"
#include "os/process.h"
#include "os/signals.h"
#include "peer/peer.h"
#include "peer/proxy_client.h"
#include "peer/ucspi.h"

#define AUTH_TIMESTAMP_OCTETS 128
#define AUTH_GRACE_MS 5000              /* from SIGTERM to SIGKILL */
#define AUTH_UPDATE_MS (10 * 60 * 1000) /* the same for a session that uses the processor */
#define AUTH_LOOK_MS 50                 /* how often to look for the mark of a session */
#define AUTH_STATUS_READS 1024
#define AUTH_SLACK_MS                                                                          \
	500 /* the greeter ends itself at the login time-out; more than this is late */

/* What the last step left of the connection. */
enum connection {
	CONNECTION_OPEN,
	CONNECTION_OVER,
};

/* What a checker, or the session that it became, came to. */
enum checker_end {
	CHECKER_ENDED,  /* it exited, or somebody else ended it */
	CHECKER_KILLED, /* this process ended it, or could not and left it */
};

struct auth {
	struct settings *options;
	struct peer peer;
	struct invocation invocation;
	struct greeter greeter;
	bool logs_stderr;
	bool logged_in;
	bool follows_client; /* its end matters to the session that runs */
	int64_t deadline_ms; /* of the login */
	struct checker checker;
	struct watch watch; /* of the session */
	struct checker_log checker_log;
	int exec_errno;         /* why the checker could not be started, or 0 */
	int exit_status;        /* of the session */
	sigset_t while_waiting; /* the signal mask during ppoll: signals arrive only then */
	char timestamp[AUTH_TIMESTAMP_OCTETS];
};

/* Decides which logins are offered, and makes the command line and environment of checkers
 * accordingly. Called again when STLS or a proxy's header changes what is known. */
static bool prepare_checkers(struct auth *m)
{
	struct settings *const o = m->options;

	o->found.local = peer_is_local(&m->peer);
	o->found.client_ip = m->peer.remote_ip;
	o->found.offered = options_offer(o);
	if (invocation_make(&m->invocation, o, &m->peer))
		return true;
	log_event(LOG_ERR, "configuration problem=checker-command-line-too-long");
	return false;
}

static bool begin_tls(struct auth *m)
{
	if (!ucspi_start_tls()) {
		log_event(LOG_ERR, "tls-not-started ip=%s errno=%d error=\"%s\"",
			peer_ip(&m->peer), errno, strerror(errno));
		return false;
	}
	handover_unmark_connection();
	m->options->found.tls = true;
	m->options->found.stls = false;
	return prepare_checkers(m);
}

static bool take_proxied(struct auth *m, const struct request *request)
{
	struct settings *const o = m->options;
	struct proxy_client proxied;

	memcpy(&proxied, request->octets, sizeof proxied);
	if (!proxy_client_is_valid(&proxied)) {
		log_event(LOG_ERR, "greeter-misbehaves ip=%s when=PROXY", peer_ip(&m->peer));
		return false;
	}
	m->greeter.is_for_proxy = proxy_client_is_proxy(&proxied, &m->peer);
	proxy_client_apply(&proxied, &m->peer);
	options_meet_proxy(o, proxied.tls);
	return prepare_checkers(m);
}

static void send_verdict(struct auth *m, enum request_verdict verdict)
{
	const unsigned char octet = (unsigned char)verdict;

	if (send(m->greeter.fd, &octet, 1, MSG_NOSIGNAL) != 1)
		kill(m->greeter.pid, SIGKILL); /* it listens no more */
}

/* Serves a request without credentials: a proxy's header, or STLS. */
static enum connection change_connection(struct auth *m, const struct request *request)
{
	const bool taken =
		request->kind == MECHANISM_PROXY ? take_proxied(m, request) : begin_tls(m);

	if (taken) {
		send_verdict(m, VERDICT_GRANTED);
		return CONNECTION_OPEN;
	}
	greeter_end(&m->greeter, 0, &m->while_waiting);
	m->exit_status = 111;
	return CONNECTION_OVER;
}

static void log_failure(const struct auth *m, enum request_verdict verdict, int wait_status)
{
	const bool died = WIFSIGNALED(wait_status);
	const int number = died ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);

	if (verdict == VERDICT_REFUSED)
		log_event(LOG_NOTICE, "login-failed ip=%s port=%s user=%s", peer_ip(&m->peer),
			peer_port(&m->peer), log_user());
	else if (m->exec_errno != 0)
		log_event(LOG_ERR, "checker-not-started ip=%s program=%s errno=%d error=\"%s\"",
			peer_ip(&m->peer), m->invocation.arguments[0], m->exec_errno,
			strerror(m->exec_errno));
	else
		log_event(LOG_ERR, "checker-failed ip=%s program=%s %s=%d%s user=%s",
			peer_ip(&m->peer), m->invocation.arguments[0],
			died ? "signal" : "status", number,
			number == 0 ? " problem=ran-no-session" : "", log_user());
}

/* Called when the session runs: the greeter must not touch the connection any more. session is
 * the process of the session, or 0 if it is not known; it is then probably that of the checker.
 */
static void admit_client(struct auth *m, pid_t session)
{
	const struct settings *const o = m->options;

	m->logged_in = true;
	log_event(LOG_INFO, "login ip=%s port=%s user=%s tls=%s", peer_ip(&m->peer),
		peer_port(&m->peer), log_user(), o->found.tls ? "yes" : "no");
	greeter_end(&m->greeter, 0, &m->while_waiting);
	m->follows_client = session > 0;
	watch_start(&m->watch, session > 0 ? session : m->checker.pid,
		session > 0 && o->asked.exec_text == NULL ? o->asked.idle_seconds * 1000 : -1);
	confine_monitor();
}

/* Reads the status descriptor: it brings the message of the session, or the errno of a failed
 * exec, or the end of the file. */
static void take_status(struct auth *m)
{
	union {
		struct handover handover;
		int error_number;
	} message;
	const ssize_t length = read(m->checker.status_fd, &message, sizeof message);

	_Static_assert(sizeof message.handover != sizeof message.error_number,
		"the length tells them apart");
	if (length == (ssize_t)sizeof message.error_number)
		m->exec_errno = message.error_number;
	else if (length > 0 && message.handover.runs == HANDOVER_SESSION_RUNS && !m->logged_in)
		admit_client(m,
			length == (ssize_t)sizeof message.handover ? message.handover.pid : 0);
	if (length <= 0 || m->logged_in)
		checker_close_end(&m->checker.status_fd);
}

/* What ended a wait. */
enum event {
	EVENT_TIME,    /* the deadline */
	EVENT_GREETER, /* it says something, or is gone */
	EVENT_OTHER,   /* the checker did something, or a signal came */
};

static enum event wait_event(struct auth *m, int64_t deadline_ms)
{
	const bool follows_client = m->follows_client && m->watch.runs && !m->watch.client_gone;
	struct pollfd polled[] = {{.fd = m->checker.status_fd, .events = POLLIN},
		{.fd = m->checker.stderr_fd, .events = POLLIN},
		{.fd = m->greeter.fd, .events = POLLIN},
		{.fd = follows_client ? 0 : -1, .events = POLLRDHUP}};
	const int timeout_ms = clock_poll_timeout(deadline_ms);
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	const int ready = ppoll(polled, sizeof polled / sizeof *polled,
		timeout_ms < 0 ? NULL : &timeout, &m->while_waiting);

	if (ready <= 0)
		return ready == 0 ? EVENT_TIME : EVENT_OTHER;
	if (polled[0].revents != 0)
		take_status(m);
	if (polled[1].revents != 0 && !checker_log_read(&m->checker_log, m->checker.stderr_fd))
		checker_close_end(&m->checker.stderr_fd);
	if (polled[3].revents != 0)
		watch_lose_client(&m->watch);
	return polled[2].revents != 0 && !m->logged_in ? EVENT_GREETER : EVENT_OTHER;
}

/* Reads what is left on the status descriptor after the checker has exited. */
static void drain_status(struct auth *m)
{
	struct pollfd polled = {.events = POLLIN};

	/* what a checker left running may write there without an end */
	for (unsigned i = 0; i < AUTH_STATUS_READS && m->checker.status_fd >= 0; i++) {
		polled.fd = m->checker.status_fd;
		if (poll(&polled, 1, 0) <= 0)
			return;
		take_status(m);
	}
}

/* When to wake up, deadline_ms at the latest. A checker may close the status descriptor; the
 * session then marks the connection instead, and only looking shows that mark. */
static int64_t next_look(const struct auth *m, int64_t deadline_ms)
{
	const int64_t soon_ms = clock_now_ms() + AUTH_LOOK_MS;
	const bool deaf = m->checker.status_fd < 0 && !m->logged_in;

	return deaf && soon_ms < deadline_ms ? soon_ms : deadline_ms;
}

static void look_for_mark(struct auth *m)
{
	if (m->checker.status_fd < 0 && !m->logged_in && handover_connection_is_marked())
		admit_client(m, 0);
}

/* Whether the checker still runs at the login time-out; if so, logs it. */
static bool checker_is_overdue(const struct auth *m)
{
	if (m->logged_in || clock_now_ms() < m->deadline_ms)
		return false;
	log_event(LOG_WARNING,
		"checker-killed ip=%s reason=login-timeout seconds=%lld program=%s",
		peer_ip(&m->peer), (long long)m->options->asked.login_seconds,
		m->invocation.arguments[0]);
	return true;
}

/* Whether the session is stopped or waits for a file server, so that it cannot end itself; if
 * so, logs it. */
static bool session_is_stuck(struct auth *m)
{
	const enum watch_finding found = watch_look(&m->watch);

	if (found == WATCH_GOOD)
		return false;
	log_event(LOG_WARNING, "session-killed ip=%s reason=%s seconds=%lld user=%s",
		peer_ip(&m->peer), found == WATCH_CLIENT_GONE ? "client-gone" : "stalled",
		(long long)((clock_now_ms() - m->watch.moved_ms) / 1000), log_user());
	return true;
}

/* The first signal to send to the checker or session, or 0 if it may go on. */
static int signal_to_end(struct auth *m, enum event event)
{
	if (signals_end() != 0)
		return signals_end();
	if (event == EVENT_GREETER || checker_is_overdue(m))
		return SIGKILL;
	return m->logged_in && session_is_stuck(m) ? SIGKILL : 0;
}

/* Whether what did not end in time may have more of it: a session blocks the signals during the
 * update, so that it removes all messages that it was to remove, or none. */
static bool may_finish(struct auth *m, int64_t since_ms)
{
	return m->logged_in && watch_has_moved(&m->watch) &&
	       clock_now_ms() - since_ms < AUTH_UPDATE_MS;
}

/* Kills what is still there when the grace is over. Returns false if that does not help: a
 * process that was killed and stays waits for a file server or a disk. */
static bool kill_late(struct auth *m, bool *killed)
{
	if (*killed) {
		log_event(LOG_ERR, "process-unkillable ip=%s pid=%ld user=%s",
			peer_ip(&m->peer), (long)m->checker.pid, log_user());
		return false;
	}
	*killed = checker_kill(&m->checker, SIGKILL);
	return *killed;
}

/* Waits until the checker that was sent a signal is gone: kills it when the grace is over,
 * unless it is a session that works. One that cannot be killed is left. */
static enum checker_end await_end(struct auth *m, int *wait_status, int signal_number)
{
	const int64_t since_ms = clock_now_ms();
	int64_t deadline_ms = since_ms + AUTH_GRACE_MS;
	bool killed = signal_number == SIGKILL;

	if (!checker_kill(&m->checker, signal_number))
		return CHECKER_KILLED; /* somebody else by now: the end of the connection ends
					  it */
	watch_has_moved(&m->watch);
	while (waitpid(m->checker.pid, wait_status, WNOHANG) == 0) {
		wait_event(m, next_look(m, deadline_ms));
		look_for_mark(m);
		if (clock_now_ms() < deadline_ms)
			continue;
		if ((killed || !may_finish(m, since_ms)) && !kill_late(m, &killed))
			break;
		deadline_ms = clock_now_ms() + AUTH_GRACE_MS;
	}
	return CHECKER_KILLED;
}

/* Follows the checker, and the session that it may become, until it exits, and sets its status.
 * It is ended at the login timeout, when a signal asks for it, when the greeter is gone or
 * speaks when it should listen, and when the session does nothing any more. */
static enum checker_end follow_checker(struct auth *m, int *wait_status)
{
	enum checker_end end = CHECKER_ENDED;

	*wait_status = 0;
	while (end == CHECKER_ENDED && waitpid(m->checker.pid, wait_status, WNOHANG) == 0) {
		const enum event event = wait_event(m,
			m->logged_in ? watch_next_ms(&m->watch) : next_look(m, m->deadline_ms));
		int signal_number;

		look_for_mark(m);
		signal_number = signal_to_end(m, event);
		if (signal_number != 0)
			end = await_end(m, wait_status, signal_number);
	}
	drain_status(m);
	look_for_mark(m);
	return end;
}

/* Ends the connection: the greeter sent something out of turn or forbidden, or is gone. */
static void end_misbehaving(struct auth *m, const char *when)
{
	log_event(LOG_ERR, "greeter-misbehaves ip=%s when=%s", peer_ip(&m->peer), when);
	kill(m->greeter.pid, SIGKILL);
}

/* Waits for the rest of --fail-delay, counted from the start of the login, so that the time of
 * the answer does not show how long the checker took. */
static enum connection wait_out_delay(struct auth *m, int64_t since_ms)
{
	const int64_t step_ms = m->options->asked.fail_delay_seconds * 1000 * m->greeter.tries;
	int64_t until_ms = since_ms + step_ms;
	enum event event;

	/* if the checker took longer, its time is rounded up to a multiple of the delay */
	while (step_ms > 0 && until_ms < clock_now_ms())
		until_ms += step_ms;
	if (until_ms > m->deadline_ms)
		until_ms = m->deadline_ms;
	do
		event = wait_event(m, until_ms);
	while (event == EVENT_OTHER && signals_end() == 0);
	if (event == EVENT_GREETER)
		end_misbehaving(m, "delay");
	return event == EVENT_TIME ? CONNECTION_OPEN : CONNECTION_OVER;
}

/* Logs the end of a session that could not log it itself. */
static void log_session_end(const struct auth *m, enum checker_end end, int wait_status)
{
	if (end == CHECKER_ENDED && WIFSIGNALED(wait_status))
		log_event(LOG_ERR, "session-died ip=%s signal=%d%s user=%s", peer_ip(&m->peer),
			WTERMSIG(wait_status), process_death_note(wait_status), log_user());
	else if (end == CHECKER_KILLED && signals_end() != 0)
		log_event(LOG_INFO, "session-ended ip=%s signal=%d%s user=%s",
			peer_ip(&m->peer), signals_end(), process_death_note(wait_status),
			log_user());
}

/* Waits for the end of a checker that was started, and of the session that it may become. While
 * the connection is open, *verdict is what the checker's end means. */
static enum connection finish_checker(struct auth *m, enum request_verdict *verdict)
{
	int wait_status;
	const enum checker_end end = follow_checker(m, &wait_status);

	checker_log_drain(&m->checker_log, m->checker.stderr_fd);
	checker_close(&m->checker);
	m->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 111;
	if (end == CHECKER_KILLED) {
		/* other processes may hold the connection, but the client must see its end */
		shutdown(0, SHUT_RDWR);
		m->exit_status = 111;
		greeter_end(&m->greeter, 0, &m->while_waiting);
	}
	if (m->logged_in)
		log_session_end(m, end, wait_status);
	if (end == CHECKER_KILLED || m->logged_in)
		return CONNECTION_OVER;
	*verdict = m->exec_errno != 0
			   ? VERDICT_MISCONFIGURED
			   : request_verdict_of(wait_status, m->options->asked.refused_status);
	log_failure(m, *verdict, wait_status);
	return CONNECTION_OPEN;
}

static enum connection try_login(struct auth *m, struct request *request)
{
	const int64_t since_ms = clock_now_ms();
	enum request_verdict verdict = VERDICT_TEMPORARY;
	bool started;

	log_set_user(request->octets, request->login_octets);
	m->exec_errno = 0;
	memset(&m->checker_log, 0, sizeof m->checker_log);
	started = checker_start(
		&m->checker, &m->invocation, request, m->timestamp, m->logs_stderr);
	explicit_bzero(
		request, request_length(request)); /* no more octets than these were received */
	if (!started)
		log_event(LOG_ERR, "checker-not-started errno=%d error=\"%s\"", errno,
			strerror(errno));
	else if (finish_checker(m, &verdict) == CONNECTION_OVER)
		return CONNECTION_OVER;
	if (wait_out_delay(m, since_ms) == CONNECTION_OVER)
		return CONNECTION_OVER;
	send_verdict(m, verdict);
	return CONNECTION_OPEN;
}

static bool request_may_come(struct auth *m, const struct request *request)
{
	struct request_limits limits = request_limits_of(m->options, m->timestamp);

	limits.tries = m->greeter.tries + 1;
	limits.names = m->greeter.names + 1;
	m->greeter.tries += request_is_login(request);
	m->greeter.names += request->kind == REQUEST_NAMES_USER;
	return request_permitted(request, &limits);
}

/* Receives the greeter's next request. The connection is over if the greeter has ended, or has
 * sent a forbidden request. The greeter ends itself at the login time-out; if it does not, this
 * process ends it. */
static enum connection next_request(struct auth *m, struct request *request)
{
	enum event event;
	ssize_t length;

	do
		event = wait_event(m, m->deadline_ms + AUTH_SLACK_MS);
	while (event == EVENT_OTHER && signals_end() == 0);
	if (event != EVENT_GREETER)
		return CONNECTION_OVER;
	/* MSG_TRUNC: the true length, so that a longer message is seen to be one */
	length = recv(m->greeter.fd, request, sizeof *request, MSG_TRUNC);
	if (length == 0)
		return CONNECTION_OVER;
	if (length >= (ssize_t)REQUEST_LEAST && length == (ssize_t)request_length(request) &&
		request_may_come(m, request))
		return CONNECTION_OPEN;
	explicit_bzero(request, sizeof *request);
	end_misbehaving(m, "request");
	return CONNECTION_OVER;
}

/* Returns the exit status of this process. */
static int serve_logins(struct auth *m)
{
	static struct request request LARGE;
	enum connection connection = CONNECTION_OPEN;

	while (connection == CONNECTION_OPEN && next_request(m, &request) == CONNECTION_OPEN) {
		if (request_is_login(&request))
			connection = try_login(m, &request);
		else if (request.kind == REQUEST_NAMES_USER)
			log_set_user(request.octets, request.login_octets);
		else
			connection = change_connection(m, &request);
	}
	return connection == CONNECTION_OVER ? m->exit_status : 0;
}

/* Whether the peer may send a PROXY header: whoever sends one can claim any address. */
static bool is_trusted(const struct auth *m)
{
	const struct settings *const o = m->options;

	return !o->asked.proxy_protocol || o->asked.proxy_count == 0 ||
	       address_rules_match(o->asked.proxies, o->asked.proxy_count, m->peer.remote_ip);
}

/* Whether a checker started this process. A checker that runs only the first of its arguments
 * starts pop3d without --session. After PASS, that pop3d would greet the client again, with
 * none of the options and with three more tries. */
static bool is_below_a_checker(void)
{
	if (getenv("AUTH_MECHANISM") == NULL)
		return false;
	log_event(LOG_ERR, "configuration problem=checker-dropped-arguments "
			   "help=\"the checker must run its arguments with all of theirs: "
			   "exec $@\"");
	return true;
}

/* RFC 1939 section 7: a msg-id, different each time; and nothing in it that could be guessed.
 */
static bool make_timestamp(struct auth *m)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	snprintf(m->timestamp, sizeof m->timestamp, "<%016llx.%llx@%s>",
		(unsigned long long)random, (unsigned long long)time(NULL),
		m->options->asked.host);
	return true;
}

/* The client may have pipelined octets after its last command. */
static void part_from_client(void)
{
	struct pollfd polled = {.fd = 0, .events = POLLIN};

	if (poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN) != 0)
		parting_await_client(clock_now_ms() + PARTING_MS);
}

int auth_serve(struct settings *o)
{
	static struct auth m LARGE;
	int status;

	if (is_below_a_checker())
		return 100;
	m.greeter.fd = m.checker.status_fd = m.checker.stderr_fd = -1;
	m.options = o;
	m.deadline_ms = clock_now_ms() + o->asked.login_seconds * 1000;
	m.logs_stderr = log_stderr_is_clients();
	peer_lookup(&m.peer, 0);
	o->found.tls = m.peer.tls;
	o->found.proxy_awaited = o->asked.proxy_protocol;
	m.greeter.ip = peer_ip(&m.peer);
	if (!is_trusted(&m)) {
		log_event(peer_has_left(0) ? LOG_DEBUG : LOG_NOTICE, "proxy-not-trusted ip=%s",
			peer_ip(&m.peer));
		return 0;
	}
	handover_unmark_connection();
	if (!prepare_checkers(&m))
		return 100;
	if (!make_timestamp(&m) || !greeter_start(&m.greeter, o, m.timestamp, m.deadline_ms)) {
		log_event(LOG_ERR, "no-greeter errno=%d error=\"%s\"", errno, strerror(errno));
		return 111;
	}
	/* now, so that the greeter has no handlers of signals */
	signals_take(&m.while_waiting);
	status = serve_logins(&m);
	greeter_end(&m.greeter, AUTH_GRACE_MS, &m.while_waiting);
	if (signals_end() == 0)
		part_from_client();
	return signals_end() != 0 ? 128 + signals_end() : status;
}
