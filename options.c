/* options: see options.h. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "lib/argument.h"
#include "lib/foreign.h"
#include "lib/large.h"
#include "lib/number.h"
#include "os/handover.h"
#include "os/log.h"

#define MAX_SECONDS 86400
#define HELP_OCTETS 8192

static bool take_apop(void *settings, const char *value)
{
	struct settings *const s = settings;

	(void)value;
	s->asked.opted |= 1U << MECHANISM_APOP;
	return true;
}

bool options_host_is_good(const char *name)
{
	const size_t length = strlen(name);

	if (length == 0 || length > OPTIONS_HOST_OCTETS)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f || strchr("<>@\"\\", name[i]) != NULL)
			return false;
	return true;
}

static bool take_host(void *settings, const char *name)
{
	struct settings *const s = settings;

	s->asked.host = name;
	return options_host_is_good(name);
}

/* The name of a Maildir++ folder as it is on the disk, without the first dot: no part of it is
 * empty, and none leads out of the Maildir. */
static bool take_delete_to(void *settings, const char *name)
{
	struct settings *const s = settings;
	const size_t length = strlen(name);

	s->asked.delete_to = name;
	if (length == 0 || length > OPTIONS_FOLDER_OCTETS || name[0] == '.' ||
		name[length - 1] == '.' || strstr(name, "..") != NULL)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return true;
}

static bool take_pass_env(void *settings, const char *name)
{
	struct settings *const s = settings;

	if (s->asked.pass_env_count == OPTIONS_PASS_ENV || name[0] == '\0' ||
		strchr(name, '=') != NULL)
		return false;
	s->asked.pass_env[s->asked.pass_env_count++] = name;
	return true;
}

static bool take_refused_status(void *settings, const char *text)
{
	struct settings *const s = settings;
	uint64_t status;

	if (!argument_number(text, 1, 255, &status))
		return false;
	s->asked.refused_status[status] = true;
	return true;
}

/* Splits the program and its arguments at blanks, because pop3d runs no shell. */
static bool take_exec(void *settings, const char *program)
{
	static char copy[1024];
	struct settings *const s = settings;
	size_t count = 0;
	char *rest = NULL;

	if (strlen(program) >= sizeof copy)
		return false;
	memcpy(copy, program, strlen(program) + 1);
	for (char *word = strtok_r(copy, " \t", &rest); word != NULL;
		word = strtok_r(NULL, " \t", &rest)) {
		if (count == OPTIONS_ARGUMENTS)
			return false;
		s->asked.exec_arguments[count++] = word;
	}
	s->asked.exec_text = program;
	return count > 0;
}

static bool take_trusted_proxy(void *settings, const char *text)
{
	struct settings *const s = settings;

	return s->asked.proxy_count < OPTIONS_PROXIES &&
	       address_rule_parse(text, &s->asked.proxies[s->asked.proxy_count++]);
}

static bool take_greeter_user(void *settings, const char *text)
{
	struct settings *const s = settings;

	return argument_user(text, &s->asked.greeter_uid, &s->asked.greeter_gid);
}

/* "cram-md5,xoauth2": mechanisms that are not offered by default. */
static bool take_sasl(void *settings, const char *names)
{
	struct settings *const s = settings;

	while (*names != '\0') {
		const size_t length = strcspn(names, ",");
		const enum mechanism mechanism = mechanism_find_sasl(names, length);

		if (mechanism == MECHANISM_COUNT)
			return false;
		s->asked.opted |= 1U << mechanism;
		names += length + (names[length] == ',');
	}
	return true;
}

static bool take_status_fd(void *settings, const char *text)
{
	struct settings *const s = settings;
	uint64_t fd;

	if (!argument_number(text, 3, 1023, &fd))
		return false;
	s->found.status_fd = (int)fd;
	return true;
}

/* The session reports on the descriptor that the monitor gives every checker. */
static bool give_status_fd(const void *settings, char *value, size_t octets)
{
	(void)settings;
	return snprintf(value, octets, "%d", HANDOVER_FD) > 0;
}

/* The session gets --syslog if this process logs to syslog, even without the option. */
static bool give_syslog(const void *settings, char *value, size_t octets)
{
	(void)settings;
	(void)value;
	(void)octets;
	return log_to_syslog();
}

static bool take_offered(void *settings, const char *text)
{
	struct settings *const s = settings;
	uint64_t set;

	if (!argument_number(text, 0, (1U << MECHANISM_COUNT) - 1, &set))
		return false;
	s->found.offered = (mechanism_set)set;
	return true;
}

static bool give_offered(const void *settings, char *value, size_t octets)
{
	const struct settings *const s = settings;

	return snprintf(value, octets, "%u", s->found.offered) > 0;
}

static bool take_language(void *settings, const char *tag)
{
	struct settings *const s = settings;

	return text_language(tag, strlen(tag), &s->found.language);
}

static bool give_language(const void *settings, char *value, size_t octets)
{
	const struct settings *const s = settings;

	return snprintf(value, octets, "%s", text_tag(s->found.language)) > 0;
}

#define ASKED(name) offsetof(struct settings, asked.name)
#define FOUND(name) offsetof(struct settings, found.name)
#define SWITCH(option, field_offset, on, text)                                                 \
	{                                                                                      \
		.name = (option), .kind = OPTION_SWITCH, .field = (field_offset),              \
		.to_session = (on), .help = (text)                                             \
	}

/* For the session, and newer than the abbreviations that people use. */
#define LATE_SWITCH(option, field_offset, text)                                                \
	{                                                                                      \
		.name = (option), .kind = OPTION_SWITCH, .field = (field_offset),              \
		.to_session = true, .is_late = true, .help = (text)                            \
	}

static const struct option_row rows[] = {
	SWITCH("allow-cleartext", ASKED(allow_cleartext), false,
		"accept passwords in clear text from other hosts"),
	SWITCH("allow-root", ASKED(allow_root), true, "permit sessions as uid 0"),
	{.name = "apop",
		.kind = OPTION_SWITCH,
		.take = take_apop,
		.help = "offer APOP (the checker must know the passwords in clear)"},
	{.name = "check",
		.kind = OPTION_ACTION,
		.is_late = true,
		.is_admin = true,
		.help = "check the installation: pop3d-admin(8)"},
	/* the session gets it as make-missing: some checkers take an argument with the word
	 * maildir for one */
	{.name = "create-maildir",
		.kind = OPTION_SWITCH,
		.field = ASKED(create_maildir),
		.is_late = true,
		.help = "make the Maildir of a user who has none"},
	SWITCH("debug", ASKED(debug), true, "log the protocol, without passwords and messages"),
	{.name = "delete-to",
		.kind = OPTION_TEXT,
		.value = "FOLDER",
		.field = ASKED(delete_to),
		.take = take_delete_to,
		.to_session = true,
		.is_late = true,
		.help = "move deleted messages to this folder, such as Trash"},
	LATE_SWITCH("end-of-headers", ASKED(end_of_headers),
		"send an empty line after headers that end in none (Outlook)"),
	{.name = "exec",
		.kind = OPTION_TEXT,
		.value = "'PROGRAM ARGS'",
		.field = ASKED(exec_text),
		.take = take_exec,
		.to_session = true,
		.help = "run this program instead of pop3d --session"},
	{.name = "fail-delay",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = ASKED(fail_delay_seconds),
		.least = 0,
		.most = MAX_SECONDS,
		.help = "time that a failed login takes, growing (2)"},
	{.name = "fold-login",
		.kind = OPTION_SWITCH,
		.field = ASKED(fold_login),
		.is_late = true,
		.help = "give the checker the login in lower case"},
	{.name = "greeter-user",
		.kind = OPTION_OTHER,
		.value = "UID[:GID]",
		.take = take_greeter_user,
		.help = "user that talks to clients before login (65534)"},
	{.name = "help", .kind = OPTION_ACTION, .help = "show this text"},
	{.name = "hostname",
		.kind = OPTION_TEXT,
		.value = "NAME",
		.field = ASKED(host),
		.take = take_host,
		.to_session = true,
		.help = "name in greeting and farewell (this host's name)"},
	{.name = "idle-timeout",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = ASKED(idle_seconds),
		.least = 1,
		.most = MAX_SECONDS,
		.to_session = true,
		.help = "end a session that sends no command for so long (600)"},
	{.name = "import-uids",
		.kind = OPTION_ACTION,
		.is_late = true,
		.is_admin = true,
		.help = "take over the unique ids of another server: pop3d-admin(8)"},
	SWITCH("lock", ASKED(lock), true, "permit only one session at a time on a maildrop"),
	LATE_SWITCH(
		"log-deletions", ASKED(log_deletions), "log each message that QUIT removes"),
	{.name = "login-timeout",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = ASKED(login_seconds),
		.least = 1,
		.most = MAX_SECONDS,
		.help = "time to log in (180)"},
	SWITCH("long-credentials", ASKED(long_credentials), false,
		"permit more than 512 octets on the checker's descriptor 3"),
	{.name = "maildir",
		.kind = OPTION_TEXT,
		.value = "PATH",
		.field = ASKED(maildir),
		.help = "the Maildir ($MAILDIR, or Maildir in the home)"},
	SWITCH("no-index", ASKED(no_index), true,
		"neither read nor write the index in the Maildir"),
	LATE_SWITCH("no-move", ASKED(no_move), "leave messages in new/"),
	LATE_SWITCH("no-nul", ASKED(no_nul), "send octets of 0x80 for those of 0 (Outlook)"),
	LATE_SWITCH("no-seen", ASKED(no_seen), "do not flag retrieved messages as seen"),
	{.name = "pass-env",
		.kind = OPTION_OTHER,
		.value = "NAME",
		.take = take_pass_env,
		.help = "pass this environment variable to the checker"},
	SWITCH("proxy-protocol", ASKED(proxy_protocol), false,
		"expect a PROXY header before anything else"),
	{.name = "refused-status",
		.kind = OPTION_OTHER,
		.value = "STATUS",
		.take = take_refused_status,
		.is_late = true,
		.help = "this exit status of the checker is a refusal, too; repeatable"},
	SWITCH("require-tls", ASKED(require_tls), false,
		"refuse every login without TLS, even from this host"),
	{.name = "sasl",
		.kind = OPTION_OTHER,
		.value = "LIST",
		.take = take_sasl,
		.help = "offer these as well: cram-md5,xoauth2,oauthbearer"},
	SWITCH("session", ASKED(session), false,
		"serve the maildrop: the user is already authenticated"),
	{.name = "show",
		.kind = OPTION_ACTION,
		.is_late = true,
		.is_admin = true,
		.help = "show the messages of a Maildir: pop3d-admin(8)"},
	{.name = "syslog",
		.kind = OPTION_SWITCH,
		.field = ASKED(syslog),
		.give = give_syslog,
		.to_session = true,
		.help = "log to syslog even if standard error could be used"},
	{.name = "trusted-proxy",
		.kind = OPTION_OTHER,
		.value = "ADDR[/LEN]",
		.take = take_trusted_proxy,
		.help = "accept PROXY headers only from here; repeatable (anybody)"},
	{.name = "uidl-from",
		.kind = OPTION_TEXT,
		.value = "KIND",
		.field = ASKED(uidl_from),
		.to_session = true,
		.is_late = true,
		.help = "take over the unique ids of another server"},
	SWITCH("utf8", ASKED(utf8), true, "list UTF8 in CAPA (Evolution before 3.48 hangs)"),
	SWITCH("verify-sizes", ASKED(verify_sizes), true,
		"count every message; believe no size in a file name"),
	{.name = "version", .kind = OPTION_ACTION, .help = "show the version"},
	/* the monitor gives these to the session; --help does not show them */
	{.name = "status-fd",
		.kind = OPTION_OTHER,
		.value = "FD",
		.take = take_status_fd,
		.give = give_status_fd,
		.to_session = true},
	SWITCH("tls", FOUND(tls), true, NULL),
	{.name = "client-ip",
		.kind = OPTION_TEXT,
		.value = "ADDR",
		.field = FOUND(client_ip),
		.to_session = true},
	{.name = "session-id",
		.kind = OPTION_TEXT,
		.value = "ID",
		.field = FOUND(session_id),
		.to_session = true},
	{.name = "offer",
		.kind = OPTION_OTHER,
		.value = "SET",
		.take = take_offered,
		.give = give_offered,
		.to_session = true},
	{.name = "language",
		.kind = OPTION_OTHER,
		.value = "TAG",
		.take = take_language,
		.give = give_language,
		.to_session = true},
	SWITCH("appended", ASKED(maildir_appended), false, NULL),
	SWITCH("make-missing", ASKED(create_maildir), true, NULL),
};

const struct option_table *options_table(void)
{
	static const struct option_table table = {rows, sizeof rows / sizeof *rows};

	return &table;
}

static const char usage_text[] =
	"usage: pop3d [options] [--] [checkpassword [argument ...]]\n"
	"       pop3d --session [options] [maildir]\n"
	"       pop3d --check [login] [command line of the service]\n"
	"       pop3d --import-uids kind [--write] [--file file | maildir ...]\n"
	"       pop3d --show maildir\n"
	"\n"
	"Serves one POP3 session on standard input and output. In the first form the\n"
	"checkpassword program decides who may log in (default: pop3d-checkpw in the\n"
	"directory of pop3d). The second form serves the maildrop of the user that runs it.\n"
	"\n";

static bool put_usage(FILE *to)
{
	static char help[HELP_OCTETS] LARGE;

	return option_help(options_table(), help, sizeof help) && fputs(usage_text, to) >= 0 &&
	       fputs(help, to) >= 0 && fflush(to) == 0;
}

int options_usage(const char *problem, const char *value, bool no_stderr)
{
	char shown[256];

	log_open(no_stderr);
	if (!log_stderr_is_read()) {
		log_event(LOG_ERR, "configuration problem=\"%s\" value=%s", problem,
			log_quote(shown, sizeof shown, value, strlen(value)));
	} else {
		fprintf(stderr, "pop3d: %s: %s\n", problem, value);
		put_usage(stderr);
	}
	return OPTIONS_EXIT_USAGE;
}

/* Takes the words after the options: a checker with its arguments, or a session's Maildir. */
static int take_rest(struct settings *s, char **rest, bool no_stderr)
{
	struct foreign from;

	if (s->asked.proxy_count > 0 && !s->asked.proxy_protocol)
		return options_usage("--trusted-proxy needs", "--proxy-protocol", no_stderr);
	if (s->asked.uidl_from != NULL && !foreign_parse(&from, s->asked.uidl_from))
		return options_usage("--uidl-from", s->asked.uidl_from, no_stderr);
	if (!s->asked.session) {
		s->asked.checker = rest;
		while (rest[s->asked.checker_count] != NULL)
			s->asked.checker_count++;
		return -1;
	}
	if (rest[0] != NULL && rest[1] != NULL)
		return options_usage("more than one Maildir", rest[1], no_stderr);
	if (rest[0] != NULL)
		s->asked.maildir = rest[0];
	return -1;
}

/* Options before it would have no effect. */
static int take_admin(struct settings *s, const char *name, char **rest, bool is_first)
{
	if (!is_first)
		return options_usage("must be the first option", name, false);
	s->asked.admin = name;
	s->asked.admin_words = rest;
	return -1;
}

int options_read(struct settings *s, char **words, bool no_stderr)
{
	struct option_end end;

	*s = (struct settings){
		.asked = {.idle_seconds = 600,
			.login_seconds = 180,
			.fail_delay_seconds = 2,
			.greeter_uid = 65534,
			.greeter_gid = 65534},
		.found = {.status_fd = -1},
	};
	end = option_parse(options_table(), s, words);
	if (end.is_wrong)
		return options_usage(end.row != NULL
					     ? end.row->name
					     : "unknown option, or its value is missing",
			end.value, no_stderr);
	if (end.row == NULL)
		return take_rest(s, words + end.index, no_stderr);
	if (end.row->is_admin)
		return take_admin(s, end.row->name, words + end.index, end.index == 2);
	if (strcmp(end.row->name, "help") == 0)
		return put_usage(stdout) ? 0 : OPTIONS_EXIT_USAGE;
	return puts("pop3d " VERSION) >= 0 && fflush(stdout) == 0 ? 0 : OPTIONS_EXIT_USAGE;
}

mechanism_set options_offer(const struct settings *s)
{
	const struct policy_situation situation = {.proxy_awaited = s->found.proxy_awaited,
		.tls = s->found.tls,
		.local = s->found.local,
		.stls = s->found.stls,
		.allow_cleartext = s->asked.allow_cleartext,
		.require_tls = s->asked.require_tls,
		.opted = s->asked.opted};

	return policy_offered(&situation);
}

void options_meet_proxy(struct settings *s, bool tls)
{
	s->found.proxy_awaited = false;
	s->found.tls |= tls;
	s->found.stls &= !s->found.tls;
}
