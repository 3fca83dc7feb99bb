/* inetd: the services that inetd.conf defines; see service.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/service.h"

#define INETD_CONF "/etc/inetd.conf"

/* The fields of a line; the words of the program, the first of which is its own name, follow.
 */
enum {
	FIELD_SERVICE,
	FIELD_TYPE,
	FIELD_PROTOCOL,
	FIELD_WAIT,
	FIELD_USER,
	FIELD_SERVER,
	FIELDS
};

static void take_line(struct services *s, const char *line)
{
	static struct words words;
	struct service *added;

	words_clear(&words);
	if (line[0] == '#' || !words_add_text(&words, line) || words.count <= FIELDS ||
		!service_is_ours(&words))
		return;
	added = service_add(s, BY_INETD, INETD_CONF);
	if (added == NULL)
		return;
	words_add(&added->words, words.list[FIELD_SERVER], strlen(words.list[FIELD_SERVER]));
	/* after a wrapper such as tcpd, the name is the path of the program */
	words_add_list(&added->words,
		&words.list[FIELDS + (strstr(words.list[FIELD_SERVER], "/pop3d") != NULL)]);
	added->port = service_port(words.list[FIELD_SERVICE]);
	snprintf(added->user, sizeof added->user, "%.*s",
		(int)strcspn(words.list[FIELD_USER], ":."), words.list[FIELD_USER]);
}

void service_find_inetd(struct services *s)
{
	FILE *const file = fopen(INETD_CONF, "re");
	char *line = NULL;
	size_t room = 0;

	while (file != NULL && getline(&line, &room, file) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		take_line(s, line);
	}
	free(line);
	if (file != NULL)
		fclose(file);
}
