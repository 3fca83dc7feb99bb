/* option: see option.h. */
#include "lib/option.h"

#include <string.h>

#include "lib/argument.h"
#include "lib/number.h"

#define HELP_COLUMN 29

/* The value of a switch needs no word, nor does that of an action. */
static bool has_value(const struct option_row *row)
{
	return row->value != NULL;
}

static void *field_of(const struct option_row *row, void *settings)
{
	return (char *)settings + row->field;
}

static const void *field_in(const struct option_row *row, const void *settings)
{
	return (const char *)settings + row->field;
}

static bool take_value(const struct option_row *row, void *settings, const char *value)
{
	void *const field = field_of(row, settings);

	if (row->take != NULL)
		return row->take(settings, value);
	switch (row->kind) {
	case OPTION_SWITCH: *(bool *)field = true; return true;
	case OPTION_SECONDS: return argument_seconds(value, row->least, row->most, field);
	case OPTION_TEXT: memcpy(field, &value, sizeof value); return value[0] != '\0';
	case OPTION_OTHER:
	case OPTION_ACTION: break;
	}
	return false;
}

/* Whether a row takes no abbreviation away from another one. */
static bool is_late(const struct option_row *row)
{
	return row->is_late || row->help == NULL;
}

/* The row of that name, or the only one whose name begins so. */
static const struct option_row *find_name(
	const struct option_table *t, const char *name, size_t length)
{
	const struct option_row *found[2] = {NULL, NULL};
	size_t counts[2] = {0, 0};

	for (size_t i = 0; i < t->count; i++) {
		const struct option_row *const row = &t->rows[i];

		if (strncmp(row->name, name, length) != 0)
			continue;
		if (row->name[length] == '\0')
			return row;
		found[is_late(row)] = row;
		counts[is_late(row)]++;
	}
	if (counts[false] > 0)
		return counts[false] == 1 ? found[false] : NULL;
	return counts[true] == 1 ? found[true] : NULL;
}

static const struct option_row *find_letter(const struct option_table *t, char letter)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].letter == letter)
			return &t->rows[i];
	return NULL;
}

/* Splits a word "--name=value" or "-fvalue"; *value is NULL where the word has none. */
static const struct option_row *find_row(
	const struct option_table *t, const char *word, const char **value)
{
	if (word[1] == '-') {
		const char *const name = word + 2;
		const char *const equals = strchr(name, '=');

		*value = equals != NULL ? equals + 1 : NULL;
		return find_name(
			t, name, equals != NULL ? (size_t)(equals - name) : strlen(name));
	}
	*value = word[2] != '\0' ? word + 2 : NULL;
	return find_letter(t, word[1]);
}

struct option_end option_parse(const struct option_table *t, void *settings, char **words)
{
	struct option_end end = {.index = words[0] != NULL};

	while (words[end.index] != NULL) {
		const char *const word = words[end.index];
		const char *value;

		if (word[0] != '-' || word[1] == '\0')
			return end;
		end.index++;
		if (strcmp(word, "--") == 0)
			return end;
		end.row = find_row(t, word, &value);
		end.value = word;
		end.is_wrong = true;
		if (end.row != NULL && has_value(end.row) && value == NULL)
			value = words[end.index] != NULL ? words[end.index++] : NULL;
		if (end.row == NULL || has_value(end.row) != (value != NULL)) {
			end.row = NULL;
			return end;
		}
		end.is_wrong =
			end.row->kind != OPTION_ACTION && !take_value(end.row, settings, value);
		if (value != NULL)
			end.value = value;
		if (end.is_wrong || end.row->kind == OPTION_ACTION)
			return end;
		end.row = NULL;
	}
	return end;
}

/* A text that grows; used stays below octets, or says that it did not fit. */
struct text {
	char *octets;
	size_t used, room;
};

static void append_octets(struct text *t, const char *octets, size_t length)
{
	if (t->used < t->room && length < t->room - t->used) {
		memcpy(t->octets + t->used, octets, length);
		t->octets[t->used + length] = '\0';
		t->used += length;
	} else {
		t->used = t->room;
	}
}

static void add_text(struct text *t, const char *text)
{
	append_octets(t, text, strlen(text));
}

static void add_blanks(struct text *t, size_t count)
{
	for (size_t i = 0; i < count; i++)
		append_octets(t, " ", 1);
}

static void add_help(struct text *t, const struct option_row *row)
{
	const size_t start = t->used;
	const char *line = row->help;

	add_text(t, "  ");
	if (row->letter != '\0') {
		add_text(t, "-");
		append_octets(t, &row->letter, 1);
		add_text(t, ", ");
	}
	add_text(t, "--");
	add_text(t, row->name);
	if (row->value != NULL) {
		add_text(t, " ");
		add_text(t, row->value);
	}
	/* a blank at least between the two, also where the first is long */
	add_blanks(t, 1);
	while (t->used < t->room && t->used - start < HELP_COLUMN)
		add_blanks(t, 1);
	for (const char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
		append_octets(t, line, (size_t)(end - line) + 1);
		add_blanks(t, HELP_COLUMN);
		line = end + 1;
	}
	add_text(t, line);
	add_text(t, "\n");
}

bool option_help(const struct option_table *t, char *text, size_t octets)
{
	struct text help = {text, 0, octets};

	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].help != NULL)
			add_help(&help, &t->rows[i]);
	return help.used < help.room;
}

static uint64_t seconds_of(const int64_t *seconds)
{
	return *seconds > 0 ? (uint64_t)*seconds : 0;
}

enum giving { GIVE_NOTHING, GIVE_VALUE, GIVE_TOO_LONG };

/* The value as the kind has it. */
static enum giving give_value(
	const struct option_row *row, const void *settings, char *value, size_t octets)
{
	const void *const field = field_in(row, settings);
	struct text text = {value, 0, octets};
	char digits[NUMBER_DIGITS];
	const char *known;

	if (row->give != NULL)
		return row->give(settings, value, octets) ? GIVE_VALUE : GIVE_NOTHING;
	switch (row->kind) {
	case OPTION_SWITCH: return *(const bool *)field ? GIVE_VALUE : GIVE_NOTHING;
	case OPTION_SECONDS:
		append_octets(&text, digits, number_write(digits, seconds_of(field)));
		return text.used < text.room ? GIVE_VALUE : GIVE_TOO_LONG;
	case OPTION_TEXT:
		memcpy(&known, field, sizeof known);
		if (known == NULL || known[0] == '\0')
			return GIVE_NOTHING;
		add_text(&text, known);
		return text.used < text.room ? GIVE_VALUE : GIVE_TOO_LONG;
	case OPTION_OTHER:
	case OPTION_ACTION: break;
	}
	return GIVE_NOTHING;
}

size_t option_argument(
	const struct option_row *row, const void *settings, char *text, size_t octets)
{
	struct text argument = {text, 0, octets};

	add_text(&argument, "--");
	add_text(&argument, row->name);
	if (has_value(row))
		add_text(&argument, "=");
	if (argument.used == argument.room)
		return SIZE_MAX;
	switch (give_value(row, settings, text + argument.used, octets - argument.used)) {
	case GIVE_NOTHING: return 0;
	case GIVE_VALUE: return strlen(text);
	case GIVE_TOO_LONG: break;
	}
	return SIZE_MAX;
}
