/* systemd: the services that units define, read from their files; see service.h. systemd itself
 * is not asked: it may not be running, and what counts is the next start. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/service.h"

#define PATH_OCTETS 512
#define NAME_OCTETS 128
#define VALUE_OCTETS 4096
#define DROPINS_MOST 32

/* The places of unit files; the first one wins. */
static const char *const places[] = {"/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"};

#define PLACES (sizeof places / sizeof *places)

/* What is of interest in a unit. */
struct unit {
	struct variables environment;
	struct words files; /* EnvironmentFile=, each with its '-' */
	char exec[VALUE_OCTETS];
	char listen[NAME_OCTETS];
	char user[64];
	struct words wants;
};

struct dropins {
	struct dropin {
		char name[NAME_OCTETS], path[PATH_OCTETS];
	} list[DROPINS_MOST];
	size_t count;
};

/* An empty value takes back what was said before. */
static void set_list(struct words *list, const char *value)
{
	if (value[0] == '\0')
		words_clear(list);
	else
		words_add_text(list, value);
}

static void take_key(struct unit *u, const char *key, const char *value)
{
	if (strcmp(key, "ExecStart") == 0)
		snprintf(u->exec, sizeof u->exec, "%s", value);
	else if (strcmp(key, "Environment") == 0)
		set_list(&u->environment.pairs, value);
	else if (strcmp(key, "EnvironmentFile") == 0)
		set_list(&u->files, value);
	else if (strcmp(key, "ListenStream") == 0)
		snprintf(u->listen, sizeof u->listen, "%s", value);
	else if (strcmp(key, "User") == 0)
		snprintf(u->user, sizeof u->user, "%s", value);
	else if (strcmp(key, "Wants") == 0 || strcmp(key, "Requires") == 0)
		words_add_text(&u->wants, value);
}

static void take_text(struct unit *u, char *text)
{
	char *const equals = strchr(text, '=');
	char *key = text + strspn(text, " \t");

	if (equals == NULL || *key == '#' || *key == ';' || *key == '[')
		return;
	*equals = '\0';
	key[strcspn(key, " \t")] = '\0';
	take_key(u, key, equals + 1 + strspn(equals + 1, " \t"));
}

/* A line that ends in a backslash goes on in the next one. */
static bool read_file(struct unit *u, const char *path)
{
	FILE *const file = fopen(path, "re");
	char *line = NULL, text[VALUE_OCTETS] = "";
	size_t room = 0, used = 0;

	if (file == NULL)
		return false;
	while (getline(&line, &room, file) >= 0) {
		size_t octets = strcspn(line, "\r\n");
		const bool goes_on = octets > 0 && line[octets - 1] == '\\';

		if (goes_on)
			octets--;
		if (octets >= sizeof text - used)
			octets = sizeof text - used - 1;
		memcpy(text + used, line, octets);
		used += octets;
		text[used] = '\0';
		if (goes_on)
			continue;
		take_text(u, text);
		used = 0;
	}
	free(line);
	fclose(file);
	return true;
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(((const struct dropin *)one)->name, ((const struct dropin *)other)->name);
}

static void add_dropin(struct dropins *d, const char *directory, const char *name)
{
	const size_t octets = strlen(name);
	struct dropin *const added = &d->list[d->count];

	if (octets < 6 || octets >= NAME_OCTETS || strcmp(name + octets - 5, ".conf") != 0 ||
		d->count == DROPINS_MOST)
		return;
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->list[i].name, name) == 0)
			return;
	memcpy(added->name, name, octets + 1);
	if ((size_t)snprintf(added->path, sizeof added->path, "%s/%s", directory, name) <
		sizeof added->path)
		d->count++;
}

static void read_dropins(struct unit *u, const char *name)
{
	static struct dropins dropins;

	dropins.count = 0;
	for (size_t i = 0; i < PLACES; i++) {
		char path[PATH_OCTETS];
		DIR *directory;

		snprintf(path, sizeof path, "%s/%s.d", places[i], name);
		directory = opendir(path);
		for (const struct dirent *entry = NULL;
			directory != NULL && (entry = readdir(directory)) != NULL;)
			add_dropin(&dropins, path, entry->d_name);
		if (directory != NULL)
			closedir(directory);
	}
	qsort(dropins.list, dropins.count, sizeof *dropins.list, compare_names);
	for (size_t i = 0; i < dropins.count; i++)
		read_file(u, dropins.list[i].path);
}

/* Reads a unit and its drop-ins; path becomes that of its file. Returns false if there is none,
 * or if it is masked. */
static bool load(struct unit *u, const char *name, char path[PATH_OCTETS])
{
	bool found = false;

	words_clear(&u->environment.pairs);
	words_clear(&u->files);
	words_clear(&u->wants);
	u->exec[0] = u->listen[0] = u->user[0] = '\0';
	for (size_t i = 0; i < PLACES && !found; i++) {
		snprintf(path, PATH_OCTETS, "%s/%s", places[i], name);
		found = read_file(u, path);
	}
	if (found)
		read_dropins(u, name);
	return found && (u->exec[0] != '\0' || u->listen[0] != '\0' || u->wants.count > 0);
}

/* Whether a link in one of the directories *.wants starts the unit. */
static bool is_wanted(const char *name)
{
	for (size_t i = 0; i < PLACES; i++) {
		DIR *const directory = opendir(places[i]);
		bool found = false;

		for (const struct dirent *entry = NULL;
			directory != NULL && !found && (entry = readdir(directory)) != NULL;) {
			const char *const dot = strrchr(entry->d_name, '.');
			char path[2 * PATH_OCTETS];
			struct stat st;

			if (dot == NULL || strcmp(dot, ".wants") != 0)
				continue;
			snprintf(path, sizeof path, "%s/%s/%s", places[i], entry->d_name, name);
			found = lstat(path, &st) == 0;
		}
		if (directory != NULL)
			closedir(directory);
		if (found)
			return true;
	}
	return false;
}

/* Directly, or by the target of all ports. */
static bool is_enabled(const char *socket_name)
{
	static struct unit target;
	char path[PATH_OCTETS];

	if (is_wanted(socket_name))
		return true;
	if (!is_wanted("pop3d.target") || !load(&target, "pop3d.target", path))
		return false;
	for (size_t i = 0; i < target.wants.count; i++)
		if (strcmp(target.wants.list[i], socket_name) == 0)
			return true;
	return false;
}

static void read_environment(struct unit *u)
{
	for (size_t i = 0; i < u->files.count; i++) {
		const char *const path = u->files.list[i];

		service_read_defaults(&u->environment, path + (path[0] == '-'), path[0] == '-');
	}
}

/* A word $NAME stands for the words of the variable, ${NAME} for all of it as one word. */
static void expand(const struct unit *u, const char *word, struct words *w)
{
	char text[VALUE_OCTETS];
	size_t used = 0;

	if (word[0] == '$' && word[1] != '{' && word[1] != '$' && word[1] != '\0') {
		const char *const value =
			variables_get(&u->environment, word + 1, strlen(word + 1));

		if (value != NULL)
			words_add_text(w, value);
		return;
	}
	while (*word != '\0' && used < sizeof text - 1) {
		const char *const end = strncmp(word, "${", 2) == 0 ? strchr(word, '}') : NULL;
		const char *value;

		if (end == NULL) {
			word += word[0] == '$' && word[1] == '$';
			text[used++] = *word++;
			continue;
		}
		value = variables_get(&u->environment, word + 2, (size_t)(end - word) - 2);
		word = end + 1;
		for (; value != NULL && *value != '\0' && used < sizeof text - 1; value++)
			text[used++] = *value;
	}
	words_add(w, text, used);
}

static void add_template(struct services *s, const char *template)
{
	static struct unit unit;
	static struct words words, expanded;
	char name[NAME_OCTETS + 16], path[PATH_OCTETS], socket_path[PATH_OCTETS];
	struct service *added;

	snprintf(name, sizeof name, "%s@.service", template);
	if (!load(&unit, name, path))
		return;
	words_clear(&words);
	words_clear(&expanded);
	/* the prefixes of ExecStart= */
	words_add_text(&words, unit.exec + strspn(unit.exec, "-@:+!"));
	if (!service_is_ours(&words))
		return;
	read_environment(&unit);
	for (size_t i = 0; i < words.count; i++)
		expand(&unit, words.list[i], &expanded);
	added = service_add(s, BY_SYSTEMD, path);
	if (added == NULL)
		return;
	words_add_list(&added->words, expanded.list);
	snprintf(added->user, sizeof added->user, "%s", unit.user);
	snprintf(name, sizeof name, "%s.socket", template);
	added->is_enabled = load(&unit, name, socket_path) && is_enabled(name);
	added->port = service_port(unit.listen);
}

/* A name of the form NAME@.service whose NAME is not in the list yet. */
static void add_name(struct words *names, const char *file)
{
	static const char end[] = "@.service";
	const size_t octets = strlen(file);

	if (octets < sizeof end || octets >= NAME_OCTETS ||
		strcmp(file + octets - (sizeof end - 1), end) != 0)
		return;
	for (size_t i = 0; i < names->count; i++)
		if (strlen(names->list[i]) == octets - (sizeof end - 1) &&
			strncmp(names->list[i], file, strlen(names->list[i])) == 0)
			return;
	words_add(names, file, octets - (sizeof end - 1));
}

void service_find_systemd(struct services *s)
{
	static struct words names;

	words_clear(&names);
	for (size_t i = 0; i < PLACES; i++) {
		DIR *const directory = opendir(places[i]);

		for (const struct dirent *entry = NULL;
			directory != NULL && (entry = readdir(directory)) != NULL;)
			add_name(&names, entry->d_name);
		if (directory != NULL)
			closedir(directory);
	}
	for (size_t i = 0; i < names.count; i++)
		add_template(s, names.list[i]);
}
