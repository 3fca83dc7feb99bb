/* scan: reads new/ and cur/, and tells whether they have changed since; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/directory.h"
#include "os/log.h"

#define SCAN_TRIES 4

/* The number of problems with messages that a session logs one by one. */
#define PROBLEMS_LOGGED 20

/* The coarsest file systems have times of two seconds. Two changes that are further apart have
 * different times. */
#define TICK_SECONDS 2

/* The same for a time of change with nanoseconds. No program can set it, and it comes from this
 * host's clock, whose tick is no longer than this. */
#define FINE_TICK_NANOSECONDS 50000000

/* Where the entries of the directory that is being read go. */
struct taker {
	struct maildir *m;
	enum place place;
};

static bool is_past(const struct timespec *now, const struct timespec *then, bool is_fine)
{
	const int64_t seconds = (int64_t)now->tv_sec - (int64_t)then->tv_sec;

	if (!is_fine || then->tv_nsec == 0 || seconds < 0 || seconds > TICK_SECONDS)
		return seconds > TICK_SECONDS;
	return seconds * 1000000000 + (now->tv_nsec - then->tv_nsec) > FINE_TICK_NANOSECONDS;
}

/* The state of a directory now. If is_final is set, every later change gives it other times.
 * For that, both times must be in the past: a program that copies a Maildir sets the time of
 * modification back, and would otherwise hide the next change within the same tick. */
static bool look_at(const struct maildir *m, enum place place, struct index_place *seen)
{
	struct timespec now;
	struct stat st;

	/* the clock is read first: a change between the calls must not seem to be old */
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return false;
	/* a message that is in neither listing counts as gone, so no listing may be an old one
	 */
	if (m->is_remote)
		directory_refresh(m->place_fd[place]);
	if (fstat(m->place_fd[place], &st) != 0)
		return false;
	*seen = (struct index_place){
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.mtime_seconds = st.st_mtim.tv_sec,
		.ctime_seconds = st.st_ctim.tv_sec,
		.mtime_nanoseconds = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_nanoseconds = (uint32_t)st.st_ctim.tv_nsec,
		.is_final = is_past(&now, &st.st_mtim, false) &&
			    is_past(&now, &st.st_ctim, !m->is_remote),
	};
	return true;
}

/* Whether a directory has the same device, inode and times. */
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

void maildir_remove_index(const struct maildir *m)
{
	if (!m->is_read_only)
		unlinkat(m->index_dir_fd, INDEX_NAME, 0);
}

/* Only an index with wrong contents is removed. One that cannot be read (ESTALE, EIO) may be
 * good, or may have been replaced by a good one. */
bool maildir_break(struct maildir *m)
{
	const int error_number = errno;

	if (m->snapshot.index == NULL || error_number == ENOMEM || m->index_use == INDEX_BROKEN)
		return false;
	if (error_number == EBADMSG)
		maildir_remove_index(m);
	m->index_use = INDEX_BROKEN;
	log_event(LOG_ERR, "index-broken errno=%d error=\"%s\"", error_number,
		strerror(error_number));
	errno = error_number;
	return false;
}

bool maildir_may_log(struct maildir *m)
{
	return ++m->problems <= PROBLEMS_LOGGED;
}

void maildir_log_message(
	struct maildir *m, const struct message *message, const char *event, int error_number)
{
	static const char *const places[] = {"new", "cur"};
	char quoted[4 * UID_NAME_OCTETS + 8];

	if (maildir_may_log(m))
		log_event(LOG_ERR, "%s errno=%d error=\"%s\" place=%s message=%s", event,
			error_number, strerror(error_number), places[message->place],
			log_quote(quoted, sizeof quoted, message->name, message->name_octets));
}

void maildir_log_rest(struct maildir *m)
{
	if (m->problems > PROBLEMS_LOGGED)
		log_event(LOG_ERR, "problems-not-logged count=%zu",
			m->problems - PROBLEMS_LOGGED);
	m->problems = 0;
}

bool maildir_unchanged(struct maildir *m)
{
	if (!maildir_place_unchanged(m, PLACE_NEW, &m->seen[PLACE_NEW]) ||
		!maildir_place_unchanged(m, PLACE_CUR, &m->seen[PLACE_CUR]))
		return false;
	/* the directories are unchanged, so the message was missing when the index was written
	 */
	if (m->index_use >= INDEX_CUR && m->state < MAILDIR_SEARCHED) {
		maildir_remove_index(m);
		return false;
	}
	return true;
}

/* Reads a directory, and reads it again if it changed meanwhile, because renames during the
 * reading can hide an entry. If it changes every time, the entries of all readings are kept,
 * and twins.c removes duplicates. */
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
	/* the readings do not show the directory at any one moment */
	m->seen[place].is_final = 0;
	return true;
}

static bool take_new_entry(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct taker *const taker = context;

	(void)directory_fd;
	return snapshot_add(&taker->m->snapshot, taker->place, name, octets);
}

/* new/ is read before cur/, so that a message which another program moves in between is seen
 * twice rather than not at all. */
bool maildir_scan(struct maildir *m)
{
	return scan_place(m, PLACE_NEW, take_new_entry) &&
	       scan_place(m, PLACE_CUR, take_new_entry);
}

bool maildir_scan_again(struct maildir *m)
{
	snapshot_forget(&m->snapshot);
	if (m->index_use > INDEX_SIZES)
		m->index_use = INDEX_SIZES;
	return maildir_scan(m);
}

static void flag_all(struct entries group, unsigned flags)
{
	for (size_t i = 0; i < group.count; i++)
		group.first[i].flags |= (uint8_t)flags;
}

/* Returns the message of the group that the file with this inode is, or NULL. Sets *doubtful if
 * the group has several unique names, so that this cannot be told. */
static struct entry *owner_among(
	const struct snapshot *s, struct entries group, uint64_t inode, bool *doubtful)
{
	uint64_t known;

	if (group.count == 0)
		return NULL;
	if (group.count > 1) {
		if (snapshot_same_unique(&group.first[0], &group.first[group.count - 1]))
			return snapshot_with_inode(s, group, inode);
		*doubtful = true;
		return NULL;
	}
	known = snapshot_twin(s, group.first).inode;
	return known == 0 || known == inode ? group.first : NULL;
}

/* Returns the message to which another session has given this name, which only it may have: it
 * was one of several with one unique name. NULL if there is none. */
static struct entry *find_renamed_second(
	struct snapshot *s, int directory_fd, const char *name, size_t octets)
{
	char original[UID_NAME_OCTETS];
	uint64_t inode;
	const size_t original_octets =
		uid_untwin_name(original, name, uid_unique_octets(name, octets), &inode);
	struct entry *entry;
	struct stat st;

	if (original_octets == 0)
		return NULL;
	entry = snapshot_with_inode(s, snapshot_find(s, original, original_octets), inode);
	if (entry == NULL || (entry->flags & ENTRY_SECOND) == 0 ||
		snapshot_twin(s, entry).inode == 0 ||
		fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		(uint64_t)st.st_ino != inode)
		return NULL;
	return entry;
}

/* Takes a file whose unique name is not in the snapshot. It may be a message whose fields
 * another program has changed, as Dovecot does with wrong sizes. */
static bool take_fields(
	const struct taker *taker, int directory_fd, const char *name, size_t octets)
{
	struct snapshot *const s = &taker->m->snapshot;
	const size_t unique_octets = uid_unique_octets(name, octets);
	const size_t base_octets = uid_base_octets(name, unique_octets);
	const struct entries bare = snapshot_find_base(s, name, base_octets);
	const struct entries longer = snapshot_find_fields(s, name, base_octets);
	struct entry *owner = bare.count > 0 ? bare.first : longer.first, *other;
	bool doubtful;
	struct stat st;

	if (base_octets == 0 || !uid_has_only_fields(name, unique_octets) || owner == NULL ||
		(owner->flags & ENTRY_DOUBTFUL) != 0)
		return true;
	doubtful = fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
	owner = doubtful ? NULL : owner_among(s, bare, (uint64_t)st.st_ino, &doubtful);
	other = doubtful ? NULL : owner_among(s, longer, (uint64_t)st.st_ino, &doubtful);
	if (doubtful || (owner != NULL && other != NULL)) {
		flag_all(bare, ENTRY_DOUBTFUL);
		flag_all(longer, ENTRY_DOUBTFUL);
		return true;
	}
	owner = owner != NULL ? owner : other;
	return owner == NULL || !uid_has_only_fields(owner->name, owner->unique_octets) ||
	       snapshot_guess(s, owner, taker->place, name, octets, (uint64_t)st.st_ino);
}

/* Takes a file whose unique name is not in the snapshot. */
static bool take_stranger(
	const struct taker *taker, int directory_fd, const char *name, size_t octets)
{
	struct snapshot *const s = &taker->m->snapshot;
	struct entry *const second = find_renamed_second(s, directory_fd, name, octets);

	return second != NULL ? snapshot_take_own_name(s, second, taker->place, name, octets)
			      : take_fields(taker, directory_fd, name, octets);
}

/* Takes an entry of a later scan: the message may have moved or got other flags. */
static bool take_changed_entry(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct taker *const taker = context;
	struct snapshot *const s = &taker->m->snapshot;
	const struct entries group = snapshot_find(s, name, octets);
	struct entry *entry = group.first;
	struct stat st;

	if (group.count == 0)
		return take_stranger(taker, directory_fd, name, octets);
	if (group.count > 1) {
		if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			/* the file may be any of these messages, so none counts as gone */
			flag_all(group, ENTRY_FOUND);
			return true;
		}
		entry = snapshot_with_inode(s, group, (uint64_t)st.st_ino);
		if (entry == NULL)
			return true;
	}
	entry->flags |= ENTRY_FOUND;
	if (entry->place == (uint8_t)taker->place && strcmp(entry->name, name) == 0 &&
		snapshot_twin(s, entry).file == NULL)
		return true;
	return snapshot_rename(s, entry, taker->place, name, octets);
}

/* Called after both directories were read: accepts the guesses that are unambiguous. */
static void settle_guesses(struct snapshot *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct entry *const entry = &s->entries[i];

		if ((entry->flags & ENTRY_FOUND) != 0)
			continue;
		if ((entry->flags & ENTRY_DOUBTFUL) != 0)
			entry->flags |= ENTRY_FOUND;
		else if ((entry->flags & ENTRY_GUESSED) != 0)
			snapshot_take_guess(s, entry);
	}
}

bool maildir_rescan(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;

	if (!snapshot_materialize(s))
		return maildir_break(m);
	if (m->state < MAILDIR_SEARCHED)
		m->state = MAILDIR_SEARCHED;
	for (size_t i = 0; i < s->count; i++)
		s->entries[i].flags &=
			(uint8_t) ~(ENTRY_FOUND | ENTRY_GUESSED | ENTRY_DOUBTFUL);
	if (!scan_place(m, PLACE_NEW, take_changed_entry) ||
		!scan_place(m, PLACE_CUR, take_changed_entry))
		return false;
	settle_guesses(s);
	return true;
}

bool maildir_scan_place(struct maildir *m, enum place place)
{
	return scan_place(m, place, take_new_entry);
}
