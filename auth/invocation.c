/* invocation: see invocation.h. Runs with the launch privileges. */
#include "auth/invocation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/handover.h"
#include "os/log.h"
#include "os/process.h"
#include "os/program.h"

extern char **environ;

/* Formats a string into s->text. Returns NULL if there is no room. */
static char *format(struct invocation *s, const char *pattern, ...)
	__attribute__((format(printf, 2, 3)));

static char *format(struct invocation *s, const char *pattern, ...)
{
	char *const start = s->text + s->text_octets;
	const size_t room = sizeof s->text - s->text_octets;
	va_list arguments;
	int length;

	va_start(arguments, pattern);
	length = vsnprintf(start, room, pattern, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		return NULL;
	s->text_octets += (size_t)length + 1;
	return start;
}

static bool add_argument(struct invocation *s, char *argument)
{
	if (argument == NULL || s->argument_count + 1 >= INVOCATION_ARGUMENTS)
		return false;
	s->arguments[s->argument_count++] = argument;
	return true;
}

static bool add_variable(struct invocation *s, char *variable)
{
	if (variable == NULL || s->variable_count + 1 >= INVOCATION_VARIABLES)
		return false;
	s->environment[s->variable_count++] = variable;
	return true;
}

/* Adds the variable with the value that this process has; it may be missing. */
static bool add_own(struct invocation *s, const char *name)
{
	const size_t length = strlen(name);

	for (char **variable = environ; *variable != NULL; variable++)
		if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=')
			return add_variable(s, *variable);
	return true;
}

static bool add_locale(struct invocation *s)
{
	for (char **variable = environ; *variable != NULL; variable++)
		if (strncmp(*variable, "LC_", 3) == 0 && !add_variable(s, *variable))
			return false;
	return add_own(s, "LANG") && add_own(s, "TZ");
}

static bool add_known(struct invocation *s, const char *name, const char *value)
{
	return value[0] == '\0' || add_variable(s, format(s, "%s=%s", name, value));
}

/* What is known of the connection. */
static bool add_connection(struct invocation *s, const struct settings *o, const struct peer *p)
{
	const struct {
		const char *name, *value;
	} known[] = {{"PROTO", p->protocol}, {"TCPREMOTEIP", p->remote_ip},
		{"TCPREMOTEPORT", p->remote_port}, {"TCPLOCALIP", p->local_ip},
		{"TCPLOCALPORT", p->local_port}, {"SERVICE", "pop3"},
		{"POP3D_SESSION", log_session()}, {"POP3D_TLS", o->found.tls ? "yes" : ""}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!add_known(s, known[i].name, known[i].value))
			return false;
	return true;
}

static bool make_environment(
	struct invocation *s, const struct settings *o, const struct peer *p)
{
	bool fits = getenv("PATH") != NULL
			    ? add_own(s, "PATH")
			    : add_variable(s, format(s, "PATH=%s", PROCESS_DEFAULT_PATH));

	fits = fits && add_locale(s) && add_connection(s, o, p);
	/* reserves room for the longest login */
	s->login = format(s, "POP3D_LOGIN=%*s", INVOCATION_LOGIN_OCTETS, "");
	fits = fits && add_variable(s, s->login);
	if (fits)
		strchr(s->login, '=')[1] = '\0';
	s->mechanism = format(s, "AUTH_MECHANISM=%s", mechanism_name(MECHANISM_OAUTHBEARER));
	fits = fits && add_variable(s, s->mechanism);
	for (size_t i = 0; fits && i < o->asked.pass_env_count; i++)
		fits = add_own(s, o->asked.pass_env[i]);
	return fits;
}

/* The file that this process runs from, to be run again as the session. */
static char *own_program(struct invocation *s)
{
	char path[1024];

	return format(s, "%s", program_own_path(path, sizeof path) ? path : "pop3d");
}

static bool add_program(struct invocation *s, const struct settings *o, char *program)
{
	const char *const slash = program != NULL ? strrchr(program, '/') : NULL;

	for (size_t i = 0; i < o->asked.checker_count; i++)
		if (!add_argument(s, o->asked.checker[i]))
			return false;
	if (o->asked.checker_count > 0)
		return true;
	if (slash == NULL)
		return add_argument(s, format(s, "pop3d-checkpw"));
	return add_argument(
		s, format(s, "%.*s/pop3d-checkpw", (int)(slash - program), program));
}

/* Adds the session's options: those rows of the table that are marked for it. */
static bool add_options(struct invocation *s, const struct settings *o)
{
	const struct option_table *const table = options_table();

	for (size_t i = 0; i < table->count; i++) {
		char *const text = s->text + s->text_octets;
		size_t length;

		if (!table->rows[i].to_session)
			continue;
		length = option_argument(
			&table->rows[i], o, text, sizeof s->text - s->text_octets);
		if (length == SIZE_MAX || (length > 0 && !add_argument(s, text)))
			return false;
		if (length > 0)
			s->text_octets += length + 1;
		if (strncmp(text, "--language=", 11) == 0)
			s->language = text;
	}
	return true;
}

/* Some checkers assume that the last argument is the Maildir, and change it or create it. So
 * the last argument is a Maildir. */
static bool make_arguments(struct invocation *s, const struct settings *o)
{
	static char appended[] = "--appended", end[] = "--", maildir[] = OPTIONS_MAILDIR;
	char *const program = own_program(s);
	bool fits = add_program(s, o, program) && add_argument(s, program) &&
		    add_argument(s, format(s, "--session")) && add_options(s, o);

	if (o->asked.maildir == NULL)
		return fits && add_argument(s, appended) && add_argument(s, end) &&
		       add_argument(s, maildir);
	return fits && add_argument(s, end) &&
	       add_argument(s, format(s, "%s", o->asked.maildir));
}

/* invocation_make has reserved room for the longest name, and all tags have two letters. */
void invocation_for_login(struct invocation *s, enum mechanism mechanism,
	enum language language, const char *login, size_t login_octets)
{
	char *const value = strchr(s->login, '=') + 1;
	const size_t octets =
		login_octets < INVOCATION_LOGIN_OCTETS ? login_octets : INVOCATION_LOGIN_OCTETS;

	memcpy(value, login, octets);
	value[octets] = '\0';
	strcpy(strchr(s->mechanism, '=') + 1, mechanism_name(mechanism));
	memcpy(strchr(s->language, '=') + 1, text_tag(language), 2);
}

bool invocation_make(struct invocation *s, const struct settings *o, const struct peer *p)
{
	s->argument_count = s->variable_count = s->text_octets = 0;
	if (!make_arguments(s, o) || !make_environment(s, o, p))
		return false;
	process_find_program(s->arguments[0], s->program, sizeof s->program);
	s->arguments[s->argument_count] = NULL;
	s->environment[s->variable_count] = NULL;
	return true;
}
