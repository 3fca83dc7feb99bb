/* pop3d: a POP3 server for one session on standard input and output; options, and which stage
 * of it this process is. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth.h"
#include "lib/argument.h"
#include "options.h"
#include "os/handover.h"
#include "os/log.h"
#include "os/process.h"
#include "peer/ucspi.h"
#include "session.h"

#define EXIT_USAGE 100
#define MAX_SECONDS 86400

enum option_code {
	OPTION_ALLOW_CLEARTEXT = 256,
	OPTION_ALLOW_ROOT,
	OPTION_APOP,
	OPTION_CLIENT_IP,
	OPTION_DEBUG,
	OPTION_EXEC,
	OPTION_FAIL_DELAY,
	OPTION_GREETER_USER,
	OPTION_HELP,
	OPTION_OFFER,
	OPTION_HOSTNAME,
	OPTION_IDLE_TIMEOUT,
	OPTION_LANGUAGE,
	OPTION_LOCK,
	OPTION_LOGIN_TIMEOUT,
	OPTION_LONG_CREDENTIALS,
	OPTION_MAILDIR,
	OPTION_NO_INDEX,
	OPTION_PASS_ENV,
	OPTION_PROXY_PROTOCOL,
	OPTION_REQUIRE_TLS,
	OPTION_SASL,
	OPTION_SESSION,
	OPTION_STATUS_FD,
	OPTION_SYSLOG,
	OPTION_TLS,
	OPTION_TRUSTED_PROXY,
	OPTION_VERIFY_SIZES,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"allow-cleartext", no_argument, NULL, OPTION_ALLOW_CLEARTEXT},
	{"allow-root", no_argument, NULL, OPTION_ALLOW_ROOT},
	{"apop", no_argument, NULL, OPTION_APOP},
	{"client-ip", required_argument, NULL, OPTION_CLIENT_IP},
	{"debug", no_argument, NULL, OPTION_DEBUG},
	{"exec", required_argument, NULL, OPTION_EXEC},
	{"fail-delay", required_argument, NULL, OPTION_FAIL_DELAY},
	{"greeter-user", required_argument, NULL, OPTION_GREETER_USER},
	{"help", no_argument, NULL, OPTION_HELP},
	{"offer", required_argument, NULL, OPTION_OFFER},
	{"hostname", required_argument, NULL, OPTION_HOSTNAME},
	{"idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT},
	{"language", required_argument, NULL, OPTION_LANGUAGE},
	{"lock", no_argument, NULL, OPTION_LOCK},
	{"login-timeout", required_argument, NULL, OPTION_LOGIN_TIMEOUT},
	{"long-credentials", no_argument, NULL, OPTION_LONG_CREDENTIALS},
	{"maildir", required_argument, NULL, OPTION_MAILDIR},
	{"no-index", no_argument, NULL, OPTION_NO_INDEX},
	{"pass-env", required_argument, NULL, OPTION_PASS_ENV},
	{"proxy-protocol", no_argument, NULL, OPTION_PROXY_PROTOCOL},
	{"require-tls", no_argument, NULL, OPTION_REQUIRE_TLS},
	{"sasl", required_argument, NULL, OPTION_SASL},
	{"session", no_argument, NULL, OPTION_SESSION},
	{"status-fd", required_argument, NULL, OPTION_STATUS_FD},
	{"syslog", no_argument, NULL, OPTION_SYSLOG},
	{"tls", no_argument, NULL, OPTION_TLS},
	{"trusted-proxy", required_argument, NULL, OPTION_TRUSTED_PROXY},
	{"verify-sizes", no_argument, NULL, OPTION_VERIFY_SIZES},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] =
	"usage: pop3d [options] [--] [checkpassword [argument ...]]\n"
	"       pop3d --session [options] [maildir]\n"
	"\n"
	"Serves one POP3 session on standard input and output. The first form lets users in\n"
	"whom the checkpassword program accepts (default: pop3d-checkpw beside pop3d), the\n"
	"second serves the maildrop of the user that runs it.\n"
	"\n"
	"  --allow-cleartext          take passwords in clear from other hosts, too\n"
	"  --allow-root               let a session run as uid 0\n"
	"  --apop                     offer APOP (the checker must know the clear passwords)\n"
	"  --debug                    log the protocol, without passwords and messages\n"
	"  --exec 'PROGRAM ARGS'      run this session program instead of pop3d --session\n"
	"  --fail-delay SECONDS       delay after a failed login, growing (2)\n"
	"  --greeter-user UID[:GID]   who talks to strangers, when started as root (65534)\n"
	"  --help, --version\n"
	"  --hostname NAME            name in greeting and farewell (this host's)\n"
	"  --idle-timeout SECONDS     end a session without a command for so long (600)\n"
	"  --lock                     one session at a time for a maildrop\n"
	"  --login-timeout SECONDS    time to log in (180)\n"
	"  --long-credentials         the checker takes more than 512 octets on descriptor 3\n"
	"  --maildir PATH             the Maildir ($MAILDIR, else Maildir in the home)\n"
	"  --no-index                 neither read nor write the index beside the Maildir\n"
	"  --pass-env NAME            let the checker see this environment variable\n"
	"  --proxy-protocol           a proxy in front says first who its client is\n"
	"  --require-tls              let nobody log in without TLS, not even from this host\n"
	"  --sasl LIST                offer these, too: cram-md5,xoauth2,oauthbearer\n"
	"  --session                  the user is authenticated: serve the maildrop\n"
	"  --syslog                   log to syslog even if standard error would do\n"
	"  --trusted-proxy ADDR[/LEN] who may be that proxy; repeat for several (anybody)\n"
	"  --verify-sizes             count every message, believe no size in a file name\n";

/* Whether there was no standard error before this program opened something in its place. */
static bool no_stderr;

/* What is wrong with the command line, where nobody but the administrator reads it. */
static int usage(const char *problem, const char *value)
{
	log_open(no_stderr);
	if (log_to_syslog())
		log_event(LOG_ERR, "configuration problem=\"%s\" value=\"%s\"", problem,
			value != NULL ? value : "");
	else
		fprintf(stderr, "pop3d: %s: %s\n%s", problem, value != NULL ? value : "",
			usage_text);
	return EXIT_USAGE;
}

/* A name that can stand in a greeting and in a msg-id. */
static bool set_host(struct options *o, const char *name)
{
	const size_t length = strlen(name);

	if (length == 0 || length > OPTIONS_HOST_OCTETS)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f || strchr("<>@\"\\", name[i]) != NULL)
			return false;
	memcpy(o->host, name, length + 1);
	return true;
}

static bool add_pass_env(struct options *o, const char *name)
{
	if (o->pass_env_count == OPTIONS_PASS_ENV || name[0] == '\0' ||
		strchr(name, '=') != NULL)
		return false;
	o->pass_env[o->pass_env_count++] = name;
	return true;
}

/* Splits at blanks, as no shell is to be involved. */
static bool set_exec(struct options *o, char *program)
{
	size_t count = 0;
	char *rest = NULL;
	static char copy[1024];

	if (strlen(program) >= sizeof copy)
		return false;
	memcpy(copy, program, strlen(program) + 1);
	for (char *word = strtok_r(copy, " \t", &rest); word != NULL;
		word = strtok_r(NULL, " \t", &rest)) {
		if (count == OPTIONS_ARGUMENTS)
			return false;
		o->exec_arguments[count++] = word;
	}
	o->exec_text = program;
	return count > 0;
}

static bool add_trusted_proxy(struct options *o, const char *text)
{
	return o->proxy_count < OPTIONS_PROXIES &&
	       address_rule_parse(text, &o->proxies[o->proxy_count++]);
}

static bool set_status_fd(struct options *o, const char *text)
{
	uint64_t fd;

	if (!argument_number(text, 3, 1023, &fd))
		return false;
	o->status_fd = (int)fd;
	return true;
}

/* Internal: what CAPA said before login. */
static bool set_offered(struct options *o, const char *text)
{
	uint64_t set;

	if (!argument_number(text, 0, (1U << OFFER_COUNT) - 1, &set))
		return false;
	o->offered = (offer_set)set;
	return true;
}

/* "cram-md5,xoauth2": mechanisms that are not offered by default. */
static bool add_sasl(struct options *o, const char *names)
{
	while (*names != '\0') {
		const size_t length = strcspn(names, ",");
		const enum offer offer = offer_sasl(names, length);

		if (offer == OFFER_COUNT)
			return false;
		o->opted |= 1U << offer;
		names += length + (names[length] == ',');
	}
	return true;
}

/* Takes one option; false if its value is no good. */
static bool take_option(struct options *o, int code)
{
	switch ((enum option_code)code) {
	case OPTION_ALLOW_CLEARTEXT: o->allow_cleartext = true; return true;
	case OPTION_ALLOW_ROOT: o->allow_root = true; return true;
	case OPTION_APOP: o->opted |= 1U << OFFER_APOP; return true;
	case OPTION_CLIENT_IP: o->client_ip = optarg; return true;
	case OPTION_DEBUG: o->debug = true; return true;
	case OPTION_EXEC: return set_exec(o, optarg);
	case OPTION_FAIL_DELAY:
		return argument_seconds(optarg, 0, MAX_SECONDS, &o->fail_delay_seconds);
	case OPTION_GREETER_USER:
		return argument_user(optarg, &o->greeter_uid, &o->greeter_gid);
	case OPTION_OFFER: return set_offered(o, optarg);
	case OPTION_HOSTNAME: return set_host(o, optarg);
	case OPTION_IDLE_TIMEOUT:
		return argument_seconds(optarg, 1, MAX_SECONDS, &o->idle_seconds);
	case OPTION_LANGUAGE: return text_language(optarg, strlen(optarg), &o->language);
	case OPTION_LOCK: o->lock = true; return true;
	case OPTION_LOGIN_TIMEOUT:
		return argument_seconds(optarg, 1, MAX_SECONDS, &o->login_seconds);
	case OPTION_LONG_CREDENTIALS: o->long_credentials = true; return true;
	case OPTION_MAILDIR: o->maildir = optarg; return optarg[0] != '\0';
	case OPTION_NO_INDEX: o->no_index = true; return true;
	case OPTION_PASS_ENV: return add_pass_env(o, optarg);
	case OPTION_PROXY_PROTOCOL: o->proxy_protocol = true; return true;
	case OPTION_REQUIRE_TLS: o->require_tls = true; return true;
	case OPTION_SASL: return add_sasl(o, optarg);
	case OPTION_SESSION: o->session = true; return true;
	case OPTION_STATUS_FD: return set_status_fd(o, optarg);
	case OPTION_SYSLOG: o->syslog = true; return true;
	case OPTION_TLS: o->tls = true; return true;
	case OPTION_TRUSTED_PROXY: return add_trusted_proxy(o, optarg);
	case OPTION_VERIFY_SIZES: o->verify_sizes = true; return true;
	case OPTION_HELP:
	case OPTION_VERSION: break;
	}
	return false;
}

/* Reads the command line. Returns -1, or the status with which to exit at once. */
static int parse(struct options *o, int argc, char **argv)
{
	int code, index = 0;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+", long_options, &index)) != -1) {
		if (code == '?')
			return usage(
				"unknown option, or its value is missing", argv[optind - 1]);
		if (code == OPTION_HELP)
			return fputs(usage_text, stdout) < 0 ? EXIT_USAGE : 0;
		if (code == OPTION_VERSION)
			return puts("pop3d " VERSION) < 0 ? EXIT_USAGE : 0;
		if (!take_option(o, code))
			return usage(long_options[index].name, optarg);
	}
	if (o->proxy_count > 0 && !o->proxy_protocol)
		return usage("--trusted-proxy needs", "--proxy-protocol");
	if (!o->session) {
		o->checker = argv + optind;
		o->checker_count = (size_t)(argc - optind);
		return -1;
	}
	if (argc - optind > 1)
		return usage("more than one Maildir", argv[optind + 1]);
	if (optind < argc)
		o->maildir = argv[optind];
	return -1;
}

static void set_default_host(struct options *o)
{
	char name[OPTIONS_HOST_OCTETS + 1] = "";

	if (gethostname(name, sizeof name - 1) != 0 || !set_host(o, name))
		set_host(o, "localhost");
}

/* A reply in two pieces must not wait for the acknowledgement of the first; fails quietly where
 * the connection is not TCP. */
static void send_at_once(void)
{
	const int on = 1;

	setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Root's mail would be read, and everybody's could be: that is for those who ask for it. */
static int refuse_root(const struct options *o)
{
	static const char problem[] = "-ERR [SYS/PERM] no session for this user\r\n";

	announce_session(o->status_fd);
	log_event(LOG_ERR, "configuration problem=session-as-root "
			   "help=\"the checker must become the mail user, or --allow-root\"");
	return write(1, problem, sizeof problem - 1) < 0 ? 111 : EXIT_USAGE;
}

/* Another session program behind our front: it greets the user itself, as qmail-pop3d does. */
static int exec_other(const struct options *o)
{
	char path[1024];
	static const char problem[] = "-ERR [SYS/PERM] the session program cannot be run\r\n";

	announce_session(o->status_fd);
	process_close_others(1, 0);
	process_default_signals();
	execv(process_find_program(o->exec_arguments[0], path, sizeof path), o->exec_arguments);
	log_event(LOG_ERR, "session-not-started program=%s errno=%d error=\"%s\"",
		o->exec_arguments[0], errno, strerror(errno));
	return write(1, problem, sizeof problem - 1) < 0 ? 111 : EXIT_USAGE;
}

/* Of what was inherited only these mean something here. */
static void close_inherited(struct options *o)
{
	const enum ucspi_wish wish = o->session ? UCSPI_NONE : ucspi_take();

	o->stls = wish == UCSPI_OFFER || wish == UCSPI_DEMAND;
	o->require_tls |= wish == UCSPI_DEMAND || wish == UCSPI_LACK;
	if (o->stls)
		process_close_others(UCSPI_CONTROL_FD, UCSPI_WRITE_FD);
	else if (o->session && o->status_fd > 2)
		process_close_others(o->status_fd, o->status_fd);
	else
		process_close_others(1, 0);
}

static void set_defaults(struct options *o)
{
	o->idle_seconds = 600;
	o->login_seconds = 180;
	o->fail_delay_seconds = 2;
	o->greeter_uid = o->greeter_gid = 65534;
	o->status_fd = -1;
}

int main(int argc, char **argv)
{
	static struct options o;
	bool descriptors_ready;
	int status;

	set_defaults(&o);
	no_stderr = fcntl(2, F_GETFD) < 0;
	descriptors_ready = process_reset();
	status = parse(&o, argc, argv);

	if (status >= 0)
		return status;
	if (!descriptors_ready)
		return usage("descriptors 0 and 1 must be open", argv[0]);
	close_inherited(&o);
	if (!o.session && !process_take_low_descriptors())
		return usage("descriptors 3 to 9 are needed", strerror(errno));
	o.syslog |= no_stderr;
	log_open(o.syslog);
	if (o.debug)
		log_show_debug();
	if (o.host[0] == '\0')
		set_default_host(&o);
	if (o.status_fd < 0) /* else a monitor has done it */
		send_at_once();
	if (o.session && !o.allow_root && (getuid() == 0 || geteuid() == 0))
		return refuse_root(&o);
	if (o.session && o.exec_text != NULL)
		return exec_other(&o);
	if (o.session)
		return session_serve(&o);
	return auth_serve(&o);
}
