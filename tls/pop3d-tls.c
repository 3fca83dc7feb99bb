/* pop3d-tls: does TLS on standard input and output for a program that it starts.
 *
 * Two processes. The one that the superserver started and counts is the engine: it reads
 * certificates and keys, gives up its privileges, talks to the client, and ends with the
 * program's status when both are done. The other one, the keeper, becomes the program. With
 * --starttls and --cert-dir a second keeper hands out certificates. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/confine.h"
#include "os/clock.h"
#include "os/handover.h"
#include "os/log.h"
#include "os/process.h"
#include "os/relro.h"
#include "os/wait.h"
#include "peer/peer.h"
#include "peer/proxy_client.h"
#include "peer/proxy_read.h"
#include "tls/check.h"
#include "tls/engine.h"
#include "tls/keeper.h"
#include "tls/options.h"
#include "tls/report.h"
#include "tls/tls.h"

#define EXIT_REFUSED 1
#define EXIT_MISUSED 100
#define EXIT_TROUBLE 111
#define EXIT_SIGNAL 128

#define REASON_OCTETS 256

/* The engine's ends of all descriptors and processes; -1 or 0 if there is none. */
struct connection {
	const struct tls_options *options;
	struct peer peer;
	pid_t program_pid, files_pid;
	int gate, files_gate; /* to the keepers */
	int channel, control; /* to the program */
};

static volatile sig_atomic_t end_signal;

/* The client's connection ends, and everything else goes its ordinary way from there. */
static void on_signal(int signal_number)
{
	const int saved_errno = errno;

	end_signal = signal_number;
	if (shutdown(0, SHUT_RDWR) != 0)
		_exit(EXIT_SIGNAL + signal_number);
	errno = saved_errno;
}

static void take_signals(void)
{
	static const int taken[] = {SIGTERM, SIGHUP, SIGINT};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		sigaction(taken[i], &action, NULL);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_files(struct connection *c)
{
	if (c->files_gate >= 0 && c->files_pid > 0) {
		close_end(&c->files_gate);
		(void)process_await(c->files_pid);
	}
	c->files_gate = -1;
	c->files_pid = 0;
}

/* Closes the descriptors that lead to other processes, and returns the program's status. */
static int end_program(struct connection *c)
{
	int wait_status;

	close_end(&c->gate);
	end_files(c);
	close_end(&c->control);
	close_end(&c->channel);
	wait_status = process_await(c->program_pid);
	if (end_signal != 0)
		return EXIT_SIGNAL + end_signal;
	if (WIFSIGNALED(wait_status))
		return EXIT_SIGNAL + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

/* Nothing was said to the client, and nothing will be. */
static int give_up(struct connection *c, int status)
{
	end_program(c);
	return end_signal != 0 ? EXIT_SIGNAL + end_signal : status;
}

static void prepare_client(void)
{
	const int on = 1;

	/* the second record of a reply must not wait for the acknowledgement of the first */
	setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* No other flag of a socket or pipe counts here, and the engine's filter takes no other: musl's
 * fcntl would add one. */
static bool never_block(int fd)
{
	return syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Starts a keeper. close_too names the engine's descriptors that the keeper must not have. */
static pid_t start_keeper(struct keeper *k, const int *close_too, size_t count)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < count; i++)
		if (close_too[i] >= 0)
			close(close_too[i]);
	keeper_run(k);
}

static bool pair_of(int kind, int *ours, int *theirs)
{
	int ends[2];

	if (socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	*ours = ends[0];
	*theirs = ends[1];
	return true;
}

static bool start_program(struct connection *c, mode_t inherited_umask)
{
	struct keeper k = {.options = c->options,
		.peer = &c->peer,
		.gate = -1,
		.channel = -1,
		.control = -1,
		.umask = inherited_umask};
	bool good = pair_of(SOCK_SEQPACKET, &c->gate, &k.gate) &&
		    pair_of(SOCK_STREAM, &c->channel, &k.channel) &&
		    (!c->options->starttls || pair_of(SOCK_STREAM, &c->control, &k.control));

	if (good) {
		const int ours[] = {c->gate, c->channel, c->control};

		c->program_pid = start_keeper(&k, ours, sizeof ours / sizeof *ours);
	}
	good = good && c->program_pid > 0 && never_block(c->channel);
	close_end(&k.gate);
	close_end(&k.channel);
	close_end(&k.control);
	c->files_gate = c->gate;
	return good;
}

/* The program takes its keeper away with it: here certificates are needed later. */
static bool start_files(struct connection *c)
{
	struct keeper k = {
		.options = c->options, .peer = &c->peer, .channel = -1, .control = -1};
	bool good = pair_of(SOCK_SEQPACKET, &c->files_gate, &k.gate);

	if (!good)
		return false;
	{
		const int not_its_own[] = {
			c->gate, c->channel, c->control, c->files_gate, 0, 1};

		c->files_pid =
			start_keeper(&k, not_its_own, sizeof not_its_own / sizeof *not_its_own);
	}
	close_end(&k.gate);
	return c->files_pid > 0;
}

/* After this the process has no privileges. */
static bool lock_in(const struct tls_options *o)
{
	if (confine_engine(o->engine_uid, o->engine_gid, !log_stderr_is_clients()))
		return true;
	log_event(LOG_ERR, "tls-no-jail errno=%d error=\"%s\"", errno, strerror(errno));
	return false;
}

static void log_failure(const struct connection *c, int priority, const char *reason)
{
	if (end_signal == 0)
		log_event(
			priority, "tls-failed ip=%s reason=\"%s\"", peer_ip(&c->peer), reason);
}

/* A proxy looks every few seconds whether the port is served, and leaves without a word. After
 * STLS that is something else. */
static bool is_check(const struct connection *c, const struct tls *t, enum tls_verdict verdict)
{
	return verdict == TLS_REFUSED && !c->options->starttls && !tls_has_input(t);
}

static void log_end(const struct connection *c, enum engine_end end)
{
	static const char *const names[] = {
		NULL, "tls-truncated", "tls-stalled", "tls-abused", "tls-broken"};

	_Static_assert(sizeof names / sizeof *names == ENGINE_BROKEN + 1, "one for each end");
	if (names[end] != NULL && end_signal == 0)
		log_event(LOG_INFO, "%s ip=%s", names[end], peer_ip(&c->peer));
}

/* Reads a proxy's header, which comes before the handshake and in clear text. */
static bool meet_proxy(struct connection *c, int64_t deadline_ms)
{
	static const char *const problems[] = {[PROXY_READ_NOTHING] = "no-octet",
		[PROXY_READ_EOF] = "connection-ended",
		[PROXY_READ_TIMEOUT] = "timeout",
		[PROXY_READ_BROKEN] = "connection-broken"};
	struct proxy_header header = {.reason = NULL};
	const enum proxy_read found = proxy_read(0, deadline_ms, &header);
	struct proxy_client proxied;

	if (found != PROXY_READ_COMPLETE) {
		if (end_signal == 0)
			log_event(found == PROXY_READ_NOTHING ? LOG_DEBUG : LOG_INFO,
				"tls-no-proxy-header ip=%s reason=\"%s\"", peer_ip(&c->peer),
				found == PROXY_READ_WRONG ? header.reason : problems[found]);
		return false;
	}
	proxied = proxy_client_of(&header);
	proxy_client_apply(&proxied, &c->peer);
	return true;
}

/* Does the handshake and everything else that needs keys. */
static enum tls_verdict greet(struct connection *c, struct tls *t)
{
	char reason[REASON_OCTETS] = "";
	enum tls_verdict verdict = TLS_MISCONFIGURED;
	const int64_t deadline_ms = clock_now_ms() + c->options->handshake_seconds * 1000;

	if (!never_block(0) || !never_block(1))
		log_failure(c, LOG_INFO, strerror(errno));
	else if (c->options->proxy_protocol && !meet_proxy(c, deadline_ms))
		verdict = TLS_NOT_BEGUN;
	else if (tls_open(t))
		verdict = tls_handshake(t, deadline_ms, reason, sizeof reason);
	if (verdict == TLS_REFUSED || verdict == TLS_TIMEOUT)
		log_failure(c, is_check(c, t, verdict) ? LOG_DEBUG : LOG_INFO, reason);
	else if (verdict == TLS_ESTABLISHED)
		tls_report_agreement(t, peer_ip(&c->peer));
	tls_forget_keys(t);
	return verdict;
}

static int move_octets(struct connection *c, struct tls *t)
{
	const enum engine_end end = engine_run(t, c->channel);

	c->channel = -1;
	close(0);
	close(1);
	log_end(c, end);
	return end_program(c);
}

/* Writes the variables that describe a proxy's client; returns their length. */
static size_t add_peer(const struct connection *c, char *variables, size_t room)
{
	size_t length = 0;
	const struct peer *const p = &c->peer;
	const char *const pairs[][2] = {{"PROTO", p->protocol}, {"TCPREMOTEIP", p->remote_ip},
		{"TCPREMOTEPORT", p->remote_port}, {"TCPLOCALIP", p->local_ip},
		{"TCPLOCALPORT", p->local_port}};

	for (size_t i = 0; p->proxied && i < sizeof pairs / sizeof *pairs; i++) {
		const int octets = snprintf(
			variables + length, room - length, "%s=%s", pairs[i][0], pairs[i][1]);

		if (pairs[i][1][0] != '\0' && octets > 0 && (size_t)octets < room - length)
			length += (size_t)octets + 1;
	}
	return length;
}

/* Port 995: the program begins when the handshake is over. */
static int serve_at_once(struct connection *c, struct tls *t)
{
	char variables[KEEPER_VARIABLES_OCTETS];
	const enum tls_verdict verdict = greet(c, t);
	size_t length;

	if (verdict != TLS_ESTABLISHED)
		return give_up(c, verdict == TLS_MISCONFIGURED ? EXIT_TROUBLE : EXIT_REFUSED);
	length = add_peer(c, variables, sizeof variables);
	length += tls_report_variables(t, variables + length, sizeof variables - length);
	if (!keeper_begin(c->gate, variables, length))
		return give_up(c, EXIT_TROUBLE);
	close_end(&c->gate);
	return move_octets(c, t);
}

/* Sends the variables on the control descriptor if the program has asked for them. */
static void answer_control(struct connection *c, const struct tls *t, char octet)
{
	char variables[KEEPER_VARIABLES_OCTETS + 1];

	if (octet == 'Y') {
		const size_t length = tls_report_variables(t, variables, sizeof variables - 1);

		variables[length] = '\0';
		send(c->control, variables, length + 1, MSG_NOSIGNAL);
	}
	close_end(&c->control);
}

/* Waits for the octet on the control descriptor; NUL if the program ends without TLS. */
static char read_control(const struct connection *c)
{
	char octet;
	ssize_t got;

	do
		got = recv(c->control, &octet, 1, 0);
	while (got < 0 && errno == EINTR);
	return (char)(got == 1 ? octet : '\0');
}

/* UCSPI-TLS: the program talks to the client itself until it asks for TLS. */
static int serve_when_asked(struct connection *c, struct tls *t)
{
	enum tls_verdict verdict;
	char octet;

	if (!keeper_begin(c->gate, "", 0))
		return give_up(c, EXIT_TROUBLE);
	close_end(&c->gate);
	octet = read_control(c);
	if (octet != 'y' && octet != 'Y') {
		if (octet != '\0') {
			log_event(LOG_ERR, "tls-misused ip=%s problem=\"octet %d on SSLCTLFD\"",
				peer_ip(&c->peer), octet);
			shutdown(0, SHUT_RDWR);
		}
		close(0);
		close(1);
		return octet == '\0' ? end_program(c) : give_up(c, EXIT_MISUSED);
	}
	verdict = greet(c, t);
	end_files(c);
	if (verdict != TLS_ESTABLISHED) {
		/* the program reads the end of the connection; its status becomes ours */
		shutdown(0, SHUT_RDWR);
		close(0);
		close(1);
		return end_program(c);
	}
	answer_control(c, t, octet);
	return move_octets(c, t);
}

static int serve(struct connection *c)
{
	const struct tls_options *const o = c->options;
	static struct tls_material material;
	struct tls t = {.options = o, .material = &material};

	if (!tls_material_read(&material, o) || !tls_prepare(&t) || !lock_in(o))
		return give_up(c, EXIT_TROUBLE);
	t.files = c->files_gate;
	return o->starttls ? serve_when_asked(c, &t) : serve_at_once(c, &t);
}

static int system_trouble(struct connection *c)
{
	log_event(LOG_ERR, "tls-system errno=%d error=\"%s\"", errno, strerror(errno));
	return give_up(c, EXIT_TROUBLE);
}

int main(int argc, char **argv)
{
	static struct tls_options o = {
		.handshake_seconds = 30, .engine_uid = 65534, .engine_gid = 65534};
	static struct connection c = {
		.options = &o, .gate = -1, .files_gate = -1, .channel = -1, .control = -1};
	const bool tables_are_read_only = relro_apply();
	const mode_t inherited_umask = umask(077);
	const bool descriptors_ready = process_reset();
	const int status = tls_options_parse(&o, argv);

	(void)argc;
	if (!tables_are_read_only)
		return EXIT_TROUBLE;
	if (status >= 0)
		return status;
	if (o.check_host != NULL)
		return tls_check(&o);
	if (!descriptors_ready)
		return tls_options_usage("descriptors 0 and 1 must be open", argv[0]);
	process_close_others(1, 0);
	log_open(o.syslog);
	handover_begin_session();
	/* without it the program's lines have an id of their own */
	if (setenv("POP3D_SESSION", log_session(), 1) != 0)
		log_event(LOG_WARNING, "tls-system errno=%d error=\"%s\"", errno,
			strerror(errno));
	if (o.debug)
		log_show_debug();
	peer_lookup(&c.peer, 0);
	if (o.proxy_count > 0 &&
		!address_rules_match(o.proxies, o.proxy_count, c.peer.remote_ip)) {
		log_event(peer_has_left(0) ? LOG_DEBUG : LOG_NOTICE, "proxy-not-trusted ip=%s",
			peer_ip(&c.peer));
		return EXIT_REFUSED;
	}
	prepare_client();
	if (!start_program(&c, inherited_umask) ||
		(o.starttls && o.cert_dir != NULL && !start_files(&c)))
		return system_trouble(&c);
	take_signals();
	/* nothing is left to do at an ordinary end, which visits each library */
	_exit(serve(&c));
}
