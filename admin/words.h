/* words: lists of words, and variables that hold them, as the files of superservers have them.
 */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MOST 255
#define WORDS_OCTETS 16384

/* A command line: list ends with NULL. Its words lie in octets. */
struct words {
	char *list[WORDS_MOST + 1];
	size_t count;
	char octets[WORDS_OCTETS];
	size_t used;
	bool is_full; /* a word did not fit */
};

/* Forgets all words. */
void words_clear(struct words *w);

/* Adds one word of so many octets. */
void words_add(struct words *w, const char *word, size_t octets);

/* Adds the words of a list that ends with NULL. */
void words_add_list(struct words *w, char *const *list);

/* Adds the words of a text, which blanks separate. Quotes of both kinds keep blanks in a word,
 * and are removed. Returns false if a quote is not closed. */
bool words_add_text(struct words *w, const char *text);

/* NAME=value pairs; later ones replace earlier ones. */
struct variables {
	struct words pairs;
};

/* The value, or NULL. */
const char *variables_get(const struct variables *v, const char *name, size_t name_octets);

/* Reads a file of variables as systemd and a shell do: NAME=value or NAME="value" a line; '#'
 * begins a comment. Returns 0, the number of the first line that is neither, or -1 with errno
 * if the file cannot be read. */
long variables_read(struct variables *v, const char *path);

#endif
