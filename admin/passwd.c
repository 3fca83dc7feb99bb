/* passwd: see passwd.h. */
#include "admin/passwd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *passwd_path(const struct command *c)
{
	const char *path = PWFILE_DEFAULT;

	if (strcmp(command_name(c->checker.list[0]), "pop3d-checkpw") != 0)
		return NULL;
	for (size_t i = 1; i < c->checker.count; i++) {
		const char *const word = c->checker.list[i], *const next =
								     c->checker.list[i + 1];

		if (strcmp(word, "--system") == 0 || strcmp(word, "--pam") == 0 ||
			strcmp(word, "--dovecot") == 0)
			return NULL;
		if (strncmp(word, "--file=", 7) == 0)
			path = word + 7;
		else if ((strcmp(word, "--file") == 0 || strcmp(word, "-f") == 0) &&
			 next != NULL)
			path = next;
		else if (strncmp(word, "-f", 2) == 0 && word[2] != '\0')
			path = word + 2;
	}
	return path;
}

bool passwd_read(const char *path, passwd_take *take, void *context)
{
	static struct pwfile_entry entry;
	FILE *const file = fopen(path, "re");
	char *line = NULL, *parsed;
	size_t room = 0;
	ssize_t octets;

	if (file == NULL)
		return false;
	for (unsigned long number = 1; (octets = getline(&line, &room, file)) >= 0; number++) {
		const char *why = "it is too long";
		enum pwfile_line kind = PWFILE_BAD;

		octets -= octets > 0 && line[octets - 1] == '\n';
		line[octets] = '\0';
		parsed = malloc((size_t)octets + 1);
		if (parsed != NULL && octets <= PWFILE_LINE_MAX) {
			memcpy(parsed, line, (size_t)octets + 1);
			kind = pwfile_parse(parsed, (size_t)octets, &entry, &why);
		}
		take(context, number, line, kind, &entry, why);
		free(parsed);
	}
	explicit_bzero(&entry, sizeof entry);
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	fclose(file);
	return true;
}
