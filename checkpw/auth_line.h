/* auth_line: lines of Dovecot's authentication protocol: fields with tabs between them. Pure.
 */
#ifndef PWAUTH_LINE_H
#define PWAUTH_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* As many fields as a reply can have. */
#define AUTH_FIELDS_MAX 128

/* The fields of a line; they point into it. */
struct auth_line {
	char *field[AUTH_FIELDS_MAX];
	size_t count; /* at least 1 */
};

/* Takes a line apart in place and undoes its escapes; line[length] is written. False: a NUL in
 * it, in clear or escaped, half of an escape, or too many fields. */
bool auth_line_split(char *line, size_t length, struct auth_line *split);

/* The value of the parameter "name=value" from the field number first on; "" if it has none, or
 * NULL if it is not there. */
const char *auth_line_value(const struct auth_line *line, size_t first, const char *name);

/* A line that is being made in size octets. */
struct auth_text {
	char *octets;
	size_t length, size;
	bool is_full; /* something did not fit, and the line is of no use */
};

/* Adds octets as they are, or a value with its escapes. */
void auth_text_add(struct auth_text *text, const char *octets);
void auth_text_escape(struct auth_text *text, const char *value);

#endif
