/* reply: see reply.h. */
#include "reply.h"

#include <stdlib.h>
#include <string.h>

void reply_expect(struct reply *r, enum reply_shape shape, bool checked)
{
	r->shape = shape;
	r->checked = checked;
	r->in_body = false;
	r->problem = NULL;
	r->lines = r->sum_octets = r->wire_octets = r->octets = r->line_octets = 0;
	r->line_length = 0;
	memcpy(r->tail, "   \r\n", sizeof r->tail); /* As if a line had just ended. */
}

static enum reply_event wrong(struct reply *r, const char *problem)
{
	r->problem = problem;
	return REPLY_WRONG;
}

/* Gathers a line. Returns REPLY_COMPLETE when it is complete, terminated and without its
 * CRLF. */
static enum reply_event take_line(
	struct reply *r, const char *octets, size_t length, size_t *used)
{
	const char *const feed = memchr(octets, '\n', length);
	const size_t piece = feed != NULL ? (size_t)(feed - octets) + 1 : length;

	if (r->line_length + piece > REPLY_LINE_OCTETS)
		return wrong(r, "a line of more than 512 octets");
	memcpy(r->line + r->line_length, octets, piece);
	r->line_length += piece;
	*used = piece;
	if (feed == NULL)
		return REPLY_MORE;
	if (r->line_length < 2 || r->line[r->line_length - 2] != '\r')
		return wrong(r, "a line that ends in LF without CR");
	r->line_length -= 2;
	r->line[r->line_length] = '\0';
	return REPLY_COMPLETE;
}

static enum reply_event judge_status(struct reply *r)
{
	if (strncmp(r->line, "-ERR", 4) == 0)
		return wrong(r, "a negative reply");
	if (strncmp(r->line, "+OK", 3) != 0 || (r->line[3] != '\0' && r->line[3] != ' '))
		return wrong(r, "neither +OK nor -ERR");
	if (r->shape == REPLY_STATUS)
		return REPLY_COMPLETE;
	r->in_body = true;
	r->line_length = 0;
	return REPLY_STARTED;
}

static bool keep_size(struct reply_sizes *sizes, uint64_t octets)
{
	if (sizes->count == sizes->capacity) {
		const size_t capacity = sizes->capacity == 0 ? 64 : 2 * sizes->capacity;
		uint64_t *const grown = reallocarray(sizes->octets, capacity, sizeof *grown);

		if (grown == NULL)
			return false;
		sizes->octets = grown;
		sizes->capacity = capacity;
	}
	sizes->octets[sizes->count++] = octets;
	return true;
}

/* A line of LIST or UIDL. Messages are numbered from 1, without gaps because nothing is
 * deleted. */
static enum reply_event judge_listing_line(struct reply *r)
{
	char *end;
	const unsigned long long number = strtoull(r->line, &end, 10);
	uint64_t octets;

	if (strcmp(r->line, ".") == 0)
		return REPLY_COMPLETE;
	r->lines++;
	if (number != r->lines || end[0] != ' ' || end[1] == '\0')
		return wrong(r, "a line of a listing that is out of order");
	if (r->shape == REPLY_UIDS)
		return strlen(end + 1) > REPLY_UID_OCTETS
			       ? wrong(r, "a unique id that is too long")
			       : REPLY_MORE;
	octets = strtoull(end + 1, &end, 10);
	if (*end != '\0' && *end != ' ')
		return wrong(r, "a scan listing without a size");
	r->sum_octets += octets;
	if (r->sizes != NULL && !keep_size(r->sizes, octets))
		return wrong(r, "no memory for the sizes");
	return REPLY_MORE;
}

static enum reply_event take_listing(
	struct reply *r, const char *octets, size_t length, size_t *used)
{
	size_t taken = 0;

	*used = 0;
	while (*used < length) {
		enum reply_event event = take_line(r, octets + *used, length - *used, &taken);

		*used += taken;
		if (event == REPLY_COMPLETE) {
			event = judge_listing_line(r);
			r->line_length = 0;
		}
		if (event != REPLY_MORE)
			return event;
	}
	return REPLY_MORE;
}

/* A line of a message, or a piece of one. before is the octet before its last one. */
static enum reply_event judge_message_line(struct reply *r, char before)
{
	const uint64_t length = r->line_octets;

	if (length < 2 || before != '\r')
		return wrong(r, "a line of a message that ends in LF without CR");
	r->octets += length;
	if (r->line_start[0] != '.')
		return REPLY_MORE;
	if (length == 3) {
		r->octets -= length;
		return REPLY_COMPLETE;
	}
	r->octets--;
	return r->line_start[1] == '.' ? REPLY_MORE : wrong(r, "a dot that is not doubled");
}

static enum reply_event take_checked(
	struct reply *r, const char *octets, size_t length, size_t *used)
{
	size_t at = 0;

	while (at < length) {
		const char *const start = octets + at;
		const char *const feed = memchr(start, '\n', length - at);
		const size_t piece = feed != NULL ? (size_t)(feed - start) + 1 : length - at;
		const char before = piece > 1 ? start[piece - 2] : r->tail[0];
		enum reply_event event;

		for (size_t i = 0; i < piece && r->line_octets + i < 2; i++)
			r->line_start[r->line_octets + i] = start[i];
		r->line_octets += piece;
		r->tail[0] = start[piece - 1];
		at += piece;
		if (feed == NULL)
			break;
		event = judge_message_line(r, before);
		r->line_octets = 0;
		if (event != REPLY_MORE) {
			*used = at;
			return event;
		}
	}
	*used = at;
	return REPLY_MORE;
}

/* Looks only at the end of what arrived. Within a message no line is a dot alone, so CRLF,
 * dot, CRLF is the end, provided that no other reply was asked for. */
static enum reply_event take_unchecked(
	struct reply *r, const char *octets, size_t length, size_t *used)
{
	const size_t fresh = length < sizeof r->tail ? length : sizeof r->tail;

	memmove(r->tail, r->tail + fresh, sizeof r->tail - fresh);
	memcpy(r->tail + sizeof r->tail - fresh, octets + length - fresh, fresh);
	*used = length;
	return memcmp(r->tail, "\r\n.\r\n", sizeof r->tail) == 0 ? REPLY_COMPLETE : REPLY_MORE;
}

enum reply_event reply_take(struct reply *r, const char *octets, size_t length, size_t *used)
{
	enum reply_event event;

	*used = 0;
	if (!r->in_body) {
		event = take_line(r, octets, length, used);
		return event == REPLY_COMPLETE ? judge_status(r) : event;
	}
	if (r->shape != REPLY_MESSAGE)
		return take_listing(r, octets, length, used);
	event = r->checked ? take_checked(r, octets, length, used)
			   : take_unchecked(r, octets, length, used);
	r->wire_octets += *used;
	return event;
}
