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

#define SCAN_TRIES 4

/* Times are coarse, by two seconds on the worst file systems: a change as long after another
 * has another time. */
#define TICK_SECONDS 2

/* From so many messages on, reading an index is quicker than reading the directories by what
 * writing it costs. */
#define MANY_MESSAGES 100

/* An entry goes to this place of that maildrop. */
struct taker {
	struct maildir *m;
	enum place place;
};

/* What a directory is now; from this moment on every change is to show in its times, if
 * is_final is set. */
static bool look_at(const struct maildir *m, enum place place, struct index_place *seen)
{
	struct timespec now;
	struct stat st;

	/* the clock first, or a change between the two could have the time that was read */
	if (clock_gettime(CLOCK_REALTIME, &now) != 0 || fstat(m->place_fd[place], &st) != 0)
		return false;
	*seen = (struct index_place){
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.mtime_seconds = st.st_mtim.tv_sec,
		.ctime_seconds = st.st_ctim.tv_sec,
		.mtime_nanoseconds = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_nanoseconds = (uint32_t)st.st_ctim.tv_nsec,
		.is_final = now.tv_sec - st.st_mtim.tv_sec > TICK_SECONDS,
	};
	return true;
}

/* Whether a directory looks as it did. */
static bool same_look(const struct index_place *a, const struct index_place *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->mtime_seconds == b->mtime_seconds &&
	       a->mtime_nanoseconds == b->mtime_nanoseconds &&
	       a->ctime_seconds == b->ctime_seconds &&
	       a->ctime_nanoseconds == b->ctime_nanoseconds;
}

static bool is_unchanged(
	const struct maildir *m, enum place place, const struct index_place *then)
{
	struct index_place now;

	return then->is_final != 0 && look_at(m, place, &now) && same_look(then, &now);
}

/* What it says is not so: the next session does without. */
static void remove_index(const struct maildir *m)
{
	unlinkat(m->index_dir_fd, INDEX_NAME, 0);
}

bool maildir_unchanged(struct maildir *m)
{
	if (!is_unchanged(m, PLACE_NEW, &m->seen[PLACE_NEW]) ||
		!is_unchanged(m, PLACE_CUR, &m->seen[PLACE_CUR]))
		return false;
	/* nobody removed what is missing, so it was not there when the index was written */
	if (m->had_cur && !m->is_rescanned) {
		remove_index(m);
		return false;
	}
	return true;
}

/* Reads a directory, again if it changed meanwhile: a reader among renames may miss an entry.
 * If it never rests, all that any of the readings saw is kept; settle_group sorts that out. */
static bool scan_place(struct maildir *m, enum place place, directory_take *take)
{
	const size_t before = m->snapshot.count;
	struct taker taker = {m, place};

	for (int i = 0; i < SCAN_TRIES; i++) {
		const size_t earlier = m->snapshot.count;
		struct index_place after;

		if (!look_at(m, place, &m->seen[place]))
			return false;
		if (!directory_read(m->place_fd[place], take, &taker)) {
			if (errno != ESTALE || i + 1 == SCAN_TRIES)
				return false;
			continue;
		}
		if (!look_at(m, place, &after))
			return false;
		if (same_look(&after, &m->seen[place])) {
			/* this reading is complete; a rescan adds nothing */
			snapshot_remove(&m->snapshot, before, earlier);
			return true;
		}
	}
	/* what was read is of no one moment */
	m->seen[place].is_final = 0;
	return true;
}

static bool take_new_entry(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct taker *const taker = context;

	(void)directory_fd;
	return snapshot_add(&taker->m->snapshot, taker->place, name, octets);
}

/* New before cur: what another program moves meanwhile is then seen twice and never missed. */
bool maildir_scan(struct maildir *m)
{
	return scan_place(m, PLACE_NEW, take_new_entry) &&
	       scan_place(m, PLACE_CUR, take_new_entry);
}

bool maildir_inode(const struct maildir *m, enum place place, const char *name, uint64_t *inode)
{
	struct stat st;

	if (fstatat(m->place_fd[place], name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	*inode = (uint64_t)st.st_ino;
	return true;
}

/* An entry seen by a later scan: the message may have moved or have other flags now. */
static bool take_changed_entry(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct taker *const taker = context;
	struct snapshot *const s = &taker->m->snapshot;
	size_t count;
	struct entry *entry = snapshot_find(s, name, octets, &count);
	uint64_t inode;

	(void)directory_fd;
	if (entry == NULL)
		return true;
	if (count > 1) {
		if (!maildir_inode(taker->m, taker->place, name, &inode))
			return true;
		while (count > 0 && snapshot_twin(s, entry).inode != inode) {
			entry++;
			count--;
		}
		if (count == 0)
			return true;
	}
	entry->flags |= ENTRY_FOUND;
	if (entry->place == (uint8_t)taker->place && strcmp(entry->name, name) == 0)
		return true;
	return snapshot_rename(s, entry, taker->place, name, octets);
}

bool maildir_rescan(struct maildir *m)
{
	if (!snapshot_materialize(&m->snapshot))
		return false;
	m->is_rescanned = true;
	return scan_place(m, PLACE_NEW, take_changed_entry) &&
	       scan_place(m, PLACE_CUR, take_changed_entry);
}

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

	if (!scan_place(m, PLACE_NEW, take_new_entry))
		return false;
	m->had_cur = is_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]);
	if (m->had_cur && h->twin_count == 0 && take_cur_from_index(m))
		return true;
	return scan_place(m, PLACE_CUR, take_new_entry);
}

/* True where the index has the whole snapshot, which is in use then. */
static bool use_listing(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (!is_unchanged(m, PLACE_NEW, &h->places[PLACE_NEW]) ||
		!is_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]))
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
		remove_index(m);
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

/* An index is worth writing for what the next session can do with it: sizes that it need not
 * count, a listing that it need not read, or at least that of cur/. */
static bool is_worth_saving(const struct maildir *m)
{
	const struct index_place *const seen = m->seen;

	if (!m->is_loaded || m->index_dir_fd < 0 || m->snapshot.lost)
		return false;
	if (m->has_learned)
		return m->left > 0 || !m->is_updated;
	if (m->has_listing || m->is_rescanned || m->is_updated || !seen[PLACE_CUR].is_final)
		return false;
	if (!m->had_index && m->snapshot.count < MANY_MESSAGES)
		return false;
	return seen[PLACE_NEW].is_final || !m->had_cur;
}

void maildir_save(struct maildir *m)
{
	struct index_content content = {&m->snapshot, {m->seen[0], m->seen[1]}, m->is_updated};

	if (!is_worth_saving(m))
		return;
	if (m->is_rescanned || m->is_updated)
		content.places[PLACE_NEW].is_final = content.places[PLACE_CUR].is_final = 0;
	if (!index_write(m->index_dir_fd, &content))
		log_event(LOG_DEBUG, "index-not-written errno=%d error=\"%s\"", errno,
			strerror(errno));
}
