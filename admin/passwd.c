/* passwd: see passwd.h. */
#include "admin/passwd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool passwd_options(const struct command *c, struct pw_options *options)
{
	return strcmp(command_name(c->checker.list[0]), "pop3d-checkpw") == 0 &&
	       pwoptions_parse((char **)c->checker.list, options) == PW_OK;
}

bool passwd_read(const char *path, passwd_take *take, void *context)
{
	static struct pwfile_entry entry;
	FILE *const file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t octets;

	if (file == NULL)
		return false;
	for (unsigned long number = 1; (octets = getline(&line, &room, file)) >= 0; number++) {
		enum pwfile_line kind;
		const char *why;

		octets -= octets > 0 && line[octets - 1] == '\n';
		line[octets] = '\0';
		kind = pwfile_parse_copy(line, (size_t)octets, &entry, &why);
		take(context, number, line, kind, &entry, why);
	}
	explicit_bzero(&entry, sizeof entry);
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	fclose(file);
	return true;
}
