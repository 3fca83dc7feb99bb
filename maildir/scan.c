/* scan: reading new/ and cur/, and whether they changed since; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/directory.h"

#define SCAN_TRIES 4

/* Times are coarse, by two seconds on the worst file systems: a change as long after another
 * has another time. */
#define TICK_SECONDS 2

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

bool maildir_place_unchanged(
	const struct maildir *m, enum place place, const struct index_place *then)
{
	struct index_place now;

	return then->is_final != 0 && look_at(m, place, &now) && same_look(then, &now);
}

/* What it says is not so: the next session does without. */
void maildir_remove_index(const struct maildir *m)
{
	unlinkat(m->index_dir_fd, INDEX_NAME, 0);
}

bool maildir_unchanged(struct maildir *m)
{
	if (!maildir_place_unchanged(m, PLACE_NEW, &m->seen[PLACE_NEW]) ||
		!maildir_place_unchanged(m, PLACE_CUR, &m->seen[PLACE_CUR]))
		return false;
	/* nobody removed what is missing, so it was not there when the index was written */
	if (m->had_cur && !m->is_rescanned) {
		maildir_remove_index(m);
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

bool maildir_scan_place(struct maildir *m, enum place place)
{
	return scan_place(m, place, take_new_entry);
}
