/* order: the order of messages; see snapshot.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maildir/snapshot.h"

#define RUN_PLACES 16
#define MICROSECOND_BITS 20

uint64_t snapshot_order(const char *unique, size_t octets)
{
	const struct uid_time time = uid_delivery_time(unique, octets);
	const uint64_t most_microseconds = ((uint64_t)1 << MICROSECOND_BITS) - 1;

	if (time.seconds > UINT64_MAX >> MICROSECOND_BITS)
		return UINT64_MAX;
	return time.seconds << MICROSECOND_BITS |
	       (time.microseconds < most_microseconds ? time.microseconds : most_microseconds);
}

static int compare_octets(const char *a, size_t a_octets, const char *b, size_t b_octets)
{
	const int order = memcmp(a, b, a_octets < b_octets ? a_octets : b_octets);

	if (order != 0)
		return order;
	return (a_octets > b_octets) - (a_octets < b_octets);
}

/* Compares the times themselves, for two messages with the same value of snapshot_order. */
static int compare_large_times(struct uid_time a, struct uid_time b)
{
	if (a.seconds != b.seconds)
		return a.seconds < b.seconds ? -1 : 1;
	return (a.microseconds > b.microseconds) - (a.microseconds < b.microseconds);
}

int snapshot_compare(uint64_t a_order, const char *a, size_t a_octets, uint64_t b_order,
	const char *b, size_t b_octets)
{
	const uint64_t saturated = ((uint64_t)1 << MICROSECOND_BITS) - 1;

	if (a_order != b_order)
		return a_order < b_order ? -1 : 1;
	if ((a_order & saturated) == saturated) {
		const int order = compare_large_times(
			uid_delivery_time(a, a_octets), uid_delivery_time(b, b_octets));

		if (order != 0)
			return order;
	}
	return compare_octets(a, a_octets, b, b_octets);
}

static int compare_unique(const struct entry *a, const struct entry *b)
{
	return snapshot_compare(
		a->order, a->name, a->unique_octets, b->order, b->name, b->unique_octets);
}

static bool is_before(const struct entry *a, const struct entry *b)
{
	int order;

	if (a->order != b->order)
		return a->order < b->order;
	order = compare_unique(a, b);
	if (order != 0)
		return order < 0;
	if (a->place != b->place)
		return a->place == PLACE_CUR;
	return compare_octets(a->name, a->name_octets, b->name, b->name_octets) < 0;
}

/* Sorts the first entries into a run and returns its length. The run ends before the first
 * entry that would have to go back by more than this many places: names that a directory
 * returns nearly in their order become a single run. */
static size_t make_run(struct entry *entries, size_t count, size_t places)
{
	for (size_t i = 1; i < count; i++) {
		const struct entry moved = entries[i];
		size_t at = i;

		if (i > places && is_before(&moved, &entries[i - places - 1]))
			return i;
		for (; at > 0 && is_before(&moved, &entries[at - 1]); at--)
			entries[at] = entries[at - 1];
		entries[at] = moved;
	}
	return count;
}

/* Some file systems (tmpfs) return the latest entries first. */
static void turn_if_latest_first(struct entry *entries, size_t count)
{
	if (!is_before(&entries[count - 1], &entries[0]))
		return;
	for (size_t i = 0; i < count / 2; i++) {
		const struct entry moved = entries[i];

		entries[i] = entries[count - 1 - i];
		entries[count - 1 - i] = moved;
	}
}

static void merge(struct entry *to, const struct entry *a, size_t a_count,
	const struct entry *b, size_t b_count)
{
	while (a_count > 0 && b_count > 0) {
		if (is_before(b, a)) {
			*to++ = *b++;
			b_count--;
		} else {
			*to++ = *a++;
			a_count--;
		}
	}
	memcpy(to, a, a_count * sizeof *a);
	memcpy(to + a_count, b, b_count * sizeof *b);
}

/* Merges neighbours; returns how many runs are left. */
static size_t merge_runs(
	struct entry *to, const struct entry *from, size_t *lengths, size_t run_count)
{
	size_t left = 0;

	for (size_t i = 0; i < run_count; i += 2) {
		const size_t second = i + 1 < run_count ? lengths[i + 1] : 0;
		const size_t length = lengths[i] + second;

		merge(to, from, lengths[i], from + lengths[i], second);
		lengths[left++] = length;
		to += length;
		from += length;
	}
	return left;
}

/* A merge sort of our own, because qsort of musl is several times slower. */
bool snapshot_sort(struct snapshot *s)
{
	struct entry *other;
	size_t *lengths;
	size_t run_count = 0, sorted;

	if (s->count <= SNAPSHOT_FEW) {
		make_run(s->entries, s->count, SNAPSHOT_FEW);
		return true;
	}
	turn_if_latest_first(s->entries, s->count);
	sorted = make_run(s->entries, s->count, RUN_PLACES);
	if (sorted == s->count)
		return true;
	other = reallocarray(NULL, s->capacity, sizeof *other);
	lengths = reallocarray(NULL, s->count / RUN_PLACES + 2, sizeof *lengths);
	if (other == NULL || lengths == NULL) {
		free(other);
		free(lengths);
		errno = ENOMEM;
		return false;
	}
	lengths[run_count++] = sorted;
	while (sorted < s->count) {
		lengths[run_count] =
			make_run(s->entries + sorted, s->count - sorted, RUN_PLACES);
		sorted += lengths[run_count++];
	}
	while (run_count > 1) {
		struct entry *const merged = other;

		run_count = merge_runs(merged, s->entries, lengths, run_count);
		other = s->entries;
		s->entries = merged;
	}
	free(other);
	free(lengths);
	return true;
}

bool snapshot_same_unique(const struct entry *a, const struct entry *b)
{
	return a->order == b->order && a->unique_octets == b->unique_octets &&
	       memcmp(a->name, b->name, a->unique_octets) == 0;
}

/* The number of the first message that does not stand before (after: that stands after) this
 * unique name. */
static size_t find_bound(
	const struct snapshot *s, const char *unique, size_t unique_octets, bool after)
{
	const struct entry wanted = {.name = unique,
		.unique_octets = (uint8_t)unique_octets,
		.order = snapshot_order(unique, unique_octets)};
	size_t low = 0, high = s->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = compare_unique(&s->entries[middle], &wanted);

		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entries range(struct snapshot *s, size_t start, size_t end)
{
	return (struct entries){start < end ? &s->entries[start] : NULL, end - start};
}

/* Most unique names occur once, so the next message is compared before the binary search. */
struct entries snapshot_find(struct snapshot *s, const char *name, size_t name_octets)
{
	const size_t unique_octets = uid_unique_octets(name, name_octets);
	const size_t start = find_bound(s, name, unique_octets, false);
	struct entry wanted = {.name = name, .unique_octets = (uint8_t)unique_octets};

	if (start == s->count)
		return range(s, start, start);
	wanted.order = s->entries[start].order;
	if (!snapshot_same_unique(&s->entries[start], &wanted))
		return range(s, start, start);
	if (start + 1 == s->count || !snapshot_same_unique(&s->entries[start + 1], &wanted))
		return range(s, start, start + 1);
	return range(s, start, find_bound(s, name, unique_octets, true));
}

struct entries snapshot_find_base(struct snapshot *s, const char *base, size_t base_octets)
{
	return range(s, find_bound(s, base, base_octets, false),
		find_bound(s, base, base_octets, true));
}

/* All names that begin with the base and ',' are neighbours. They end where the base with the
 * octet after ',' would stand. */
struct entries snapshot_find_fields(struct snapshot *s, const char *base, size_t base_octets)
{
	char bound[UID_NAME_OCTETS + 1];
	size_t start;

	memcpy(bound, base, base_octets);
	bound[base_octets] = ',';
	start = find_bound(s, bound, base_octets + 1, false);
	bound[base_octets]++;
	return range(s, start, find_bound(s, bound, base_octets + 1, false));
}
