/* xinetd: the services that the files of xinetd define; see service.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/service.h"

#define DIRECTORY "/etc/xinetd.d"
#define SHIPPED_SBIN "/usr/local/sbin"
#define VALUE_OCTETS 4096

/* A block of the form: service NAME { key = value ... } */
struct block {
	char name[64], port[16], server[256], arguments[VALUE_OCTETS], user[64];
	bool is_disabled;
};

static void take_key(struct block *b, const char *key, const char *value)
{
	if (strcmp(key, "port") == 0)
		snprintf(b->port, sizeof b->port, "%s", value);
	else if (strcmp(key, "server") == 0)
		snprintf(b->server, sizeof b->server, "%s", value);
	else if (strcmp(key, "server_args") == 0)
		snprintf(b->arguments, sizeof b->arguments, "%s", value);
	else if (strcmp(key, "user") == 0)
		snprintf(b->user, sizeof b->user, "%s", value);
	else if (strcmp(key, "disable") == 0)
		b->is_disabled = strcmp(value, "yes") == 0;
}

/* Where the script finds the programs: installation adapts its line. */
static void read_sbin(const char *script, char *sbin, size_t octets)
{
	FILE *const file = fopen(script, "re");
	char line[512];

	snprintf(sbin, octets, "%s", SHIPPED_SBIN);
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "sbin=", 5) == 0)
			snprintf(
				sbin, octets, "%.*s", (int)strcspn(line + 5, "\r\n"), line + 5);
	if (file != NULL)
		fclose(file);
}

static void add_variable(
	struct words *w, const struct variables *v, const char *name, const char *otherwise)
{
	const char *const value = variables_get(v, name, strlen(name));

	words_add_text(w, value != NULL ? value : otherwise);
}

static void add_path(struct words *w, const char *sbin, const char *program)
{
	char path[512];
	const int octets = snprintf(path, sizeof path, "%s/%s", sbin, program);

	words_add(w, path, (size_t)octets);
}

/* What contrib/serve would run. It leaves TLS out on port 110 where pop3d-tls is not installed.
 */
static void add_served(struct words *w, const char *script, const char *service)
{
	static struct variables v;
	char sbin[256], tls[512], checker[512];
	FILE *program;

	words_clear(&v.pairs);
	service_read_defaults(&v, "/var/lib/pop3d/users", true);
	service_read_defaults(&v, "/etc/default/pop3d", true);
	read_sbin(script, sbin, sizeof sbin);
	snprintf(tls, sizeof tls, "%s/pop3d-tls", sbin);
	snprintf(checker, sizeof checker, "%s/pop3d-checkpw", sbin);
	program = fopen(tls, "re");
	if (strcmp(service, "pop3s") == 0 || program != NULL) {
		words_add(w, tls, strlen(tls));
		if (strcmp(service, "pop3s") != 0)
			words_add(w, "--starttls", 10);
		add_variable(w, &v, "POP3D_ENGINE", "");
		add_variable(w, &v, "POP3D_TLS_OPTIONS",
			"--cert /etc/pop3d/tls.pem --ticket-keys /etc/pop3d/tickets");
		words_add(w, "--", 2);
	}
	if (program != NULL)
		fclose(program);
	add_path(w, sbin, "pop3d");
	add_variable(w, &v, "POP3D_GREETER", "");
	add_variable(w, &v, "POP3D_OPTIONS", "");
	words_add(w, "--", 2);
	add_variable(w, &v, "POP3D_CHECKER", checker);
}

static void add_block(struct services *s, const struct block *b, const char *path)
{
	static struct words words;
	const size_t octets = strlen(b->server);
	struct service *added;

	words_clear(&words);
	words_add(&words, b->server, octets);
	words_add_text(&words, b->arguments);
	if (!service_is_ours(&words))
		return;
	added = service_add(s, BY_XINETD, path);
	if (added == NULL)
		return;
	if (octets > 6 && strcmp(b->server + octets - 6, "/serve") == 0)
		add_served(&added->words, b->server, b->arguments);
	else
		words_add_list(&added->words, words.list);
	snprintf(added->user, sizeof added->user, "%s", b->user);
	added->is_enabled = !b->is_disabled;
	added->port = service_port(b->port[0] != '\0' ? b->port : b->name);
}

/* Splits "key = value", "key += value" or "service NAME". */
static void take_line(struct services *s, struct block *b, char *line, const char *path)
{
	char *const key = line + strspn(line, " \t");
	char *value = key + strcspn(key, " \t=+-");

	if (*key == '#' || *key == '\0')
		return;
	if (*key == '}') {
		add_block(s, b, path);
		*b = (struct block){.name = ""};
		return;
	}
	while (*value != '\0' && strchr(" \t=+-", *value) != NULL &&
		strncmp(value, "--", 2) != 0)
		*value++ = '\0';
	for (size_t end = strlen(value); end > 0 && strchr(" \t", value[end - 1]) != NULL;
		end--)
		value[end - 1] = '\0';
	if (strcmp(key, "service") == 0)
		snprintf(b->name, sizeof b->name, "%s", value);
	else
		take_key(b, key, value);
}

static void read_file(struct services *s, const char *path)
{
	FILE *const file = fopen(path, "re");
	struct block block = {.name = ""};
	char *line = NULL;
	size_t room = 0;

	while (file != NULL && getline(&line, &room, file) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		take_line(s, &block, line, path);
	}
	free(line);
	if (file != NULL)
		fclose(file);
}

/* xinetd reads no file with a dot in its name, nor one that ends in '~'. */
static bool is_read(const char *name)
{
	const size_t octets = strlen(name);

	return octets > 0 && strchr(name, '.') == NULL && name[octets - 1] != '~';
}

static int is_read_entry(const struct dirent *entry)
{
	return is_read(entry->d_name);
}

void service_find_xinetd(struct services *s)
{
	struct dirent **entries = NULL;
	const int count = scandir(DIRECTORY, &entries, is_read_entry, alphasort);

	read_file(s, "/etc/xinetd.conf");
	for (int i = 0; i < count; i++) {
		char path[512];

		snprintf(path, sizeof path, DIRECTORY "/%s", entries[i]->d_name);
		read_file(s, path);
		free(entries[i]);
	}
	free(entries);
}
