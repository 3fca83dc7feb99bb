/* pop3d-admin: what administrators ask of pop3d, apart from the program that faces the network.
 * Nothing of this runs in a connection. */
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "os/log.h"
#include "os/relro.h"

struct command {
	const char *name;
	const char *arguments; /* as --help shows them */
	const char *help;
	admin_command *run;
};

/* pop3d --NAME runs the command NAME. */
static const struct command commands[] = {
	{"check", "[LOGIN] [COMMAND]", "check the installation, and the mail of LOGIN",
		check_run},
	{"import-uids", "KIND [MAILDIR...]", "take over the unique ids of another server",
		import_run},
	{"show", "MAILDIR", "show the messages of a Maildir as a session lists them", show_run},
};

static int put_usage(FILE *to, int status)
{
	bool written = fputs("usage: pop3d-admin COMMAND [ARGUMENT ...]\n\n", to) >= 0;

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		written = written && fprintf(to, "  %-11s %-20s %s\n", commands[i].name,
					     commands[i].arguments, commands[i].help) > 0;
	written = written && fputs("\n  --help     show this text\n"
				   "  --version  show the version\n",
				     to) >= 0;
	return written && fflush(to) == 0 ? status : ADMIN_EXIT_TROUBLE;
}

int main(int argc, char **argv)
{
	if (!relro_apply() || argc < 2)
		return put_usage(stderr, ADMIN_EXIT_USAGE);
	if (strcmp(argv[1], "--help") == 0)
		return put_usage(stdout, 0);
	if (strcmp(argv[1], "--version") == 0)
		return puts("pop3d-admin " VERSION) >= 0 && fflush(stdout) == 0
			       ? 0
			       : ADMIN_EXIT_TROUBLE;
	log_set_program("pop3d-admin");
	log_open_for_person();
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	return put_usage(stderr, ADMIN_EXIT_USAGE);
}
