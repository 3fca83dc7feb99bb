/* hostile-greeter: pop3d whose greeter is under the control of an attacker, who wants the
 * monitor. It is all of pop3d except login_run, which is replaced. HOSTILE in the environment
 * names what the greeter does. It is one of the plots below, in the greeter's own jail, or
 * "storm SEED CONNECTIONS": that many connections one after another, in each of which the
 * greeter sends messages of every length, type and order at random. In a storm the greeters
 * are not confined, because that would cost more than everything else, and the messages are
 * the same. The result is a line "storm ..." on standard error. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth.h"
#include "auth/login.h"
#include "auth/request.h"
#include "confine/confine.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/process.h"

#define LENGTHS 2001
#define BURST 40
#define ANSWER_MS 5000 /* A monitor that is silent for this long hangs. */
#define SLOW_MS 2000   /* So does one that takes this long to end. */

/* What all processes of a storm count together. */
struct tally {
	unsigned long connections, sent, permitted, too_many, lengths_seen;
	unsigned long slow, killed_by_signal, left_behind;
	int worst_signal;
	unsigned char length_seen[LENGTHS];
};

static struct tally *tally;
static unsigned long connection; /* The number of this connection. */
static unsigned long permitted_here;
static uint64_t random_state;

/* The greeter's buffers, large enough for the longest message. */
static union {
	struct request request;
	unsigned char octets[LENGTHS + sizeof(struct request)];
	uint64_t words[(LENGTHS + sizeof(struct request)) / sizeof(uint64_t)];
} out;

static uint64_t chance(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * 0x2545f4914f6cdd1dU >> 11) % below;
}

static void start_chance(uint64_t seed, uint64_t number)
{
	random_state = (seed + 1) * 0x9e3779b97f4a7c15U + number * 0xd1342543de82ef95U;
	random_state |= 1;
	for (int i = 0; i < 8; i++)
		chance(2);
}

/* -- messages */

static void put_noise(void)
{
	const uint64_t step = chance(UINT64_MAX) | 1;
	uint64_t word = chance(UINT64_MAX);

	for (size_t i = 0; i < sizeof out.words / sizeof *out.words; i++) {
		word = (word ^ word >> 29) * 0xbf58476d1ce4e5b9U + step;
		out.words[i] = word;
	}
}

/* Content that request.h permits: any octets except NUL, CR and LF, and lengths that fit. */
static void put_valid(void)
{
	const size_t room = REQUEST_CREDENTIALS_OCTETS - 160; /* A timestamp comes after it. */
	const size_t total = 2 + (chance(4) == 0 ? room - 2 : chance(room - 2));
	const size_t login = 1 + chance(total - 1);

	put_noise();
	for (size_t i = 0; i < total; i++)
		if (strchr("\r\n", out.request.octets[i]) != NULL) /* and NUL */
			out.request.octets[i] = 'x';
	out.request.kind = (uint16_t)(chance(2) == 0 ? chance(MECHANISM_STLS) : MECHANISM_USER);
	out.request.language = (uint16_t)chance(LANGUAGE_COUNT);
	out.request.login_octets = (uint16_t)login;
	out.request.password_octets = (uint16_t)(total - login);
}

/* A valid message with one mistake, or at the limit of being valid. */
static void put_nearly_valid(void)
{
	static const uint16_t edges[] = {0, 1, 2, 255, 256, 508, 509, 510, 511, 512, 513,
		REQUEST_OCTETS - 1, REQUEST_OCTETS, REQUEST_OCTETS + 1, 0x7fff, 0x8000, 0xfffe,
		0xffff};
	const size_t count = sizeof edges / sizeof *edges;
	struct request *const r = &out.request;
	const size_t used = (put_valid(), (size_t)r->login_octets + r->password_octets);

	switch (chance(7)) {
	case 0: r->kind = (uint16_t)chance(chance(2) == 0 ? MECHANISM_COUNT + 2 : 65536); break;
	case 1: r->language = (uint16_t)chance(chance(2) == 0 ? 5 : 65536); break;
	case 2: r->login_octets = edges[chance(count)]; break;
	case 3: r->password_octets = edges[chance(count)]; break;
	case 4:
		r->login_octets = edges[chance(count)];
		r->password_octets = edges[chance(count)];
		break;
	case 5: r->octets[chance(used)] = "\0\r\n"[chance(3)]; break;
	default: /* Sums that overflow sixteen bits. */
		r->login_octets = (uint16_t)(1 + chance(400));
		r->password_octets = (uint16_t)(65536 - r->login_octets + chance(3));
	}
}

/* The length that a message claims, but no more than the buffer has. */
static size_t said_length(void)
{
	const size_t length = request_length(&out.request);

	return length < sizeof out ? length : sizeof out;
}

/* Prepares a message of any kind. Returns its length. */
static size_t put_message(void)
{
	switch (chance(16)) {
	case 0: put_valid(); return said_length();
	case 1:
	case 2:
	case 3:
	case 4:
	case 5: put_nearly_valid(); return said_length();
	case 6: put_nearly_valid(); return sizeof out.request;
	case 7: put_valid(); return sizeof out.request - 1 + chance(3);
	case 8: put_noise(); return sizeof out.request;
	case 9: put_noise(); return said_length();
	case 10: put_valid(); return said_length() - 1 + 2 * chance(2);
	default: put_valid(); return chance(LENGTHS);
	}
}

/* Returns false if the monitor has ended. */
static bool send_octets(int fd, size_t octets)
{
	if (tally != NULL) {
		/* Before it, because the monitor may answer with SIGKILL. */
		__atomic_add_fetch(&tally->sent, 1, __ATOMIC_RELAXED);
		tally->length_seen[octets < LENGTHS ? octets : 0] = 1;
	}
	return send(fd, out.octets, octets, MSG_NOSIGNAL) == (ssize_t)octets;
}

/* Waits for a verdict. Returns 0 if the monitor has ended, -1 if it is silent. */
static int hear(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	unsigned char verdict;

	if (poll(&polled, 1, ANSWER_MS) != 1)
		return -1;
	return recv(fd, &verdict, 1, MSG_DONTWAIT) == 1 ? verdict : 0;
}

static void pause_ms(int milliseconds)
{
	poll(NULL, 0, milliseconds);
}

static _Noreturn void stay(void)
{
	for (;;)
		pause_ms(1000);
}

/* -- the storm */

/* Valid requests in order, and one more than permitted. */
static void storm_valid(int fd)
{
	for (unsigned i = 0; i < REQUEST_TRIES + 1; i++) {
		put_valid();
		if (!send_octets(fd, said_length()) || hear(fd) <= 0)
			return;
	}
}

/* A valid request, then anything while a checker runs. */
static void storm_while_checking(int fd)
{
	unsigned count;

	put_valid();
	count = 1 + (unsigned)chance(BURST);
	if (!send_octets(fd, said_length()))
		return;
	pause_ms((int)chance(3));
	while (count-- > 0 && send_octets(fd, put_message()))
		;
}

/* A valid request, then anything after the verdict. */
static void storm_after_verdict(int fd)
{
	put_valid();
	if (!send_octets(fd, said_length()) || hear(fd) <= 0)
		return;
	while (send_octets(fd, put_message()) && hear(fd) > 0)
		;
}

/* Many messages at once. */
static void storm_many(int fd)
{
	unsigned count = 2 + (unsigned)chance(BURST);

	while (count-- > 0 && send_octets(fd, put_message()))
		;
}

static void storm_messages(int fd)
{
	/* In the first connections, each length in turn is the first message. */
	if (connection < LENGTHS) {
		put_valid();
		if (send_octets(fd, connection))
			hear(fd);
		return;
	}
	switch (chance(24)) {
	case 0: storm_valid(fd); return;
	case 1: storm_while_checking(fd); return;
	case 2: storm_after_verdict(fd); return;
	case 3: /* The greeter exits without a message, or dies. */
		if (chance(2) == 0)
			kill(getpid(), chance(2) == 0 ? SIGSEGV : SIGKILL);
		return;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9: storm_many(fd); return;
	default: /* One message, and its result. */
		if (send_octets(fd, put_message()))
			hear(fd);
	}
}

/* -- plots */

static void send_good(int fd)
{
	static const char credentials[] = "kermitgeheim";

	memset(&out, 0, sizeof out);
	out.request.kind = MECHANISM_USER;
	out.request.login_octets = 6;
	out.request.password_octets = 6;
	memcpy(out.request.octets, credentials, sizeof credentials - 1);
	send_octets(fd, said_length());
}

static void plot_ignore_deadline(int fd)
{
	(void)fd;
	stay();
}

static void plot_close_and_stay(int fd)
{
	close(fd);
	stay();
}

static void plot_send_nothing_and_stay(int fd)
{
	send_octets(fd, 0);
	stay();
}

static void plot_stay_when_granted(int fd)
{
	send_good(fd);
	hear(fd);
	stay();
}

static void plot_read_on_when_granted(int fd)
{
	char stolen[512];

	send_good(fd);
	hear(fd);
	for (;;)
		if (read(0, stolen, sizeof stolen) <= 0)
			stay();
}

static void plot_talk_while_checked(int fd)
{
	send_good(fd);
	pause_ms(200);
	send_good(fd);
	stay();
}

static void plot_flood_while_checked(int fd)
{
	send_good(fd);
	pause_ms(200);
	for (int i = 0; i < 100000; i++)
		if (send(fd, out.octets, said_length(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
			errno != EAGAIN)
			break;
	stay();
}

static void plot_talk_in_delay(int fd)
{
	send_good(fd);
	pause_ms(500); /* The checker has refused by then, and the delay has begun. */
	send_good(fd);
	hear(fd);
	hear(fd);
	stay();
}

static void plot_four_tries(int fd)
{
	for (int i = 0; i < REQUEST_TRIES + 1; i++) {
		send_good(fd);
		if (hear(fd) <= 0)
			break;
	}
	stay();
}

static const struct plot {
	const char *name;
	void (*run)(int monitor_fd);
} plots[] = {
	{"ignore-deadline", plot_ignore_deadline},
	{"close-and-stay", plot_close_and_stay},
	{"send-nothing-and-stay", plot_send_nothing_and_stay},
	{"stay-when-granted", plot_stay_when_granted},
	{"read-on-when-granted", plot_read_on_when_granted},
	{"talk-while-checked", plot_talk_while_checked},
	{"flood-while-checked", plot_flood_while_checked},
	{"talk-in-delay", plot_talk_in_delay},
	{"four-tries", plot_four_tries},
};

/* -- replacements of pop3d's own functions */

static const char *wish(void)
{
	const char *const text = getenv("HOSTILE");

	return text != NULL ? text : "";
}

__typeof__(login_run) __wrap_login_run;

enum login_end __wrap_login_run(
	const struct settings *o, int monitor_fd, const char *timestamp, int64_t deadline_ms)
{
	(void)o;
	(void)timestamp;
	(void)deadline_ms;
	if (tally != NULL)
		storm_messages(monitor_fd);
	for (size_t i = 0; tally == NULL && i < sizeof plots / sizeof *plots; i++)
		if (strcmp(plots[i].name, wish()) == 0)
			plots[i].run(monitor_fd);
	return LOGIN_EOF;
}

__typeof__(confine_greeter) __real_confine_greeter, __wrap_confine_greeter;

bool __wrap_confine_greeter(uid_t uid, gid_t gid, bool logs)
{
	return tally != NULL || __real_confine_greeter(uid, gid, logs);
}

__typeof__(request_permitted) __real_request_permitted, __wrap_request_permitted;

/* Counts what the monitor permits. */
bool __wrap_request_permitted(
	const struct request *request, const struct request_limits *limits)
{
	const bool permitted = __real_request_permitted(request, limits);

	if (tally == NULL || !permitted)
		return permitted;
	__atomic_add_fetch(&tally->permitted, 1, __ATOMIC_RELAXED);
	if (++permitted_here > REQUEST_TRIES)
		__atomic_add_fetch(&tally->too_many, 1, __ATOMIC_RELAXED);
	return true;
}

__typeof__(auth_serve) __real_auth_serve, __wrap_auth_serve;

/* One connection, in a process like one that the superserver has started. */
static _Noreturn void serve(struct settings *o, uint64_t seed)
{
	char text[32];
	int ends[2];

	start_chance(seed, connection);
	snprintf(text, sizeof text, "%lu", connection);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || dup2(ends[0], 0) < 0 ||
		dup2(ends[0], 1) < 0 || setenv("CONNECTION", text, 1) != 0 ||
		setenv("TCPREMOTEIP", "127.0.0.1", 1) != 0)
		abort();
	close(ends[0]);
	exit(__real_auth_serve(o));
}

/* Processes that the monitor did not end become children of this process. */
static void count_left_behind(void)
{
	pid_t pid;

	for (int i = 0; i < SLOW_MS / 10; i++) {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return;
		if (pid == 0)
			pause_ms(10);
	}
	tally->left_behind++;
}

static void run_connection(struct settings *o, uint64_t seed)
{
	const int64_t begin_ms = clock_now_ms();
	int wait_status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		serve(o, seed);
	if (pid < 0)
		abort();
	waitpid(pid, &wait_status, 0);
	count_left_behind();
	tally->connections++;
	tally->slow += clock_now_ms() - begin_ms > SLOW_MS;
	if (WIFSIGNALED(wait_status)) {
		tally->killed_by_signal++;
		tally->worst_signal = WTERMSIG(wait_status);
	}
}

static int storm(struct settings *o, uint64_t seed, unsigned long connections)
{
	tally = mmap(
		NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		abort();
	for (connection = 0; connection < connections; connection++)
		run_connection(o, seed);
	for (size_t i = 0; i < LENGTHS; i++)
		tally->lengths_seen += tally->length_seen[i];
	fprintf(stderr,
		"storm connections=%lu sent=%lu permitted=%lu too-many=%lu lengths=%lu "
		"slow=%lu "
		"died=%lu signal=%d left-behind=%lu\n",
		tally->connections, tally->sent, tally->permitted, tally->too_many,
		tally->lengths_seen, tally->slow, tally->killed_by_signal, tally->worst_signal,
		tally->left_behind);
	return 0;
}

int __wrap_auth_serve(struct settings *o)
{
	unsigned long seed, connections;

	if (sscanf(wish(), "storm %lu %lu", &seed, &connections) == 2)
		return storm(o, seed, connections);
	return __real_auth_serve(o);
}
