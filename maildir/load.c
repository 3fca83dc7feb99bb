/* load: taking the snapshot of a maildrop, from its directories and its index; see maildir.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir.h"
#include "maildir/internal.h"
#include "os/directory.h"
#include "os/log.h"

/* Drops what several readings of one directory saw alike; returns how many are left. */
static size_t drop_repeated(struct entry *group, size_t count)
{
	size_t left = count;

	for (size_t i = 1; i < count; i++) {
		if (group[i].place != group[i - 1].place ||
			strcmp(group[i].name, group[i - 1].name) != 0)
			continue;
		group[i].flags |= ENTRY_DROPPED;
		left--;
	}
	return left;
}

/* Several files with one unique name: those that are gone were moved while the directories were
 * read, those that are one file under two names are one message. What is left are messages of
 * their own. */
static bool settle_group(struct maildir *m, struct entry *group, size_t count)
{
	struct snapshot *const s = &m->snapshot;
	size_t left = drop_repeated(group, count);

	if (left == 1)
		return true;
	for (size_t i = 0; i < count; i++) {
		struct twin own = {0, 0};

		if ((group[i].flags & ENTRY_DROPPED) != 0)
			continue;
		if (!maildir_inode(m, (enum place)group[i].place, group[i].name, &own.inode))
			group[i].flags |= ENTRY_DROPPED;
		if (!snapshot_set_twin(s, &group[i], own))
			return false;
		for (size_t j = 0; j < i && (group[i].flags & ENTRY_DROPPED) == 0; j++) {
			if ((group[j].flags & ENTRY_DROPPED) != 0 ||
				snapshot_twin(s, &group[j]).inode != own.inode)
				continue;
			group[i].flags |= ENTRY_DROPPED;
			snapshot_set_twin(s, &group[j], (struct twin){own.inode, own.inode});
		}
		left -= (group[i].flags & ENTRY_DROPPED) != 0;
	}
	for (size_t i = 0; i < count && left < 2; i++) {
		const struct twin twin = snapshot_twin(s, &group[i]);

		snapshot_set_twin(s, &group[i], (struct twin){0, twin.alias_inode});
		/* all gone meanwhile: the search by unique name decides */
		if (left == 0 && i == 0)
			group[i].flags &= (uint8_t)~ENTRY_DROPPED;
	}
	return true;
}

static bool settle_duplicates(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;
	size_t start = 0;

	while (start < s->count) {
		size_t end = start + 1;

		while (end < s->count &&
			snapshot_same_unique(&s->entries[start], &s->entries[end]))
			end++;
		if (end - start > 1 && !settle_group(m, &s->entries[start], end - start))
			return false;
		start = end;
	}
	snapshot_compact(s);
	return true;
}

void maildir_sum(struct maildir *m)
{
	m->all_octets = m->total_octets = 0;
	m->left = m->snapshot.count - m->snapshot.marked[MARK_DELETED];
	for (size_t i = 0; i < m->snapshot.count; i++) {
		m->all_octets += m->snapshot.entries[i].size_octets;
		if (!snapshot_marked(&m->snapshot, MARK_DELETED, i))
			m->total_octets += m->snapshot.entries[i].size_octets;
	}
}

/* From what was read to a snapshot in which all is in order. */
static bool settle(struct maildir *m)
{
	if (!snapshot_sort(&m->snapshot) || !settle_duplicates(m))
		return false;
	if (m->had_index && m->index.header.verified_count > 0)
		maildir_take_sizes(m);
	maildir_find_sizes(m);
	m->new_count = 0;
	for (size_t i = 0; i < m->snapshot.count; i++)
		m->new_count += m->snapshot.entries[i].place == PLACE_NEW;
	maildir_sum(m);
	return true;
}

/* The messages of cur/ as the index has them. */
static bool take_cur_from_index(struct maildir *m)
{
	const size_t before = m->snapshot.count;
	struct message known;

	for (uint64_t i = 0; i < m->index.header.count; i++) {
		bool taken = index_get(&m->index, i, &known);

		if (taken && known.place == PLACE_CUR)
			taken = snapshot_add_known(&m->snapshot, &known);
		if (!taken) {
			snapshot_truncate(&m->snapshot, before);
			return false;
		}
	}
	m->seen[PLACE_CUR] = m->index.header.places[PLACE_CUR];
	return true;
}

/* Reads what has changed since the index was written. Whether cur/ has is asked only after new/
 * was read: a message that somebody moves is then in one of them at least. */
static bool read_changed(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (!maildir_scan_place(m, PLACE_NEW))
		return false;
	m->had_cur = maildir_place_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]);
	if (m->had_cur && h->twin_count == 0 && take_cur_from_index(m))
		return true;
	return maildir_scan_place(m, PLACE_CUR);
}

/* True where the index has the whole snapshot, which is in use then. */
static bool use_listing(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (!maildir_place_unchanged(m, PLACE_NEW, &h->places[PLACE_NEW]) ||
		!maildir_place_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]))
		return false;
	snapshot_use_index(&m->snapshot, &m->index);
	memcpy(m->seen, h->places, sizeof m->seen);
	m->has_listing = m->had_cur = true;
	m->new_count = (size_t)h->new_count;
	m->all_octets = m->total_octets = h->total_octets;
	m->left = (size_t)h->count;
	return true;
}

/* Sizes that are to be counted now, though the index has the listing. */
static bool count_the_rest(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (h->unknown_count == 0 && (!m->verify_sizes || h->verified_count == h->count))
		return true;
	if (!snapshot_materialize(&m->snapshot))
		return false;
	maildir_find_sizes(m);
	maildir_sum(m);
	return true;
}

/* Without the index, and without what was taken from it. */
static bool read_all(struct maildir *m)
{
	snapshot_forget(&m->snapshot);
	m->has_listing = m->had_cur = false;
	return maildir_scan(m);
}

static bool load_snapshot(struct maildir *m)
{
	if (m->had_index && use_listing(m)) {
		if (count_the_rest(m))
			return true;
		if (errno == ENOMEM || !read_all(m))
			return false;
	} else if (!m->was_read && !(m->had_index ? read_changed(m) : maildir_scan(m))) {
		return false;
	}
	return settle(m);
}

bool maildir_load(struct maildir *m)
{
	m->had_index = !m->was_read && m->index_dir_fd >= 0 &&
		       index_open(&m->index, m->index_dir_fd, m->owner);
	m->is_loaded = load_snapshot(m);
	if (m->snapshot.index == NULL)
		index_close(&m->index);
	return m->is_loaded;
}

bool maildir_recover(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;
	const size_t count = s->count;
	uint64_t numbering = 0;
	bool same = !s->lost && s->index != NULL;

	if (s->index != NULL)
		maildir_remove_index(m);
	if (same) {
		snapshot_forget(s);
		same = maildir_scan(m) && snapshot_sort(s) && settle_duplicates(m);
		m->is_rescanned = true;
		m->has_listing = m->has_learned = false;
	}
	for (size_t i = 0; i < s->count && same; i++)
		numbering = index_number_name(
			numbering, s->entries[i].name, s->entries[i].unique_octets);
	same = same && s->count == count && numbering == m->index.header.numbering;
	if (same) {
		maildir_find_sizes(m);
		same = s->count == count;
	}
	if (same) {
		maildir_sum(m);
		return true;
	}
	s->lost = true;
	s->count = count;
	errno = EBADMSG;
	return false;
}

bool maildir_deserves_index(const struct maildir *m)
{
	const struct snapshot *const s = &m->snapshot;

	if (s->count >= MANY_MESSAGES || (m->verify_sizes && s->count > 0))
		return true;
	for (size_t i = 0; i < s->count; i++)
		if ((s->entries[i].flags & ENTRY_SIZED) == 0)
			return true;
	return false;
}
