/* auth_line: see auth_line.h. */
#include "checkpw/auth_line.h"

#include <string.h>

#define ESCAPE '\001'

/* What follows the escape character, and what it stands for; others stand for themselves. */
static char unescape(char octet)
{
	switch (octet) {
	case '0': return '\0';
	case '1': return ESCAPE;
	case 't': return '\t';
	case 'r': return '\r';
	case 'n': /* of later versions */
	case 'l': return '\n';
	default: return octet;
	}
}

/* Writes the field back to where it began. A NUL would cut it. */
static bool unescape_field(char *field, size_t length)
{
	size_t written = 0;

	for (size_t at = 0; at < length; at++) {
		char octet = field[at];

		if (octet == ESCAPE) {
			if (++at == length)
				return false;
			octet = unescape(field[at]);
		}
		if (octet == '\0')
			return false;
		field[written++] = octet;
	}
	field[written] = '\0';
	return true;
}

bool auth_line_split(char *line, size_t length, struct auth_line *split)
{
	size_t start = 0;

	split->count = 0;
	for (;;) {
		const char *const tab = memchr(line + start, '\t', length - start);
		const size_t end = tab != NULL ? (size_t)(tab - line) : length;

		if (split->count == AUTH_FIELDS_MAX ||
			!unescape_field(line + start, end - start))
			return false;
		split->field[split->count++] = line + start;
		if (tab == NULL)
			return true;
		start = end + 1;
	}
}

const char *auth_line_value(const struct auth_line *line, size_t first, const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = first; i < line->count; i++) {
		const char *const field = line->field[i];

		if (strncmp(field, name, length) != 0)
			continue;
		if (field[length] == '=')
			return field + length + 1;
		if (field[length] == '\0')
			return "";
	}
	return NULL;
}

static void add_octets(struct auth_text *text, const char *octets, size_t length)
{
	if (text->is_full || length >= text->size - text->length) {
		text->is_full = true;
		return;
	}
	memcpy(text->octets + text->length, octets, length);
	text->length += length;
	text->octets[text->length] = '\0';
}

void auth_text_add(struct auth_text *text, const char *octets)
{
	add_octets(text, octets, strlen(octets));
}

void auth_text_escape(struct auth_text *text, const char *value)
{
	static const char escaped[] = "\001\t\r\n", letters[] = "1trl";

	while (*value != '\0') {
		const size_t plain = strcspn(value, escaped);
		const char *letter;

		add_octets(text, value, plain);
		value += plain;
		if (*value == '\0')
			return;
		letter = &letters[strchr(escaped, *value) - escaped];
		add_octets(text, "\001", 1);
		add_octets(text, letter, 1);
		value++;
	}
}
