/* snapshot: see snapshot.h. */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_OCTETS 65536

struct name_block {
	struct name_block *next;
	char octets[BLOCK_OCTETS];
};

void snapshot_init(struct snapshot *s)
{
	memset(s, 0, sizeof *s);
}

void snapshot_free(struct snapshot *s)
{
	while (s->blocks != NULL) {
		struct name_block *const next = s->blocks->next;

		free(s->blocks);
		s->blocks = next;
	}
	free(s->messages);
	snapshot_init(s);
}

/* Names never move, so that messages can point to them. */
static const char *keep_name(struct snapshot *s, const char *name, size_t octets)
{
	char *kept;

	if (s->blocks == NULL || s->block_used + octets + 1 > BLOCK_OCTETS) {
		struct name_block *const block = malloc(sizeof *block);

		if (block == NULL)
			return NULL;
		block->next = s->blocks;
		s->blocks = block;
		s->block_used = 0;
	}
	kept = s->blocks->octets + s->block_used;
	memcpy(kept, name, octets);
	kept[octets] = '\0';
	s->block_used += octets + 1;
	return kept;
}

static bool grow(struct snapshot *s)
{
	const size_t capacity = s->capacity == 0 ? 64 : 2 * s->capacity;
	struct message *const messages = reallocarray(s->messages, capacity, sizeof *messages);

	if (messages == NULL)
		return false;
	s->messages = messages;
	s->capacity = capacity;
	return true;
}

bool snapshot_rename(struct snapshot *s, struct message *m, enum place place, const char *name,
	size_t name_octets)
{
	const char *const kept = keep_name(s, name, name_octets);

	if (kept == NULL)
		return false;
	m->name = kept;
	m->name_octets = (uint8_t)name_octets;
	m->place = (uint8_t)place;
	return true;
}

bool snapshot_add(struct snapshot *s, enum place place, const char *name, size_t name_octets)
{
	struct message m = {0};

	if (s->count == s->capacity && !grow(s))
		return false;
	if (!snapshot_rename(s, &m, place, name, name_octets))
		return false;
	m.unique_octets = (uint8_t)uid_unique_octets(m.name, name_octets);
	m.time = uid_delivery_time(m.name, m.unique_octets);
	s->messages[s->count++] = m;
	return true;
}

void snapshot_truncate(struct snapshot *s, size_t count)
{
	if (count < s->count)
		s->count = count;
}

static int compare_octets(const char *a, size_t a_octets, const char *b, size_t b_octets)
{
	const int order = memcmp(a, b, a_octets < b_octets ? a_octets : b_octets);

	if (order != 0)
		return order;
	return (a_octets > b_octets) - (a_octets < b_octets);
}

static int compare_unique(const struct message *a, const struct message *b)
{
	if (a->time.seconds != b->time.seconds)
		return a->time.seconds < b->time.seconds ? -1 : 1;
	if (a->time.microseconds != b->time.microseconds)
		return a->time.microseconds < b->time.microseconds ? -1 : 1;
	return compare_octets(a->name, a->unique_octets, b->name, b->unique_octets);
}

static int compare(const void *left, const void *right)
{
	const struct message *const a = left, *const b = right;
	const int order = compare_unique(a, b);

	if (order != 0)
		return order;
	if (a->place != b->place)
		return a->place == PLACE_CUR ? -1 : 1;
	return compare_octets(a->name, a->name_octets, b->name, b->name_octets);
}

void snapshot_sort(struct snapshot *s)
{
	if (s->count > 1)
		qsort(s->messages, s->count, sizeof *s->messages, compare);
}

void snapshot_compact(struct snapshot *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++)
		if (!s->messages[i].dropped)
			s->messages[kept++] = s->messages[i];
	s->count = kept;
}

bool snapshot_same_unique(const struct message *a, const struct message *b)
{
	return a->unique_octets == b->unique_octets &&
	       memcmp(a->name, b->name, a->unique_octets) == 0;
}

struct message *snapshot_find(
	struct snapshot *s, const char *name, size_t name_octets, size_t *count)
{
	struct message wanted = {.name = name};
	size_t low = 0, high = s->count, end;

	wanted.unique_octets = (uint8_t)uid_unique_octets(name, name_octets);
	wanted.time = uid_delivery_time(name, wanted.unique_octets);
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (compare_unique(&s->messages[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < s->count && snapshot_same_unique(&s->messages[end], &wanted);)
		end++;
	*count = end - low;
	return *count > 0 ? &s->messages[low] : NULL;
}
