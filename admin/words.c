/* words: see words.h. */
#include "admin/words.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

void words_clear(struct words *w)
{
	w->count = w->used = 0;
	w->list[0] = NULL;
	w->is_full = false;
}

void words_add(struct words *w, const char *word, size_t octets)
{
	if (w->count == WORDS_MOST || octets >= sizeof w->octets - w->used) {
		w->is_full = true;
		return;
	}
	w->list[w->count++] = memcpy(w->octets + w->used, word, octets);
	w->list[w->count] = NULL;
	w->octets[w->used + octets] = '\0';
	w->used += octets + 1;
}

void words_add_list(struct words *w, char *const *list)
{
	for (; *list != NULL; list++)
		words_add(w, *list, strlen(*list));
}

/* The octets of the next word, its quotes removed; *text becomes what follows. Returns SIZE_MAX
 * if a quote is not closed. */
static size_t take_word(const char **text, char *word)
{
	const char *at = *text;
	size_t octets = 0;
	char quote = '\0';

	for (; *at != '\0' && (quote != '\0' || strchr(BLANKS, *at) == NULL); at++) {
		if (*at == quote)
			quote = '\0';
		else if (quote == '\0' && (*at == '"' || *at == '\''))
			quote = *at;
		else
			word[octets++] = *at;
	}
	*text = at;
	return quote == '\0' ? octets : SIZE_MAX;
}

bool words_add_text(struct words *w, const char *text)
{
	char *const word = malloc(strlen(text) + 1);
	bool good = word != NULL;

	for (text += strspn(text, BLANKS); good && *text != '\0';
		text += strspn(text, BLANKS)) {
		const size_t octets = take_word(&text, word);

		good = octets != SIZE_MAX;
		if (good)
			words_add(w, word, octets);
	}
	free(word);
	return good;
}

const char *variables_get(const struct variables *v, const char *name, size_t name_octets)
{
	for (size_t i = v->pairs.count; i > 0; i--) {
		const char *const pair = v->pairs.list[i - 1];

		if (strncmp(pair, name, name_octets) == 0 && pair[name_octets] == '=')
			return pair + name_octets + 1;
	}
	return NULL;
}

static bool is_name(const char *name, size_t octets)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	return octets > 0 && strchr(letters, name[0]) != NULL &&
	       strspn(name,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") ==
		       octets;
}

/* A line is good if it is empty, a comment, or one word NAME=value, whose value may be in
 * quotes.
 */
static bool take_line(struct variables *v, const char *line)
{
	static struct words words;
	const char *const equals = strchr(line, '=');

	line += strspn(line, BLANKS);
	if (*line == '\0' || *line == '#')
		return true;
	words_clear(&words);
	if (equals == NULL || !is_name(line, (size_t)(equals - line)) ||
		!words_add_text(&words, line) || words.count != 1)
		return false;
	words_add_list(&v->pairs, words.list);
	return true;
}

long variables_read(struct variables *v, const char *path)
{
	FILE *const file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t octets;
	long bad = 0;

	if (file == NULL)
		return -1;
	for (long number = 1; (octets = getline(&line, &room, file)) >= 0; number++) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!take_line(v, line) && bad == 0)
			bad = number;
	}
	free(line);
	fclose(file);
	return bad;
}
