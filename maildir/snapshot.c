/* snapshot: see snapshot.h. Order, sorting and finding are in order.c. */
#include "maildir/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maildir/index.h"

/* Large enough for malloc to map it, so that free gives it back to the system. */
#define BLOCK_OCTETS 262144

#define NAMES_AHEAD 8

struct name_block {
	struct name_block *next;
	char octets[BLOCK_OCTETS - sizeof(struct name_block *)];
};

void snapshot_init(struct snapshot *s)
{
	/* few_marks, and all that follows it, is written before it is read */
	memset(s, 0, offsetof(struct snapshot, few_marks));
	s->entries = s->few_entries;
	s->capacity = SNAPSHOT_FEW;
}

static void free_messages(struct snapshot *s)
{
	while (s->blocks != NULL) {
		struct name_block *const next = s->blocks->next;

		free(s->blocks);
		s->blocks = next;
	}
	if (s->entries != s->few_entries)
		free(s->entries);
	free(s->twins);
	free(s->corrections);
	s->entries = s->few_entries;
	s->capacity = SNAPSHOT_FEW;
	s->twins = NULL;
	s->twin_count = s->twin_capacity = 0;
	s->corrections = NULL;
	s->correction_count = s->correction_capacity = 0;
	s->block_used = s->few_used = s->count = 0;
}

static void free_marks(struct snapshot *s)
{
	for (int mark = 0; mark < MARK_COUNT; mark++) {
		if (s->marks[mark].words != s->few_marks[mark])
			free(s->marks[mark].words);
		s->marks[mark] = (struct bits){0};
	}
}

void snapshot_forget(struct snapshot *s)
{
	free_messages(s);
	s->index = NULL;
}

void snapshot_free(struct snapshot *s)
{
	snapshot_forget(s);
	free_marks(s);
}

void snapshot_use_index(struct snapshot *s, struct index *index)
{
	s->index = index;
	s->count = (size_t)index->header.count;
}

/* Makes room for one more element; *array may move. */
static bool make_room(void **array, size_t count, size_t *capacity, size_t element_octets)
{
	const size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;
	void *moved;

	if (count < *capacity)
		return true;
	moved = reallocarray(*array, wanted, element_octets);
	if (moved == NULL)
		return false;
	*array = moved;
	*capacity = wanted;
	return true;
}

static bool make_room_for_entry(struct snapshot *s)
{
	struct entry *larger;

	if (s->count < s->capacity)
		return true;
	if (s->entries == s->few_entries) {
		larger = reallocarray(NULL, 8 * s->capacity, sizeof *larger);
		if (larger != NULL)
			memcpy(larger, s->few_entries, sizeof s->few_entries);
		s->capacity *= larger != NULL ? 8 : 1;
	} else {
		larger = reallocarray(s->entries, 2 * s->capacity, sizeof *larger);
		s->capacity *= larger != NULL ? 2 : 1;
	}
	if (larger == NULL)
		return false;
	s->entries = larger;
	return true;
}

static char *name_space(struct snapshot *s, size_t octets)
{
	if (s->blocks == NULL && s->few_used + octets <= sizeof s->few_names) {
		s->few_used += octets;
		return s->few_names + s->few_used - octets;
	}
	if (s->blocks == NULL || s->block_used + octets > sizeof s->blocks->octets) {
		struct name_block *const block = malloc(sizeof *block);

		if (block == NULL)
			return NULL;
		block->next = s->blocks;
		s->blocks = block;
		s->block_used = 0;
	}
	s->block_used += octets;
	return s->blocks->octets + s->block_used - octets;
}

#define STEP_OCTETS 16

/* musl's memcpy starts a string instruction of the processor, which is slow to start: a first
 * login copies each name. */
static void copy_name(char *to, const char *from, size_t octets)
{
	if (octets < STEP_OCTETS) {
		memcpy(to, from, octets);
		return;
	}
	for (size_t at = 0; at < octets - STEP_OCTETS; at += STEP_OCTETS)
		memcpy(to + at, from + at, STEP_OCTETS);
	/* these may overlap the last step */
	memcpy(to + octets - STEP_OCTETS, from + octets - STEP_OCTETS, STEP_OCTETS);
}

/* Names never move, so that entries can point to them. */
static const char *keep_name(struct snapshot *s, const char *name, size_t octets)
{
	char *const kept = name_space(s, octets + 1);

	if (kept == NULL)
		return NULL;
	copy_name(kept, name, octets);
	kept[octets] = '\0';
	return kept;
}

bool snapshot_rename(struct snapshot *s, struct entry *entry, enum place place,
	const char *name, size_t name_octets)
{
	const char *const kept = keep_name(s, name, name_octets);

	if (kept == NULL)
		return false;
	entry->name = kept;
	entry->name_octets = (uint8_t)name_octets;
	entry->place = (uint8_t)place;
	if (entry->twin != 0)
		s->twins[entry->twin - 1].file = NULL;
	return true;
}

/* Adds a file; unique_octets is the length of its unique name. */
static struct entry *add(struct snapshot *s, enum place place, const char *name,
	size_t name_octets, size_t unique_octets)
{
	struct entry *entry;

	if (!make_room_for_entry(s))
		return NULL;
	entry = &s->entries[s->count];
	*entry = (struct entry){0};
	if (!snapshot_rename(s, entry, place, name, name_octets))
		return NULL;
	entry->unique_octets = (uint8_t)unique_octets;
	entry->order = snapshot_order(entry->name, unique_octets);
	s->count++;
	return entry;
}

bool snapshot_add(struct snapshot *s, enum place place, const char *name, size_t name_octets)
{
	const size_t unique_octets = uid_unique_octets(name, name_octets);
	struct entry *const entry = add(s, place, name, name_octets, unique_octets);

	/* done here because the name is in the cache, which it is not after the sorting */
	if (entry != NULL && uid_size_field(name, unique_octets, 'W', &entry->size_octets))
		entry->flags |= ENTRY_SIZED;
	return entry != NULL;
}

bool snapshot_add_known(struct snapshot *s, const struct message *m)
{
	struct entry *const entry =
		add(s, (enum place)m->place, m->name, m->name_octets, m->unique_octets);

	if (entry == NULL)
		return false;
	entry->size_octets = m->size_octets;
	entry->flags = (uint8_t)((m->size_verified ? ENTRY_VERIFIED : 0) |
				 (m->size_unknown ? ENTRY_UNKNOWN : 0));
	if (!m->size_unknown && m->size_is_old == m->size_verified)
		entry->flags |= ENTRY_SIZED;
	entry->flags |= m->is_second ? ENTRY_SECOND : 0;
	return snapshot_set_twin(s, entry, m->inode, m->alias_inode);
}

struct twin snapshot_twin(const struct snapshot *s, const struct entry *entry)
{
	static const struct twin none = {0};

	return entry->twin == 0 ? none : s->twins[entry->twin - 1];
}

/* Returns the twin of an entry, and makes it if there is none; NULL with errno ENOMEM. */
static struct twin *have_twin(struct snapshot *s, struct entry *entry)
{
	size_t capacity = s->twin_capacity;
	void *twins = s->twins;

	if (entry->twin == 0) {
		if (!make_room(&twins, s->twin_count, &capacity, sizeof *s->twins))
			return NULL;
		s->twins = twins;
		s->twin_capacity = (uint32_t)capacity;
		s->twins[s->twin_count] = (struct twin){0};
		entry->twin = ++s->twin_count;
	}
	return &s->twins[entry->twin - 1];
}

bool snapshot_set_twin(
	struct snapshot *s, struct entry *entry, uint64_t inode, uint64_t alias_inode)
{
	struct twin *twin;

	if (entry->twin == 0 && inode == 0 && alias_inode == 0)
		return true;
	twin = have_twin(s, entry);
	if (twin == NULL)
		return false;
	twin->inode = inode;
	twin->alias_inode = alias_inode;
	return true;
}

/* A directory may be read several times, so the same file may be added twice. */
bool snapshot_guess(struct snapshot *s, struct entry *entry, enum place place, const char *name,
	size_t name_octets, uint64_t inode)
{
	struct twin *const twin = have_twin(s, entry);

	if (twin == NULL)
		return false;
	if ((entry->flags & ENTRY_GUESSED) != 0 && twin->guess_inode != inode)
		entry->flags |= ENTRY_DOUBTFUL;
	entry->flags |= ENTRY_GUESSED;
	twin->guess = keep_name(s, name, name_octets);
	twin->guess_inode = inode;
	twin->guess_place = (uint8_t)place;
	return twin->guess != NULL;
}

void snapshot_take_guess(struct snapshot *s, struct entry *entry)
{
	struct twin *const twin = &s->twins[entry->twin - 1];

	twin->file = twin->guess;
	twin->has_own_name = false;
	entry->place = twin->guess_place;
	entry->flags |= ENTRY_FOUND;
}

bool snapshot_take_own_name(struct snapshot *s, struct entry *entry, enum place place,
	const char *name, size_t name_octets)
{
	struct twin *const twin = &s->twins[entry->twin - 1];
	const char *const kept = keep_name(s, name, name_octets);

	if (kept == NULL)
		return false;
	twin->file = kept;
	twin->has_own_name = true;
	entry->place = (uint8_t)place;
	entry->flags |= ENTRY_FOUND;
	return true;
}

struct entry *snapshot_with_inode(
	const struct snapshot *s, struct entries group, uint64_t inode)
{
	size_t low = 1, high = group.count;

	if (group.count == 0 || snapshot_twin(s, &group.first[0]).inode == inode)
		return group.first;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (snapshot_twin(s, &group.first[middle]).inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < group.count && snapshot_twin(s, &group.first[low]).inode == inode)
		return group.first + low;
	return NULL;
}

bool snapshot_has_seconds(const struct snapshot *s)
{
	return s->index != NULL ? s->index->header.twin_count > 0 : s->twin_count > 0;
}

void snapshot_truncate(struct snapshot *s, size_t count)
{
	if (count < s->count)
		s->count = count;
}

void snapshot_remove(struct snapshot *s, size_t start, size_t end)
{
	if (start >= end)
		return;
	memmove(s->entries + start, s->entries + end, (s->count - end) * sizeof *s->entries);
	s->count -= end - start;
}

void snapshot_compact(struct snapshot *s)
{
	size_t kept = 0;

	while (kept < s->count && (s->entries[kept].flags & ENTRY_DROPPED) == 0)
		kept++;
	for (size_t i = kept; i < s->count; i++)
		if ((s->entries[i].flags & ENTRY_DROPPED) == 0)
			s->entries[kept++] = s->entries[i];
	s->count = kept;
}

static void get_entry(const struct snapshot *s, const struct entry *entry, struct message *m)
{
	const struct twin twin = snapshot_twin(s, entry);

	m->name = entry->name;
	m->size_octets = entry->size_octets;
	m->inode = twin.inode;
	m->alias_inode = twin.alias_inode;
	m->name_octets = entry->name_octets;
	m->unique_octets = entry->unique_octets;
	m->place = entry->place;
	m->size_verified = (entry->flags & ENTRY_VERIFIED) != 0;
	m->size_is_old = m->size_verified && (entry->flags & ENTRY_SIZED) != 0;
	m->size_unknown = (entry->flags & ENTRY_UNKNOWN) != 0;
	m->is_second = (entry->flags & ENTRY_SECOND) != 0;
	if (twin.file != NULL) {
		m->name = twin.file;
		m->name_octets = (uint8_t)strlen(twin.file);
		m->unique_octets = (uint8_t)uid_unique_octets(twin.file, m->name_octets);
		m->is_second = m->is_second && !twin.has_own_name;
	}
}

bool snapshot_marked(const struct snapshot *s, enum mark mark, size_t number)
{
	return bits_has(&s->marks[mark], number);
}

/* The index in corrections of this message number, or where it would be inserted. */
static size_t correction_place(const struct snapshot *s, size_t number)
{
	size_t low = 0, high = s->correction_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (s->corrections[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void correct(const struct snapshot *s, size_t number, struct message *m)
{
	const size_t at = correction_place(s, number);

	m->size_verified = true;
	m->size_is_old = m->size_unknown = false;
	if (at < s->correction_count && s->corrections[at].number == number)
		m->size_octets = s->corrections[at].size_octets;
}

bool snapshot_get(struct snapshot *s, size_t number, struct message *m)
{
	m->name = "";
	m->name_octets = m->unique_octets = 0;
	if (number >= s->count) {
		errno = EBADMSG;
		return false;
	}
	if (s->index == NULL) {
		get_entry(s, &s->entries[number], m);
		/* names lie in the order of the directory, so a listing would wait for memory
		 * at each name */
		if (number + NAMES_AHEAD < s->count)
			__builtin_prefetch(s->entries[number + NAMES_AHEAD].name);
		return true;
	}
	if (!index_get(s->index, number, m))
		return false;
	if (snapshot_marked(s, MARK_VERIFIED, number))
		correct(s, number, m);
	return true;
}

bool snapshot_get_size(struct snapshot *s, size_t number, uint64_t *size_octets)
{
	struct message m;

	if (s->index != NULL && !snapshot_marked(s, MARK_VERIFIED, number))
		return index_get_size(s->index, number, size_octets);
	if (!snapshot_get(s, number, &m))
		return false;
	*size_octets = m.size_octets;
	return true;
}

bool snapshot_get_unique(struct snapshot *s, size_t number, struct unique *unique)
{
	const struct entry *entry;

	if (s->index != NULL)
		return index_get_unique(s->index, number, unique);
	errno = EBADMSG;
	if (number >= s->count)
		return false;
	entry = &s->entries[number];
	if (number + NAMES_AHEAD < s->count)
		__builtin_prefetch(s->entries[number + NAMES_AHEAD].name);
	*unique = (struct unique){entry->name, entry->unique_octets,
		(entry->flags & ENTRY_SECOND) != 0 ? snapshot_twin(s, entry).inode : 0};
	return true;
}

bool snapshot_materialize(struct snapshot *s)
{
	const size_t count = s->count;
	struct index *const index = s->index;
	struct message m;
	bool taken = index != NULL;

	if (index == NULL)
		return true;
	s->count = 0;
	for (size_t i = 0; i < count && taken; i++) {
		taken = index_get(index, i, &m);
		if (taken && snapshot_marked(s, MARK_VERIFIED, i))
			correct(s, i, &m);
		taken = taken && snapshot_add_known(s, &m);
	}
	if (taken) {
		s->index = NULL;
		return true;
	}
	s->count = count;
	return false;
}

static bool add_correction(struct snapshot *s, size_t number, uint64_t size_octets)
{
	const size_t at = correction_place(s, number);
	void *corrections = s->corrections;

	if (at < s->correction_count && s->corrections[at].number == number) {
		s->corrections[at].size_octets = size_octets;
		return true;
	}
	if (!make_room(&corrections, s->correction_count, &s->correction_capacity,
		    sizeof *s->corrections))
		return false;
	s->corrections = corrections;
	memmove(s->corrections + at + 1, s->corrections + at,
		(s->correction_count - at) * sizeof *s->corrections);
	s->corrections[at] = (struct correction){number, size_octets};
	s->correction_count++;
	return true;
}

bool snapshot_set_size(struct snapshot *s, size_t number, uint64_t size_octets)
{
	struct message m;

	if (s->index == NULL && number < s->count) {
		s->entries[number].size_octets = size_octets;
		s->entries[number].flags |= ENTRY_VERIFIED;
		s->entries[number].flags &= (uint8_t) ~(ENTRY_UNKNOWN | ENTRY_SIZED);
		return true;
	}
	if (!snapshot_get(s, number, &m))
		return false;
	if (m.size_octets != size_octets && !add_correction(s, number, size_octets))
		return false;
	return snapshot_mark(s, MARK_VERIFIED, number);
}

static bool have_marks(struct snapshot *s, enum mark mark)
{
	const size_t words = bits_words(s->count);
	uint64_t *made = s->few_marks[mark];

	if (s->marks[mark].capacity > 0)
		return true;
	memset(made, 0, sizeof s->few_marks[mark]);
	if (words > SNAPSHOT_FEW / 64)
		made = calloc(words, sizeof *made);
	if (made == NULL)
		return false;
	bits_start(&s->marks[mark], made, s->count);
	return true;
}

bool snapshot_mark(struct snapshot *s, enum mark mark, size_t number)
{
	if (number >= s->count || !have_marks(s, mark))
		return false;
	bits_add(&s->marks[mark], number);
	return true;
}

void snapshot_unmark(struct snapshot *s, enum mark mark, size_t number)
{
	bits_remove(&s->marks[mark], number);
}

void snapshot_unmark_all(struct snapshot *s, enum mark mark)
{
	bits_clear(&s->marks[mark]);
}

size_t snapshot_marked_count(const struct snapshot *s, enum mark mark)
{
	return s->marks[mark].count;
}
