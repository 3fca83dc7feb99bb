/* foreign_list: the lines of dovecot-uidlist and courierpop3dsizelist; see foreign.h. */
#include <string.h>

#include "lib/foreign_server.h"
#include "lib/number.h"
#include "lib/span.h"

/* Takes the octets up to the next blank from the beginning of the rest, and drops the blank. */
static struct span take_word(struct span *rest)
{
	const char *const blank =
		rest->length > 0 ? memchr(rest->octets, ' ', rest->length) : NULL;
	struct span word = *rest;

	if (blank != NULL)
		word.length = (size_t)(blank - rest->octets);
	rest->octets += word.length;
	rest->length -= word.length;
	if (blank != NULL) {
		rest->octets++;
		rest->length--;
	}
	return word;
}

/* Takes the octets after the last blank from the end of the rest, and drops the blank. */
static struct span take_last_word(struct span *rest)
{
	struct span word = {rest->octets + rest->length, 0};

	while (rest->length > 0 && word.octets[-1] != ' ') {
		word.octets--;
		word.length++;
		rest->length--;
	}
	if (rest->length > 0)
		rest->length--;
	return word;
}

static bool is_number(struct span word, uint64_t *number)
{
	return number_parse(word.octets, word.length, number) && *number <= UINT32_MAX;
}

static bool starts_with(struct span word, char letter)
{
	return word.length > 0 && word.octets[0] == letter;
}

static struct span after_letter(struct span word)
{
	return (struct span){word.octets + 1, word.length - 1};
}

/* "3 V1795704812 N10 G...", or "1 1795704812 10". */
static enum foreign_line take_dovecot_head(struct foreign_list *list, struct span rest)
{
	uint64_t version;

	if (!is_number(take_word(&rest), &version) || (version != 1 && version != 3))
		return FOREIGN_WRONG;
	if (version == 1 && !is_number(take_word(&rest), &list->validity))
		return FOREIGN_WRONG;
	while (version == 3 && rest.length > 0) {
		const struct span word = take_word(&rest);

		if (starts_with(word, 'V') && !is_number(after_letter(word), &list->validity))
			return FOREIGN_WRONG;
	}
	if (list->validity == 0)
		return FOREIGN_WRONG;
	list->version = (unsigned)version;
	return FOREIGN_HEAD;
}

/* The file name up to its info: in a list ':' alone separates them. */
static size_t unique_octets(struct span name)
{
	const char *const colon = memchr(name.octets, ':', name.length);

	return colon != NULL ? (size_t)(colon - name.octets) : name.length;
}

/* A unique-id that the list has word for word. */
static bool take_saved(struct foreign_record *record, struct span saved)
{
	if (!foreign_is_uid(saved.octets, saved.length))
		return false;
	memcpy(record->uid, saved.octets, saved.length);
	record->uid_octets = saved.length;
	return true;
}

/* "W22 P... :" before the file name. Returns the saved unique-id; octets NULL: there is none.
 */
static struct span take_fields(struct span *rest, struct foreign_values *values)
{
	struct span saved = {NULL, 0};

	while (rest->length > 0 && rest->octets[0] != ':') {
		const struct span word = take_word(rest);

		if (starts_with(word, 'P'))
			saved = after_letter(word);
		if (starts_with(word, 'G') && word.length > 1) {
			values->guid = word.octets + 1;
			values->guid_octets = word.length - 1;
		}
	}
	if (rest->length > 0)
		*rest = after_letter(*rest);
	return saved;
}

/* "12 W22 P... :name", or "12 name" in version 1. */
enum foreign_line foreign_take_dovecot(struct foreign_list *list, const char *line,
	size_t octets, struct foreign_record *record)
{
	struct span rest = {line, octets}, saved = {NULL, 0};
	struct foreign_values values = {.validity = list->validity};

	if (list->version == 0)
		return take_dovecot_head(list, rest);
	if (!is_number(take_word(&rest), &values.uid) || values.uid == 0)
		return FOREIGN_WRONG;
	if (list->version == 3)
		saved = take_fields(&rest, &values);
	if (rest.length == 0)
		return FOREIGN_WRONG;
	record->name = rest.octets;
	record->name_octets = rest.length;
	values.name = rest.octets;
	values.name_octets = unique_octets(rest);
	/* "P" alone: the base name was the unique-id of the server before Dovecot */
	if (saved.octets != NULL && saved.length == 0)
		saved = (struct span){rest.octets, values.name_octets};
	if (saved.octets != NULL)
		return take_saved(record, saved) ? FOREIGN_RECORD : FOREIGN_NOTHING;
	record->uid_octets = foreign_format(record->uid, list->kind->format, &values);
	return record->uid_octets > 0 ? FOREIGN_RECORD : FOREIGN_NOTHING;
}

/* "/3 10 1795704816": the version, the next number, the validity. */
static enum foreign_line take_courier_head(struct foreign_list *list, struct span rest)
{
	const struct span version = take_word(&rest);

	if (version.length != 2 || version.octets[0] != '/' ||
		(version.octets[1] != '2' && version.octets[1] != '3'))
		return FOREIGN_WRONG;
	list->version = (unsigned)(version.octets[1] - '0');
	return FOREIGN_HEAD;
}

static void put(struct foreign_record *record, const char *octets, size_t length)
{
	if (record->uid_octets + length <= sizeof record->uid)
		memcpy(record->uid + record->uid_octets, octets, length);
	/* of what does not fit the length is too large, which no unique-id may have */
	record->uid_octets += length;
}

/* Of a message without a number Courier sends the file name, some octets of it as "+XX". */
static void put_name(struct foreign_record *record, struct span name)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < name.length; i++) {
		const unsigned char c = (unsigned char)name.octets[i];
		const char escaped[] = {'+', hex[c >> 4], hex[c & 15]};

		if (c < 0x21 || c > 0x7e || c == '\'' || c == ',' || c == '+')
			put(record, escaped, sizeof escaped);
		else
			put(record, name.octets + i, 1);
	}
}

/* "name octets number:validity:utf8"; the name may have blanks. */
enum foreign_line foreign_take_courier(struct foreign_list *list, const char *line,
	size_t octets, struct foreign_record *record)
{
	struct span rest = {line, octets}, ids, part;
	uint64_t number, validity, size;
	char digits[NUMBER_DIGITS];

	if (list->version == 0)
		return take_courier_head(list, rest);
	ids = take_last_word(&rest);
	part = take_last_word(&rest);
	if (!number_parse(part.octets, part.length, &size) || rest.length == 0)
		return FOREIGN_WRONG;
	part = (struct span){ids.octets, unique_octets(ids)};
	if (!is_number(part, &number) || part.length == ids.length)
		return FOREIGN_WRONG;
	ids = (struct span){ids.octets + part.length + 1, ids.length - part.length - 1};
	part = (struct span){ids.octets, unique_octets(ids)};
	if (!is_number(part, &validity))
		return FOREIGN_WRONG;
	record->name = rest.octets;
	record->name_octets = rest.length;
	record->uid_octets = 0;
	if (number == 0) {
		put_name(record, (struct span){rest.octets, unique_octets(rest)});
		return foreign_is_uid(record->uid, record->uid_octets) ? FOREIGN_RECORD
								       : FOREIGN_NOTHING;
	}
	put(record, "UID", 3);
	put(record, digits, number_write(digits, number));
	if (validity != 0) {
		put(record, "-", 1);
		put(record, digits, number_write(digits, validity));
	}
	return FOREIGN_RECORD;
}

enum foreign_line foreign_take_line(struct foreign_list *list, const char *line, size_t octets,
	struct foreign_record *record)
{
	*record = (struct foreign_record){.name = line};
	return list->kind->server->take_line(list, line, octets, record);
}
