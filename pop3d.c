/* pop3d: a POP3 server for one session on standard input and output. main decides whether this
 * process is the monitor, the session, or another program of the administrator. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth.h"
#include "confine/confine.h"
#include "options.h"
#include "os/handover.h"
#include "os/log.h"
#include "os/process.h"
#include "os/relro.h"
#include "peer/ucspi.h"
#include "session.h"

#define EXIT_TROUBLE 111

static const char *own_host(void)
{
	static char name[OPTIONS_HOST_OCTETS + 1];

	/* the kernel's name before anybody set one is "(none)" */
	if (gethostname(name, sizeof name - 1) != 0 || !options_host_is_good(name) ||
		name[0] == '(')
		return "localhost";
	return name;
}

/* A reply in two pieces must not wait for the acknowledgement of the first. This fails quietly
 * where the connection is not TCP. */
static void send_at_once(void)
{
	const int on = 1;

	setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A session as uid 0 can read everybody's mail; it needs --allow-root. */
static int refuse_root(const struct settings *s)
{
	static const char problem[] = "-ERR [SYS/PERM] no session for this user\r\n";

	handover_finish(handover_announce(s->found.status_fd, s->found.monitor_takes));
	log_event(LOG_ERR, "configuration problem=session-as-root "
			   "help=\"the checker must become the mail user, or --allow-root\"");
	return write(1, problem, sizeof problem - 1) < 0 ? EXIT_TROUBLE : OPTIONS_EXIT_USAGE;
}

/* Runs the program of --exec, which answers PASS itself, as qmail-pop3d does. */
static int exec_other(const struct settings *s)
{
	char path[1024];
	char *const *const arguments = s->asked.exec_arguments;
	static const char problem[] = "-ERR [SYS/PERM] the session program cannot be run\r\n";

	handover_finish(handover_announce(s->found.status_fd, s->found.monitor_takes));
	process_close_others(1, 0);
	process_default_signals();
	execv(process_find_program(arguments[0], path, sizeof path), arguments);
	log_event(LOG_ERR, "session-not-started program=%s errno=%d error=\"%s\"", arguments[0],
		errno, strerror(errno));
	return write(1, problem, sizeof problem - 1) < 0 ? EXIT_TROUBLE : OPTIONS_EXIT_USAGE;
}

/* Runs pop3d-admin, so that code for administrators is not in the program that faces the
 * network. */
static int exec_admin(const struct settings *s, char **argv)
{
	static char name[] = "pop3d-admin";
	char path[1024];

	/* argv[0] and the option become the other program's name and command */
	argv[0] = name;
	argv[1] = (char *)s->asked.admin;
	process_default_signals();
	execv(process_find_beside(name, path, sizeof path), argv);
	fprintf(stderr, "pop3d: %s: %s\n", path, strerror(errno));
	return EXIT_TROUBLE;
}

/* Closes all inherited descriptors except those of UCSPI-TLS and of the handover. */
static void close_inherited(struct settings *s)
{
	const enum ucspi_wish wish = s->asked.session ? UCSPI_NONE : ucspi_take();

	s->found.stls = wish == UCSPI_OFFER || wish == UCSPI_DEMAND;
	s->asked.require_tls |= wish == UCSPI_DEMAND || wish == UCSPI_LACK;
	if (s->found.stls)
		process_close_others(UCSPI_CONTROL_FD, UCSPI_WRITE_FD);
	else if (s->asked.session && s->found.status_fd > 2)
		process_close_others(s->found.status_fd, s->found.status_fd);
	else
		process_close_others(1, 0);
}

static void begin_log(struct settings *s)
{
	log_open(s->asked.syslog);
	/* the monitors of the first version gave their sessions no id */
	if (s->asked.session && s->found.session_id == NULL)
		s->found.monitor_takes = HANDOVER_OCTET;
	if (s->found.session_id != NULL)
		log_set_session(s->found.session_id);
	else
		handover_begin_session();
	s->found.session_id = log_session();
	if (s->asked.debug)
		log_show_debug();
}

int main(int argc, char **argv)
{
	static struct settings s;
	const bool confined = relro_apply();
	const bool no_stderr = fcntl(2, F_GETFD) < 0;
	const bool descriptors_ready = process_reset();
	const int status = options_read(&s, argv, no_stderr);

	(void)argc;
	if (!confined)
		return 111;
	if (status >= 0)
		return status;
	if (s.asked.admin != NULL)
		return exec_admin(&s, argv);
	if (!descriptors_ready)
		return options_usage("descriptors 0 and 1 must be open", argv[0], no_stderr);
	close_inherited(&s);
	if (!s.asked.session && !process_take_low_descriptors())
		return options_usage(
			"descriptors 3 to 9 are needed", strerror(errno), no_stderr);
	s.asked.syslog |= no_stderr;
	begin_log(&s);
	if (s.asked.host == NULL)
		s.asked.host = own_host();
	if (s.found.status_fd < 0) /* else a monitor has done it */
		send_at_once();
	if (!s.asked.session)
		return auth_serve(&s);
	if (!s.asked.allow_root && (getuid() == 0 || geteuid() == 0))
		return refuse_root(&s);
	return s.asked.exec_text != NULL ? exec_other(&s) : session_serve(&s);
}
