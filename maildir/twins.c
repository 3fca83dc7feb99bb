/* twins: the files of a maildrop that bear one unique name; see internal.h.
 *
 * Files that are one file under several names (delivered or copied by linking) are one message.
 * Of several files the oldest keeps the unique name, and with it the unique-id; the others get
 * a unique name of their own when a session ends with QUIT (update.c), and have its unique-id
 * from the first session on. Which one is the oldest is the same in every session until then:
 * it goes by the time of modification, which nobody changes, and the inode. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "maildir/internal.h"
#include "os/birth.h"

/* Stands for the inode of a file whose stat failed; no file has this inode. */
#define NO_INODE (UINT64_MAX - 1)

/* One of the files of a group. */
struct bearer {
	struct entry entry;
	uint64_t inode;
	struct timespec born, modified;
	size_t number; /* in the group as it was sorted */
	bool is_gone, is_unseen, has_alias;
};

/* stat is repeated, so that a temporary error does not hide a message. */
static bool look_at_file(const struct maildir *m, struct bearer *b)
{
	struct stat st;

	for (int i = 0; i < MAILDIR_TRIES; i++) {
		if (fstatat(m->place_fd[b->entry.place], b->entry.name, &st,
			    AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		b->inode = (uint64_t)st.st_ino;
		b->modified = st.st_mtim;
		b->born = birth_of(m->place_fd[b->entry.place], b->entry.name);
		return true;
	}
	return false;
}

/* A file can be missing because it was moved while the directories were read; their times show
 * that. If the times are unchanged, the file must exist, and it stays in the list. */
static void look_at_bearer(struct maildir *m, struct bearer *b)
{
	struct message message = {.name = b->entry.name,
		.name_octets = b->entry.name_octets,
		.place = b->entry.place};
	int error_number;

	b->born = b->modified = (struct timespec){.tv_sec = 0};
	b->is_gone = b->is_unseen = b->has_alias = false;
	if (look_at_file(m, b))
		return;
	error_number = errno;
	b->inode = NO_INODE - b->number;
	b->is_gone =
		(error_number == ENOENT || error_number == ESTALE) && !maildir_unchanged(m);
	b->is_unseen = !b->is_gone;
	if (b->is_unseen)
		maildir_log_message(m, &message, "message-unreadable", error_number);
}

static int compare_inodes(const void *a, const void *b)
{
	const struct bearer *const first = a, *const second = b;

	if (first->is_gone != second->is_gone)
		return first->is_gone ? 1 : -1;
	if (first->inode != second->inode)
		return first->inode < second->inode ? -1 : 1;
	return first->number < second->number ? -1 : first->number > second->number;
}

static int compare_times(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static bool is_older(const struct bearer *a, const struct bearer *b)
{
	int order;

	if (a->is_unseen != b->is_unseen)
		return b->is_unseen;
	order = compare_times(&a->born, &b->born);
	if (order == 0)
		order = compare_times(&a->modified, &b->modified);
	return order != 0 ? order < 0 : a->inode < b->inode;
}

/* Of files sorted by inode, keeps the first name of each; returns how many are left. */
static size_t drop_aliases(struct bearer *bearers, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count && !bearers[i].is_gone; i++) {
		if (left > 0 && bearers[left - 1].inode == bearers[i].inode)
			bearers[left - 1].has_alias = true;
		else
			bearers[left++] = bearers[i];
	}
	return left;
}

/* Puts the oldest first; the others stay in the order of their inodes. */
static void put_oldest_first(struct bearer *bearers, size_t count)
{
	size_t oldest = 0;
	struct bearer kept;

	for (size_t i = 1; i < count; i++)
		if (is_older(&bearers[i], &bearers[oldest]))
			oldest = i;
	kept = bearers[oldest];
	memmove(bearers + 1, bearers, oldest * sizeof *bearers);
	bearers[0] = kept;
}

/* Puts the files that are left back into the snapshot, and drops the entries of the others. */
static bool put_back(struct maildir *m, struct entry *group, size_t count,
	struct bearer *bearers, size_t left)
{
	struct snapshot *const s = &m->snapshot;

	for (size_t i = 0; i < left; i++) {
		const uint64_t inode = bearers[i].inode;

		group[i] = bearers[i].entry;
		group[i].flags &= (uint8_t)~ENTRY_SECOND;
		group[i].flags |= (uint8_t)((i > 0 ? ENTRY_SECOND : 0) |
					    (bearers[i].is_unseen ? ENTRY_UNKNOWN : 0));
		if (bearers[i].is_unseen)
			m->seen[PLACE_NEW].is_final = m->seen[PLACE_CUR].is_final = 0;
		if (!snapshot_set_twin(s, &group[i], left > 1 ? inode : 0,
			    bearers[i].has_alias ? inode : 0))
			return false;
	}
	for (size_t i = left; i < count; i++)
		group[i].flags |= ENTRY_DROPPED;
	return true;
}

/* Clears *complete if a file was gone before it was looked at. */
static bool settle_group(struct maildir *m, struct entry *group, size_t count, bool *complete)
{
	struct bearer *const bearers = reallocarray(NULL, count, sizeof *bearers);
	size_t left = 0;
	bool settled;

	if (bearers == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* the same file, seen by several readings of a directory, has neighbouring
		 * entries */
		if (left > 0 && group[i].place == bearers[left - 1].entry.place &&
			strcmp(group[i].name, bearers[left - 1].entry.name) == 0)
			continue;
		bearers[left].entry = group[i];
		bearers[left].number = left;
		left++;
	}
	for (size_t i = 0; i < left && left > 1; i++) {
		look_at_bearer(m, &bearers[i]);
		*complete &= !bearers[i].is_gone;
	}
	if (left > 1) {
		const struct bearer first = bearers[0];

		qsort(bearers, left, sizeof *bearers, compare_inodes);
		left = drop_aliases(bearers, left);
		put_oldest_first(bearers, left);
		/* all gone meanwhile: the search by unique name decides */
		if (left == 0)
			bearers[left++] = first;
	} else {
		bearers[0].inode = 0;
		bearers[0].is_unseen = bearers[0].has_alias = false;
	}
	settled = put_back(m, group, count, bearers, left);
	free(bearers);
	return settled;
}

/* The same for all groups of a sorted snapshot. */
static bool settle_groups(struct maildir *m, bool *complete)
{
	struct snapshot *const s = &m->snapshot;
	size_t start = 0;

	*complete = true;
	while (start < s->count) {
		size_t end = start + 1;

		while (end < s->count &&
			snapshot_same_unique(&s->entries[start], &s->entries[end]))
			end++;
		if (end - start > 1 &&
			!settle_group(m, &s->entries[start], end - start, complete))
			return false;
		start = end;
	}
	snapshot_compact(s);
	return true;
}

/* Another program may rename one of several files with one unique name between the reading of
 * its directory and the look at it. Only another reading tells that from one file whose flags
 * changed while its directory was read. */
bool maildir_settle_names(struct maildir *m)
{
	bool complete;

	for (int i = 1;; i++) {
		if (!snapshot_sort(&m->snapshot) || !settle_groups(m, &complete))
			return false;
		if (complete || i == MAILDIR_TRIES)
			return true;
		if (!maildir_scan_again(m))
			return false;
	}
}

bool maildir_is_still(const struct maildir *m, const struct message *message)
{
	struct stat st;

	if (message->inode == 0)
		return true;
	if (fstatat(m->place_fd[message->place], message->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	errno = ENOENT;
	return (uint64_t)st.st_ino == message->inode;
}
