/* text: the texts of replies for people, in every language. text.c has the catalogue. Pure
 * functions. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum language { LANGUAGE_ENGLISH, LANGUAGE_GERMAN, LANGUAGE_COUNT };

enum text {
	TEXT_READY,
	TEXT_PASSWORD_REQUIRED,
	TEXT_CAPABILITIES,
	TEXT_GOODBYE,
	TEXT_GOODBYE_EMPTY,
	TEXT_GOODBYE_ONE_LEFT,
	TEXT_GOODBYE_LEFT,
	TEXT_ONE_MESSAGE,
	TEXT_MESSAGES,
	TEXT_MAILDROP_ONE_MESSAGE,
	TEXT_MAILDROP_MESSAGES,
	TEXT_UIDS,
	TEXT_UIDS_UNREADABLE,
	TEXT_OCTETS,
	TEXT_TOP,
	TEXT_DELETED,
	TEXT_BEGIN_TLS,
	TEXT_UTF8_ON,
	TEXT_LANGUAGES,
	TEXT_LANGUAGE_SET,
	TEXT_MECHANISMS,
	TEXT_LOGIN_FAILED,
	TEXT_LOGIN_BROKEN,
	TEXT_LOGIN_LATER,
	TEXT_EMPTY_PASSWORD,
	TEXT_CREDENTIALS_TOO_LONG,
	TEXT_CREDENTIALS_CONTROLS,
	TEXT_CREDENTIALS_NOT_UTF8,
	TEXT_USER_FIRST,
	TEXT_NO_CLEARTEXT,
	TEXT_NO_CLEARTEXT_BUT_APOP,
	TEXT_NO_APOP,
	TEXT_BAD_APOP,
	TEXT_LOGIN_FIRST,
	TEXT_ALREADY_IN,
	TEXT_NO_STLS,
	TEXT_TLS_RUNS,
	TEXT_UNKNOWN_LANGUAGE,
	TEXT_UNKNOWN_MECHANISM,
	TEXT_AUTH_CANCELLED,
	TEXT_AUTH_MALFORMED,
	TEXT_AUTH_OTHER_USER,
	TEXT_UNKNOWN_COMMAND,
	TEXT_NO_ARGUMENT,
	TEXT_ARGUMENT_MISSING,
	TEXT_NUMBER_MISSING,
	TEXT_BAD_NUMBER,
	TEXT_NUMBER_AND_LINES,
	TEXT_BAD_LINES,
	TEXT_LINE_TOO_LONG,
	TEXT_NUL,
	TEXT_NO_SUCH_MESSAGE,
	TEXT_MESSAGE_DELETED,
	TEXT_MESSAGE_GONE,
	TEXT_MESSAGE_UNREADABLE,
	TEXT_ONE_NOT_REMOVED,
	TEXT_NOT_REMOVED,
	TEXT_IN_USE,
	TEXT_MAILDROP_BROKEN,
	TEXT_MAILDROP_LATER,
	TEXT_NO_MAILDROP,
	TEXT_COUNT
};

/* The values of %1, %2 and %s in a text. */
struct text_values {
	uint64_t number[2];
	const char *word;
};

/* Writes the text with its values to out, cut to capacity - 1 octets, and a terminator. Returns
 * its length. */
size_t text_fill(char *out, size_t capacity, enum text text, enum language language,
	const struct text_values *values);

/* The pattern of a text; NULL if the catalogue lacks it (a test checks that it lacks none). */
const char *text_pattern(enum text text, enum language language);

/* The language of a tag as LANG gives it (RFC 5646, case ignored; "de-AT" finds "de"). Returns
 * false if there is no such language. */
bool text_language(const char *tag, size_t length, enum language *language);

/* Tag and own name of a language: "de", "Deutsch". */
const char *text_tag(enum language language);
const char *text_language_name(enum language language);

#endif
