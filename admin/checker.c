/* checker: whether the checkpassword program works; see checks.h. pop3d itself asks it, with
 * the options of the service, in a session of its own that has no client but this program. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/checks.h"
#include "os/clock.h"
#include "os/finding.h"
#include "os/process.h"
#include "os/wait.h"

#define NOBODY "pop3d-check-no-such-login"
#define DEADLINE_MS 60000
#define OUTPUT_OCTETS 16384

/* Our ends of the pipes to the session. */
struct dialogue {
	pid_t pid;
	int input, output, log;
};

struct output {
	char octets[OUTPUT_OCTETS];
	size_t used;
};

/* Options that this session must do without: it has neither a proxy nor a log of its own. */
static bool is_left_out(const char *word, bool *with_value)
{
	*with_value = strcmp(word, "--trusted-proxy") == 0;
	return *with_value || strcmp(word, "--syslog") == 0 ||
	       strcmp(word, "--proxy-protocol") == 0 ||
	       strncmp(word, "--trusted-proxy=", 16) == 0;
}

static void make_arguments(const struct command *c, struct words *w)
{
	char path[1024];

	if (c->pop3d != NULL)
		process_find_program(c->pop3d, path, sizeof path);
	else
		process_find_beside("pop3d", path, sizeof path);
	words_clear(w);
	words_add(w, path, strlen(path));
	for (size_t i = 0; i < c->options.count; i++) {
		bool with_value;

		if (is_left_out(c->options.list[i], &with_value))
			i += with_value;
		else
			words_add(w, c->options.list[i], strlen(c->options.list[i]));
	}
	words_add_text(w, "--fail-delay 0 --");
	words_add_list(w, c->checker.list);
}

/* In the child. A client that came over TLS may log in, whatever the options say. */
static _Noreturn void become_pop3d(struct words *w, const int in, const int out, const int log)
{
	static const char *const foreign[] = {"TCPREMOTEIP", "TCP6REMOTEIP", "SSLREMOTEIP",
		"REMOTE_ADDR", "REMOTE_HOST", "SOCAT_PEERADDR", "NCAT_REMOTE_ADDR",
		"TCPREMOTEADDR", "UCSPITLS"};

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		unsetenv(foreign[i]);
	process_default_signals();
	if (setenv("SSL_PROTOCOL", "TLSv1.3", 1) == 0 && dup2(in, 0) >= 0 &&
		dup2(out, 1) >= 0 && dup2(log, 2) >= 0 && chdir("/") == 0)
		execv(w->list[0], w->list);
	_exit(127);
}

static bool start(struct dialogue *d, struct words *w)
{
	int in[2], out[2], log[2];

	/* a start that fails ends the check: nothing is closed here */
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
		pipe2(log, O_CLOEXEC) != 0)
		return false;
	fflush(stdout);
	d->pid = fork();
	if (d->pid == 0)
		become_pop3d(w, in[0], out[1], log[1]);
	close(in[0]);
	close(out[1]);
	close(log[1]);
	d->input = in[1];
	d->output = out[0];
	d->log = log[0];
	return d->pid > 0;
}

/* Takes what there is; returns false at the end. What does not fit is dropped. */
static bool take(int fd, struct output *o)
{
	char dropped[512];
	const size_t room = sizeof o->octets - 1 - o->used;
	const ssize_t got = room > 0 ? read(fd, o->octets + o->used, room)
				     : read(fd, dropped, sizeof dropped);

	if (got > 0 && room > 0)
		o->used += (size_t)got;
	o->octets[o->used] = '\0';
	return got > 0 || (got < 0 && errno == EINTR);
}

/* Whether the session ended in time; output is what it said, log what it and the checker
 * logged. */
static bool converse(const struct dialogue *d, struct output *output, struct output *log)
{
	static const char commands[] = "USER " NOBODY "\r\nPASS no\r\nQUIT\r\n";
	const int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
	struct pollfd polled[] = {
		{.fd = d->output, .events = POLLIN}, {.fd = d->log, .events = POLLIN}};

	output->used = log->used = 0;
	output->octets[0] = log->octets[0] = '\0';
	if (write(d->input, commands, sizeof commands - 1) < 0)
		return false;
	/* a checker that stays in the background may keep the log open */
	while (polled[0].fd >= 0) {
		if (!wait_until_ready(polled, 2, deadline_ms))
			return false;
		if (polled[0].revents != 0 && !take(d->output, output))
			polled[0].fd = -1;
		if (polled[1].revents != 0 && !take(d->log, log))
			polled[1].fd = -1;
	}
	while (polled[1].fd >= 0 && poll(&polled[1], 1, 0) > 0 && take(d->log, log))
		;
	return true;
}

static void end(struct dialogue *d, bool ended)
{
	if (!ended)
		kill(d->pid, SIGKILL);
	close(d->input);
	close(d->output);
	close(d->log);
	(void)process_await(d->pid);
}

/* The line of the log that says most: the checker's last one; without any, pop3d's last one
 * that names a problem or an error; else the last one. */
static const char *telling_line(struct output *log)
{
	const char *checkers = NULL, *telling = NULL, *last = "nothing was logged";
	char *rest = NULL;

	for (char *line = strtok_r(log->octets, "\r\n", &rest); line != NULL;
		line = strtok_r(NULL, "\r\n", &rest)) {
		last = line;
		if (strncmp(line, "pop3d[", 6) != 0)
			checkers = line;
		else if (strstr(line, "problem=") != NULL || strstr(line, "error=") != NULL)
			telling = line;
	}
	if (checkers != NULL)
		return checkers;
	return telling != NULL ? telling : last;
}

/* The replies to the greeting, USER, PASS. */
static void judge(struct output *output, struct output *log, long took_ms)
{
	char *rest = NULL;
	const char *const greeting = strtok_r(output->octets, "\r\n", &rest);
	const char *const user = strtok_r(NULL, "\r\n", &rest);
	const char *const pass = user != NULL ? strtok_r(NULL, "\r\n", &rest) : NULL;

	if (greeting == NULL || pass == NULL)
		finding_put(FINDING_WRONG, "checker",
			"pop3d ends before it answers a login: %s", telling_line(log));
	else if (strncmp(pass, "+OK", 3) == 0)
		finding_put(FINDING_WRONG, "checker",
			"it lets in a login that does not exist (" NOBODY
			"), whatever the password: use another one");
	else if (strstr(pass, "[SYS/PERM]") != NULL)
		finding_put(FINDING_WRONG, "checker",
			"it is misconfigured, or cannot be run: %s", telling_line(log));
	else if (strstr(pass, "[SYS/TEMP]") != NULL)
		finding_put(FINDING_WRONG, "checker",
			"it fails, and clients are told to try later: %s", telling_line(log));
	else if (strstr(pass, "[AUTH]") != NULL)
		finding_put(FINDING_OK, "checker",
			"it refuses a login that does not exist, after %ld ms", took_ms);
	else
		finding_put(FINDING_WRONG, "checker",
			"the reply to a wrong password is \"%s\": %s", pass, telling_line(log));
}

void check_checker(const struct command *c)
{
	static struct words arguments;
	static struct output output, log;
	const int64_t began_ms = clock_now_ms();
	struct dialogue d;
	bool ended;

	make_arguments(c, &arguments);
	signal(SIGPIPE, SIG_IGN);
	if (!start(&d, &arguments)) {
		finding_put(
			FINDING_WRONG, "checker", "it cannot be started: %s", strerror(errno));
		return;
	}
	ended = converse(&d, &output, &log);
	end(&d, ended);
	if (ended)
		judge(&output, &log, (long)(clock_now_ms() - began_ms));
	else
		finding_put(FINDING_WRONG, "checker",
			"it does not answer within %d s: run it by hand, and look at what it "
			"waits for "
			"(%s)",
			DEADLINE_MS / 1000, telling_line(&log));
}
