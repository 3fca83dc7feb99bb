/* options: see options.h. */
#include "checkpw/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "checkpw/file.h"
#include "checkpw/pam.h"
#include "checkpw/quote.h"
#include "lib/argument.h"
#include "lib/option.h"
#include "os/log.h"

/* Shorter than the time to log in of any front end. */
#define WAIT_SECONDS 20
/* Dovecot delays refusals, up to 17 seconds for an address that guesses. */
#define ANSWER_SECONDS 60

#define AUTH_SOCKET "/run/dovecot/auth-client"
#define USERDB_SOCKET "/run/dovecot/auth-userdb"

static bool take_most(void *settings, const char *value)
{
	struct pw_options *const options = settings;

	return argument_number(value, 0, PWSLOT_MOST, &options->slots.most);
}

#define FIELD(name) offsetof(struct pw_options, name)

static const struct option_row rows[] = {
	{.name = "answer-timeout",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = FIELD(answer_seconds),
		.least = 1,
		.most = 3600,
		.is_late = true,
		.help = "wait at most so long for Dovecot (60)"},
	{.name = "as",
		.kind = OPTION_TEXT,
		.value = "USER",
		.field = FIELD(as),
		.is_late = true,
		.help = "serve as this account, or UID:GID"},
	{.name = "auth-socket",
		.kind = OPTION_TEXT,
		.value = "PATH",
		.field = FIELD(auth_socket),
		.is_late = true,
		.help = "of Dovecot, instead of\n" AUTH_SOCKET},
	{.name = "default-domain",
		.kind = OPTION_TEXT,
		.value = "DOMAIN",
		.field = FIELD(default_domain),
		.is_late = true,
		.help = "of logins without an @"},
	{.name = "delete",
		.kind = OPTION_TEXT,
		.value = "LOGIN",
		.field = FIELD(delete_login),
		.is_late = true,
		.help = "remove LOGIN from the password file"},
	{.name = "dovecot",
		.kind = OPTION_SWITCH,
		.field = FIELD(dovecot),
		.is_late = true,
		.help = "ask the authentication service of Dovecot"},
	{.name = "file",
		.letter = 'f',
		.kind = OPTION_TEXT,
		.value = "FILE",
		.field = FIELD(file),
		.help = "password file instead of " PWFILE_DEFAULT},
	{.name = "fold-login",
		.kind = OPTION_SWITCH,
		.field = FIELD(fold_login),
		.is_late = true,
		.help = "make A to Z of logins a to z"},
	{.name = "hash",
		.kind = OPTION_SWITCH,
		.field = FIELD(hash),
		.help = "make a hash, or the line of LOGIN for the password file"},
	{.name = "help", .kind = OPTION_ACTION, .help = "show this text"},
	{.name = "home",
		.kind = OPTION_TEXT,
		.value = "PATTERN",
		.field = FIELD(home),
		.is_late = true,
		.help = "home with %u for the login, %n and %d for what\n"
			"is before and after its @"},
	{.name = "list",
		.kind = OPTION_SWITCH,
		.field = FIELD(list),
		.is_late = true,
		.help = "show the logins of the password file"},
	{.name = "max-checks",
		.kind = OPTION_OTHER,
		.value = "NUMBER",
		.take = take_most,
		.help = "check at most so many passwords at a time on\n"
			"this host (2 for each processor, at least 8)"},
	{.name = "max-wait",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = FIELD(slots.wait_seconds),
		.least = 0,
		.most = 86400,
		.help = "wait at most so long for the others (20)"},
	{.name = "pam",
		.kind = OPTION_SWITCH,
		.field = FIELD(pam),
		.is_late = true,
		.help = "users whom only PAM knows, with --as and --home"},
	{.name = "set",
		.kind = OPTION_TEXT,
		.value = "LOGIN",
		.field = FIELD(set_login),
		.is_late = true,
		.help = "ask for a password of LOGIN and write it into the\n"
			"password file"},
	{.name = "system",
		.kind = OPTION_SWITCH,
		.field = FIELD(system),
		.help = "accounts of this host through PAM, service " PWPAM_SERVICE},
	{.name = "userdb-socket",
		.kind = OPTION_TEXT,
		.value = "PATH",
		.field = FIELD(userdb_socket),
		.is_late = true,
		.help = "of Dovecot, instead of\n" USERDB_SOCKET},
	{.name = "version", .kind = OPTION_ACTION, .help = "show the version"},
};

static const struct option_table table = {rows, sizeof rows / sizeof *rows};

const char *pwoptions_usage(void)
{
	static const char first[] =
		"usage: pop3d-checkpw [OPTION ...] [--] PROGRAM [ARGUMENT ...]\n"
		"       pop3d-checkpw [-f FILE] --set LOGIN [--as USER] [--home PATTERN]\n"
		"       pop3d-checkpw [-f FILE] --delete LOGIN | --list\n"
		"       pop3d-checkpw --hash [LOGIN]\n"
		"\n"
		"Reads login NUL password NUL timestamp NUL from descriptor 3 and, if the\n"
		"password is right, becomes that user and runs PROGRAM. Asks the password\n"
		"file, or with --system, --pam or --dovecot somebody else.\n"
		"\n";
	static const char last[] =
		"\nExit status if PROGRAM was not run: 1 refused, 2 wrong use, 100 wrong\n"
		"configuration, 111 temporary trouble, 126 PROGRAM cannot be executed,\n"
		"127 PROGRAM does not exist.\n";
	static char text[4096], help[3072];

	if (!option_help(&table, help, sizeof help))
		help[0] = '\0';
	snprintf(text, sizeof text, "%s%s%s", first, help, last);
	return text;
}

/* For a person: nobody reads it in syslog. */
static void show_usage(void)
{
	if (!log_to_syslog())
		fputs(pwoptions_usage(), stderr);
}

enum pw_status pwoptions_misused(const char *why)
{
	log_event(LOG_ERR, "checkpw-misused problem=\"%s\"", why);
	show_usage();
	return PW_MISUSED;
}

static enum pw_status misused_option(const char *option)
{
	log_event(LOG_ERR,
		"checkpw-misused option=%s problem=\"it is unknown, or its argument is missing "
		"or too much\"",
		quote(option).text);
	show_usage();
	return PW_MISUSED;
}

/* The one action that is asked for; without any, the password file is. False for two. */
static bool choose_action(struct pw_options *options, const struct option_row *ended_by)
{
	const struct {
		bool is_asked;
		enum pw_action action;
	} asked[] = {
		{options->system, CHECK_SYSTEM},
		{options->pam, CHECK_PAM},
		{options->dovecot, CHECK_DOVECOT},
		{options->hash, MAKE_HASH},
		{options->set_login != NULL, SET_ENTRY},
		{options->delete_login != NULL, DELETE_ENTRY},
		{options->list, LIST_ENTRIES},
		{ended_by != NULL && strcmp(ended_by->name, "help") == 0, SHOW_HELP},
		{ended_by != NULL && strcmp(ended_by->name, "version") == 0, SHOW_VERSION},
	};
	unsigned count = 0;

	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		if (!asked[i].is_asked)
			continue;
		options->action = asked[i].action;
		count++;
	}
	return count <= 1;
}

/* What each option goes with, as bits of actions. */
#define FOR(action) (1u << (action))
#define FOR_FILE (FOR(CHECK_FILE) | FOR(SET_ENTRY) | FOR(DELETE_ENTRY) | FOR(LIST_ENTRIES))
#define FOR_OWNER (FOR(CHECK_PAM) | FOR(CHECK_DOVECOT) | FOR(SET_ENTRY))
#define FOR_LOGIN (FOR(CHECK_FILE) | FOR(CHECK_SYSTEM) | FOR_OWNER | FOR(DELETE_ENTRY))

/* What is wrong with the options together, or NULL. */
static const char *find_conflict(const struct pw_options *o)
{
	const struct {
		bool is_given;
		unsigned actions;
		const char *problem;
	} rules[] = {
		{o->file != NULL, FOR_FILE, "-f goes with the password file only"},
		{o->as != NULL || o->home != NULL, FOR_OWNER,
			"--as and --home go with --pam, --dovecot and --set only"},
		{o->auth_socket != NULL || o->userdb_socket != NULL || o->answer_seconds != 0,
			FOR(CHECK_DOVECOT),
			"--auth-socket, --userdb-socket and --answer-timeout go with "
			"--dovecot only"},
		{o->default_domain != NULL || o->fold_login, FOR_LOGIN,
			"--default-domain and --fold-login are about a login"},
		{o->as == NULL || o->home == NULL, ~FOR(CHECK_PAM),
			"--pam needs --as and --home"},
		{o->home != NULL && o->home[0] != '/', 0, "--home is not an absolute path"},
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].is_given && (rules[i].actions & FOR(o->action)) == 0)
			return rules[i].problem;
	return NULL;
}

static void fill_defaults(struct pw_options *options)
{
	if (options->file == NULL)
		options->file = PWFILE_DEFAULT;
	if (options->auth_socket == NULL)
		options->auth_socket = AUTH_SOCKET;
	if (options->userdb_socket == NULL)
		options->userdb_socket = USERDB_SOCKET;
	if (options->answer_seconds == 0)
		options->answer_seconds = ANSWER_SECONDS;
}

/* An action ends the parsing as soon as it is read; the options after it are not looked at. */
enum pw_status pwoptions_parse(char **argv, struct pw_options *options)
{
	struct option_end end;
	const char *conflict;

	*options = (struct pw_options){.action = CHECK_FILE,
		.slots = {.most = pwslot_default_most(), .wait_seconds = WAIT_SECONDS}};
	end = option_parse(&table, options, argv);
	if (end.is_wrong)
		return misused_option(end.value);
	options->rest = argv + end.index;
	if (!choose_action(options, end.row))
		return pwoptions_misused("options that exclude one another");
	conflict = find_conflict(options);
	if (conflict != NULL)
		return pwoptions_misused(conflict);
	fill_defaults(options);
	return PW_OK;
}

bool pwoptions_serve(const struct pw_options *options)
{
	return options->action == CHECK_FILE || options->action == CHECK_SYSTEM ||
	       options->action == CHECK_PAM || options->action == CHECK_DOVECOT;
}

bool pwoptions_need_host(const struct pw_options *options)
{
	uid_t uid;
	gid_t gid;

	switch (options->action) {
	case CHECK_SYSTEM:
	case CHECK_PAM: return true;
	case MAKE_HASH: return options->rest[0] != NULL;
	case SET_ENTRY: return options->as == NULL || !argument_user(options->as, &uid, &gid);
	case CHECK_DOVECOT:
		return options->as != NULL && !argument_user(options->as, &uid, &gid);
	default: return false;
	}
}
