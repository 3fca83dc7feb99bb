/* command: see command.h. */
#include "admin/command.h"

#include <stdio.h>
#include <string.h>

#include "os/process.h"

const char *command_name(const char *path)
{
	const char *const slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The first word that is this program, before the end; NULL if there is none. */
static char **find_program(char **words, const char *name)
{
	for (; *words != NULL; words++)
		if (strcmp(command_name(*words), name) == 0)
			return words;
	return NULL;
}

static void take_tls(struct command *c, char **first, char *const *end)
{
	for (; first != end && *first != NULL && strcmp(*first, "--") != 0; first++)
		words_add(&c->tls, *first, strlen(*first));
}

static void add_options(struct command *c, char **words)
{
	char **const end = c->settings.asked.checker;

	for (; words != end; words++)
		if (strcmp(*words, "--") != 0 || words + 1 != end)
			words_add(&c->options, *words, strlen(*words));
}

/* The checker that pop3d would run without one on its command line lies beside it. */
static void add_default_checker(struct command *c)
{
	char path[1024];

	if (c->pop3d == NULL || strchr(c->pop3d, '/') == NULL)
		process_find_beside("pop3d-checkpw", path, sizeof path);
	else
		snprintf(path, sizeof path, "%.*s/pop3d-checkpw",
			(int)(strrchr(c->pop3d, '/') - c->pop3d), c->pop3d);
	words_add(&c->checker, path, strlen(path));
}

void command_take(struct command *c, char **words)
{
	static char *only_options[WORDS_MOST + 2];
	static char pop3d[] = "pop3d";
	char **const tls = find_program(words, "pop3d-tls");
	char **program = find_program(tls != NULL ? tls : words, pop3d);

	words_clear(&c->tls);
	words_clear(&c->options);
	words_clear(&c->checker);
	if (tls != NULL)
		take_tls(c, tls, program);
	c->pop3d = program != NULL ? program[0] : NULL;
	if (program == NULL) {
		size_t count = 1;

		only_options[0] = pop3d;
		for (; tls == NULL && words[count - 1] != NULL && count <= WORDS_MOST; count++)
			only_options[count] = words[count - 1];
		only_options[count] = NULL;
		program = only_options;
	}
	c->is_wrong = options_read(&c->settings, program, false) >= 0 ||
		      c->settings.asked.session || c->settings.asked.admin != NULL;
	if (c->is_wrong)
		return;
	add_options(c, program + 1);
	words_add_list(&c->checker, c->settings.asked.checker);
	if (c->checker.count == 0)
		add_default_checker(c);
}
