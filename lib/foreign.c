/* foreign: see foreign.h. The kinds of servers, and what they make of file names and headers;
 * foreign_list.c reads their lists. */
#include "lib/foreign.h"

#include <string.h>
#include <strings.h>

#include "lib/foreign_server.h"
#include "lib/md5.h"

/* mailfront cuts a unique-id to what RFC 1939 permits. */
#define MAILFRONT_OCTETS 70

static size_t whole_name(char uid[FOREIGN_UID_OCTETS], const char *unique, size_t octets)
{
	if (octets > FOREIGN_UID_OCTETS)
		return 0;
	memcpy(uid, unique, octets);
	return octets;
}

/* Up to the first comma, if that begins a field of one letter such as ",S=". */
static size_t without_fields(char uid[FOREIGN_UID_OCTETS], const char *unique, size_t octets)
{
	const char *const comma = memchr(unique, ',', octets);
	const size_t at = comma != NULL ? (size_t)(comma - unique) : octets;

	if (at + 2 < octets && comma[1] >= 'A' && comma[1] <= 'Z' && comma[2] == '=')
		octets = at;
	return whole_name(uid, unique, octets < MAILFRONT_OCTETS ? octets : MAILFRONT_OCTETS);
}

static size_t digest(char uid[FOREIGN_UID_OCTETS], const char *unique, size_t octets)
{
	md5_digits(uid, unique, octets);
	return MD5_DIGITS;
}

static const struct foreign_server servers[] = {
	{.name = "courier",
		.source = FOREIGN_FROM_LIST,
		.list = "courierpop3dsizelist",
		.take_line = foreign_take_courier},
	{.name = "dovecot",
		.source = FOREIGN_FROM_LIST,
		.list = "dovecot-uidlist",
		.take_line = foreign_take_dovecot,
		.format = "%08Xu%08Xv"},
	{.name = "mailfront", .source = FOREIGN_FROM_NAME, .of_name = without_fields},
	{.name = "mailutils", .source = FOREIGN_FROM_HEADER},
	{.name = "qmail", .source = FOREIGN_FROM_NAME, .of_name = whole_name},
	{.name = "solid-pop3d", .source = FOREIGN_FROM_NAME, .of_name = digest},
	{.name = "tpop3d", .source = FOREIGN_FROM_NAME, .of_name = digest},
};

bool foreign_parse(struct foreign *f, const char *text)
{
	static const struct foreign_values sample = {.name = "1.a.b", .name_octets = 5};
	const char *const colon = strchr(text, ':');
	const size_t octets = colon != NULL ? (size_t)(colon - text) : strlen(text);
	char uid[FOREIGN_UID_OCTETS];

	*f = (struct foreign){NULL, NULL};
	if (strlen(text) > FOREIGN_KIND_OCTETS)
		return false;
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		if (strlen(servers[i].name) == octets &&
			memcmp(servers[i].name, text, octets) == 0)
			f->server = &servers[i];
	if (f->server == NULL)
		return false;
	f->format = f->server->format;
	if (text[octets] == '\0')
		return true;
	f->format = text + octets + 1;
	/* it must tell one message from another */
	return f->server->format != NULL && strchr(f->format, '%') != NULL &&
	       foreign_format(uid, f->format, &sample) > 0;
}

void foreign_write(const struct foreign *f, char text[FOREIGN_KIND_OCTETS + 1])
{
	const size_t octets = strlen(f->server->name);

	memcpy(text, f->server->name, octets + 1);
	if (f->format == NULL)
		return;
	text[octets] = ':';
	/* what was parsed fits */
	memcpy(text + octets + 1, f->format, strlen(f->format) + 1);
}

enum foreign_source foreign_source(const struct foreign *f)
{
	return f->server->source;
}

const char *foreign_list_name(const struct foreign *f)
{
	return f->server->list;
}

size_t foreign_of_name(const struct foreign *f, char uid[FOREIGN_UID_OCTETS],
	const char *unique, size_t octets)
{
	size_t length = 0;

	if (f->server->of_name != NULL)
		length = f->server->of_name(uid, unique, octets);
	return foreign_is_uid(uid, length) ? length : 0;
}

/* The end of a line of the header. */
static void end_line(struct foreign_field *field)
{
	static const char name[] = "X-UIDL:";
	const size_t name_octets = sizeof name - 1;
	size_t start = name_octets, end = field->line_octets;

	if (end > 0 && field->line[end - 1] == '\r')
		end--;
	field->is_over = end == 0;
	if (end > name_octets && strncasecmp(field->line, name, name_octets) == 0) {
		while (start < end && (field->line[start] == ' ' || field->line[start] == '\t'))
			start++;
		while (end > start &&
			(field->line[end - 1] == ' ' || field->line[end - 1] == '\t'))
			end--;
		field->is_over = true;
		field->uid_octets = end - start <= 70 ? end - start : 0;
		memmove(field->line, field->line + start, end - start);
		for (size_t i = 0; i < end - start; i++)
			if (field->line[i] < 0x21 || field->line[i] > 0x7e)
				field->uid_octets = 0;
	}
	field->line_octets = 0;
}

bool foreign_take_header(struct foreign_field *field, const char *octets, size_t length)
{
	for (size_t i = 0; i < length && !field->is_over; i++) {
		if (octets[i] == '\n')
			end_line(field);
		else if (field->line_octets < sizeof field->line)
			field->line[field->line_octets++] = octets[i];
	}
	return !field->is_over;
}
