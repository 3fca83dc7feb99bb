/* load: drives a POP3 server with many sessions at once and measures it; Linux only. The
 * server listens on TCP already, or load starts it for each session with one end of a TCP
 * connection as descriptors 0 and 1, as a superserver does. The figures go to standard output
 * as one line of JSON. Exit status 1: a session failed; 2: wrong use. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "talk.h"

#define RECEIVE_OCTETS (256 * 1024)
#define EVENTS 64
#define ARGUMENTS 64

extern char **environ;

struct link {
	int fd;
	bool open, connecting, wants_write;
	struct talk talk;
};

struct load {
	struct talk_plan plan;
	struct figures figures;
	unsigned first_user, last_user, next_user;
	unsigned sessions, at_once, begun, ended;
	int timeout_seconds;
	double arrivals; /* sessions a second at random times; 0: as soon as one may begin */
	int64_t due_ns;  /* when the next one arrives */
	unsigned short dice[3];
	bool values;               /* figures with all their values */
	struct sockaddr_in server; /* where nothing is started: the listener of ours */
	char *start[ARGUMENTS + 1];
	int listener, poll_fd;
	unsigned unreaped;
	struct link *links;
	char *octets;
};

static const char usage_text[] =
	"usage: load [options]\n"
	"  --address A       IPv4 address of the server (127.0.0.1)\n"
	"  --arrivals RATE   sessions a second that arrive at random (Poisson); their times "
	"begin\n"
	"                    when they arrive, also if they wait for one of --at-once to end\n"
	"  --at-once N       sessions at a time (1)\n"
	"  --logged-in       the server is a session program: no USER, no PASS\n"
	"  --password P      (secret)\n"
	"  --port N          of the server (110)\n"
	"  --scenario NAME   login, poll, retr, top, idle (all sessions at a time, until "
	"standard\n"
	"                    input ends) or raw (read to the end of file)\n"
	"  --seed N          of the random times (1)\n"
	"  --sessions N      in all (1)\n"
	"  --start 'P A'     start this program for each session, no server\n"
	"  --timeout S       seconds without any progress that are too many (60)\n"
	"  --top-lines N     of the body, for top (0)\n"
	"  --unchecked       see only where a message ends, not whether its lines are right\n"
	"  --user PATTERN    '%' stands for the number of the user (u%)\n"
	"  --users A-B       numbers of users, taken in turn (1-1)\n"
	"  --values          print every value of the times of sessions, and of their CPU\n"
	"  --window N        messages asked for at once (1)\n";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void misuse(const char *what)
{
	fprintf(stderr, "load: %s\n%s", what, usage_text);
	exit(2);
}

static void link_close(struct load *l, struct link *link, bool good)
{
	close(link->fd);
	link->fd = -1;
	link->open = false;
	l->ended++;
	if (good)
		l->figures.sessions++;
	else
		l->figures.failed++;
}

static void link_watch(struct load *l, struct link *link, int operation, bool for_write)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};

	if (for_write)
		event.events |= EPOLLOUT;
	link->wants_write = for_write;
	if (epoll_ctl(l->poll_fd, operation, link->fd, &event) != 0)
		die("epoll_ctl");
}

/* Writes what the script has to send now. */
static void link_speak(struct load *l, struct link *link)
{
	struct talk *const t = &link->talk;

	talk_prompt(t);
	while (t->out_start < t->out_end) {
		const ssize_t sent = send(link->fd, t->out + t->out_start,
			t->out_end - t->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			if (!link->wants_write)
				link_watch(l, link, EPOLL_CTL_MOD, true);
			return;
		}
		if (sent < 0) {
			link_close(l, link, talk_problem(t, "send", strerror(errno)));
			return;
		}
		t->out_start += (size_t)sent;
	}
	t->out_start = t->out_end = 0;
	if (link->wants_write)
		link_watch(l, link, EPOLL_CTL_MOD, false);
}

static void link_listen(struct load *l, struct link *link)
{
	struct talk *const t = &link->talk;
	const ssize_t length = recv(link->fd, l->octets, RECEIVE_OCTETS, MSG_DONTWAIT);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length == 0 || (length < 0 && t->said_bye)) {
		link_close(l, link, talk_end(t));
		return;
	}
	if (length < 0) {
		link_close(l, link, talk_problem(t, "recv", strerror(errno)));
		return;
	}
	if (!talk_hear(t, l->octets, (size_t)length)) {
		link_close(l, link, false);
		return;
	}
	if (!t->said_bye)
		link_speak(l, link);
}

static void link_event(struct load *l, struct link *link, unsigned events)
{
	if (!link->open)
		return;
	if (link->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
		int problem = 0;
		socklen_t length = sizeof problem;

		getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &problem, &length);
		if (problem != 0) {
			link_close(l, link,
				talk_problem(&link->talk, "connect", strerror(problem)));
			return;
		}
		link->connecting = false;
	}
	if ((events & EPOLLOUT) != 0)
		link_speak(l, link);
	if (link->open && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		link_listen(l, link);
}

static int new_socket(int flags)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	const int on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void open_listener(struct load *l)
{
	socklen_t length = sizeof l->server;

	l->server.sin_port = 0;
	l->listener = new_socket(0);
	if (bind(l->listener, (struct sockaddr *)&l->server, length) != 0 ||
		listen(l->listener, 64) != 0 ||
		getsockname(l->listener, (struct sockaddr *)&l->server, &length) != 0)
		die("listen");
}

/* Starts the program of --start with the other end of the connection. */
static void start_program(struct load *l)
{
	const int served = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (served < 0)
		die("accept");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, served, 0);
	posix_spawn_file_actions_adddup2(&actions, served, 1);
	errno = posix_spawnp(&pid, l->start[0], &actions, NULL, l->start, environ);
	if (errno != 0)
		die(l->start[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(served);
	l->unreaped++;
}

static int64_t microseconds(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

/* Counts what the started programs have used, including the children they waited for. */
static void reap(struct load *l, int options)
{
	while (l->unreaped > 0) {
		struct rusage usage;

		if (wait4(-1, NULL, options, &usage) <= 0)
			return;
		l->unreaped--;
		l->figures.reaped++;
		l->figures.user_us += microseconds(usage.ru_utime);
		l->figures.system_us += microseconds(usage.ru_stime);
		l->figures.page_faults += usage.ru_minflt;
		if (l->figures.most_kb < usage.ru_maxrss)
			l->figures.most_kb = usage.ru_maxrss;
		figures_latency(&l->figures, LATENCY_CPU,
			1000 * (microseconds(usage.ru_utime) + microseconds(usage.ru_stime)));
	}
}

static void link_open(struct load *l, struct link *link)
{
	const struct sockaddr *const address = (const struct sockaddr *)&l->server;

	talk_begin(&link->talk, &l->plan, &l->figures, l->next_user);
	l->next_user = l->next_user == l->last_user ? l->first_user : l->next_user + 1;
	l->begun++;
	link->open = true;
	link->fd = new_socket(l->start[0] != NULL ? 0 : SOCK_NONBLOCK);
	link->connecting = connect(link->fd, address, sizeof l->server) != 0;
	if (link->connecting && errno != EINPROGRESS) {
		link_close(l, link, talk_problem(&link->talk, "connect", strerror(errno)));
		return;
	}
	if (l->start[0] != NULL)
		start_program(l);
	link_watch(l, link, EPOLL_CTL_ADD, link->connecting);
}

static unsigned count_held(const struct load *l)
{
	unsigned held = 0;

	for (unsigned i = 0; i < l->at_once; i++)
		held += l->links[i].open && l->links[i].talk.held;
	return held;
}

/* SCENARIO_IDLE: reports when all sessions are logged in, and waits for the end of standard
 * input. */
static void hold(struct load *l)
{
	char octet;

	if (l->plan.scenario != SCENARIO_IDLE || l->begun < l->sessions ||
		count_held(l) + l->ended < l->sessions)
		return;
	fprintf(stderr, "load: holding %u sessions\n", count_held(l));
	while (read(0, &octet, 1) > 0)
		;
	l->plan.scenario = SCENARIO_LOGIN;
	for (unsigned i = 0; i < l->at_once; i++)
		if (l->links[i].open && l->links[i].talk.held)
			link_speak(l, &l->links[i]);
}

/* The next session arrives after a time of the exponential distribution. */
static void draw_arrival(struct load *l)
{
	if (l->arrivals > 0)
		l->due_ns += (int64_t)(-log(1 - erand48(l->dice)) / l->arrivals * 1e9);
}

/* False while the next session has not arrived. */
static bool has_arrived(const struct load *l)
{
	return l->arrivals <= 0 || talk_now_ns() >= l->due_ns;
}

/* Begins a session that has arrived. */
static void admit(struct load *l, struct link *link)
{
	const int64_t due_ns = l->due_ns;

	link_open(l, link);
	if (l->arrivals > 0)
		link->talk.begun_ns = due_ns;
	draw_arrival(l);
}

/* Opens as many sessions as may be open. An idle run has all open at a time but lets only a
 * few log in at once, because other servers refuse a rush of connections. */
static void open_links(struct load *l)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < l->at_once && l->plan.scenario == SCENARIO_IDLE; i++)
		busy += l->links[i].open && !l->links[i].talk.held;
	for (unsigned i = 0; i < l->at_once && l->begun < l->sessions && has_arrived(l); i++) {
		if (l->plan.scenario == SCENARIO_IDLE && busy >= 4)
			return;
		if (l->links[i].open)
			continue;
		admit(l, &l->links[i]);
		busy++;
	}
}

/* Whether the next arrival is the next thing to do. */
static bool awaits_arrival(const struct load *l)
{
	return l->arrivals > 0 && l->begun < l->sessions && l->begun - l->ended < l->at_once;
}

/* Waits for what happens next: an event of a connection, or an arrival. */
static int wait_for_events(struct load *l, struct epoll_event *events)
{
	struct timespec patience = {.tv_sec = l->timeout_seconds};
	int ready;

	if (awaits_arrival(l)) {
		const int64_t wait_ns = l->due_ns - talk_now_ns();

		patience.tv_sec = wait_ns > 0 ? wait_ns / 1000000000 : 0;
		patience.tv_nsec = wait_ns > 0 ? wait_ns % 1000000000 : 0;
	}
	ready = epoll_pwait2(l->poll_fd, events, EVENTS, &patience, NULL);
	if (ready < 0 && errno != EINTR)
		die("epoll_pwait2");
	return ready;
}

static void run(struct load *l)
{
	struct epoll_event events[EVENTS];
	const int64_t begun_ns = talk_now_ns();

	l->due_ns = begun_ns;
	draw_arrival(l);
	while (l->ended < l->sessions) {
		int ready;

		open_links(l);
		ready = wait_for_events(l, events);
		if (ready == 0 && !awaits_arrival(l)) {
			fprintf(stderr, "load: nothing for %d s\n", l->timeout_seconds);
			l->figures.failed += l->sessions - l->ended;
			break;
		}
		for (int i = 0; i < ready; i++)
			link_event(l, events[i].data.ptr, events[i].events);
		reap(l, WNOHANG);
		hold(l);
	}
	l->figures.elapsed_ns = talk_now_ns() - begun_ns;
	reap(l, 0);
}

static void set_start(struct load *l, char *command)
{
	char *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(command, " ", &rest); word != NULL;
		word = strtok_r(NULL, " ", &rest)) {
		if (count == ARGUMENTS)
			misuse("--start: too many arguments");
		l->start[count++] = word;
	}
	if (count == 0)
		misuse("--start: no program");
}

static enum scenario scenario_named(const char *name)
{
	static const char *const names[] = {"login", "poll", "retr", "top", "idle", "raw"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum scenario)i;
	misuse("--scenario: no such scenario");
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);

	if (end == text || (*end != '\0' && *end != '-') || value < least || value > most)
		misuse("a number is missing or out of range");
	return (unsigned)value;
}

static void set_users(struct load *l, const char *range)
{
	const char *const dash = strchr(range, '-');

	l->first_user = l->last_user = number(range, 0, 100000000);
	if (dash != NULL)
		l->last_user = number(dash + 1, l->first_user, 100000000);
}

enum option_code {
	OPTION_ADDRESS = 256,
	OPTION_ARRIVALS,
	OPTION_AT_ONCE,
	OPTION_LOGGED_IN,
	OPTION_PASSWORD,
	OPTION_PORT,
	OPTION_SCENARIO,
	OPTION_SEED,
	OPTION_SESSIONS,
	OPTION_START,
	OPTION_TIMEOUT,
	OPTION_TOP_LINES,
	OPTION_UNCHECKED,
	OPTION_USER,
	OPTION_USERS,
	OPTION_VALUES,
	OPTION_WINDOW,
};

static const struct option long_options[] = {
	{"address", required_argument, NULL, OPTION_ADDRESS},
	{"arrivals", required_argument, NULL, OPTION_ARRIVALS},
	{"at-once", required_argument, NULL, OPTION_AT_ONCE},
	{"logged-in", no_argument, NULL, OPTION_LOGGED_IN},
	{"password", required_argument, NULL, OPTION_PASSWORD},
	{"port", required_argument, NULL, OPTION_PORT},
	{"scenario", required_argument, NULL, OPTION_SCENARIO},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"sessions", required_argument, NULL, OPTION_SESSIONS},
	{"start", required_argument, NULL, OPTION_START},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"top-lines", required_argument, NULL, OPTION_TOP_LINES},
	{"unchecked", no_argument, NULL, OPTION_UNCHECKED},
	{"user", required_argument, NULL, OPTION_USER},
	{"users", required_argument, NULL, OPTION_USERS},
	{"values", no_argument, NULL, OPTION_VALUES},
	{"window", required_argument, NULL, OPTION_WINDOW},
	{NULL, 0, NULL, 0},
};

static void take_option(struct load *l, int code)
{
	switch ((enum option_code)code) {
	case OPTION_ADDRESS:
		if (inet_pton(AF_INET, optarg, &l->server.sin_addr) != 1)
			misuse("--address: not an IPv4 address");
		break;
	case OPTION_ARRIVALS: l->arrivals = number(optarg, 1, 1000000); break;
	case OPTION_AT_ONCE: l->at_once = number(optarg, 1, 10000); break;
	case OPTION_LOGGED_IN: l->plan.logged_in = true; break;
	case OPTION_PASSWORD: l->plan.password = optarg; break;
	case OPTION_PORT: l->server.sin_port = htons((uint16_t)number(optarg, 1, 65535)); break;
	case OPTION_SCENARIO: l->plan.scenario = scenario_named(optarg); break;
	case OPTION_SEED: l->dice[0] = (unsigned short)number(optarg, 0, 65535); break;
	case OPTION_SESSIONS: l->sessions = number(optarg, 1, 100000000); break;
	case OPTION_START: set_start(l, optarg); break;
	case OPTION_TIMEOUT: l->timeout_seconds = (int)number(optarg, 1, 86400); break;
	case OPTION_TOP_LINES: l->plan.top_lines = number(optarg, 0, 1000000); break;
	case OPTION_UNCHECKED: l->plan.checked = false; break;
	case OPTION_USER: l->plan.user = optarg; break;
	case OPTION_USERS: set_users(l, optarg); break;
	case OPTION_VALUES: l->values = true; break;
	case OPTION_WINDOW: l->plan.window = number(optarg, 1, TALK_WINDOW); break;
	}
}

static void parse(struct load *l, int argc, char **argv)
{
	int code;

	while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (code == '?')
			misuse("unknown option");
		take_option(l, code);
	}
	if (optind < argc)
		misuse("only options are known");
	if (strlen(l->plan.user) > 100 || strlen(l->plan.password) > 100)
		misuse("user or password is too long");
	if (!l->plan.checked && l->plan.window > 1)
		misuse("--unchecked needs a window of 1");
	if (l->plan.scenario == SCENARIO_IDLE)
		l->at_once = l->sessions;
}

int main(int argc, char **argv)
{
	static struct load l = {
		.plan = {.user = "u%", .password = "secret", .window = 1, .checked = true},
		.first_user = 1,
		.last_user = 1,
		.sessions = 1,
		.at_once = 1,
		.dice = {1},
		.timeout_seconds = 60,
		.server = {.sin_family = AF_INET},
	};
	struct rlimit files;

	l.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l.server.sin_port = htons(110);
	parse(&l, argc, argv);
	l.next_user = l.first_user;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	l.poll_fd = epoll_create1(EPOLL_CLOEXEC);
	l.links = calloc(l.at_once, sizeof *l.links);
	l.octets = malloc(RECEIVE_OCTETS);
	if (l.poll_fd < 0 || l.links == NULL || l.octets == NULL)
		die("no room");
	if (l.start[0] != NULL)
		open_listener(&l);
	run(&l);
	figures_print(&l.figures, l.values, stdout);
	if (l.figures.failed > 0)
		fprintf(stderr, "load: %s\n", l.figures.first_problem);
	return l.figures.failed > 0;
}
