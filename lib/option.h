/* option: the one table of a program's options: parsing, --help and the session's command line
 * come from it. Pure: nothing is read or written but memory. */
#ifndef OPTION_H
#define OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_SWITCH,  /* field: bool; no value */
	OPTION_SECONDS, /* field: int64_t, from least to most */
	OPTION_TEXT,    /* field: const char *, not empty */
	OPTION_OTHER,   /* take() knows */
	OPTION_ACTION   /* no value, no field; the caller does it, and parses no further */
};

/* Takes a value into the program's settings; an OPTION_SWITCH has none (NULL). Returns false if
 * it is no good. The text stays valid: it is part of the command line. */
typedef bool option_take(void *settings, const char *value);

/* Writes the value that a session is to get, terminated, at most octets with its NUL; empty for
 * a switch. Returns false if the session does without the option. */
typedef bool option_give(const void *settings, char *value, size_t octets);

struct option_row {
	const char *name;  /* without the dashes */
	char letter;       /* -f stands for --file; or NUL */
	const char *value; /* what --help calls the value, or NULL: there is none */
	const char *help;  /* lines are separated by LF; NULL: not for people */
	enum option_kind kind;
	bool to_session; /* handed on to the session */
	bool is_late;    /* newer than the abbreviations that people use: see option_parse */
	bool is_admin;   /* an action for administrators, done by another program */
	size_t field;    /* offsetof in the program's settings */
	uint64_t least, most;
	option_take *take; /* or NULL: as the kind says */
	option_give *give; /* or NULL: as the kind says */
};

struct option_table {
	const struct option_row *rows;
	size_t count;
};

/* Where parsing ended. */
struct option_end {
	size_t index; /* of the first word that is no option */
	/* the option that ended it, or NULL: an action, or with is_wrong one whose value is bad
	 */
	const struct option_row *row;
	const char *value; /* with is_wrong: the word that is wrong */
	bool is_wrong;
};

/* Reads the options at the beginning of a command line into settings. A long option may be cut
 * as long as it stays unique; rows that are late or not for people do not make another one
 * ambiguous. Its value follows "=" or is the next word. "--" ends the options,
 * as does the first word that is none. words ends with NULL; words[0] is the program. */
struct option_end option_parse(const struct option_table *t, void *settings, char **words);

/* Writes the lines of --help for all options with a help text into text, terminated. Returns
 * false where octets are too few. */
bool option_help(const struct option_table *t, char *text, size_t octets);

/* Writes "--name" or "--name=value" as the session gets it, terminated. Returns its length; 0
 * if the session does without it, or SIZE_MAX where octets are too few. */
size_t option_argument(
	const struct option_row *row, const void *settings, char *text, size_t octets);

#endif
