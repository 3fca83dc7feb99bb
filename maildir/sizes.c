/* sizes: finds the size of each message of a snapshot in memory; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir.h"
#include "maildir/body.h"
#include "maildir/internal.h"
#include "os/log.h"

/* Takes counted sizes from the index. It walks through both lists, which are sorted in the same
 * way. If the index is sorted otherwise, or cannot be read to its end, the other sizes are
 * counted again. */
void maildir_take_sizes(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;
	struct message known;
	size_t at = 0;

	for (uint64_t i = 0; i < m->index.header.count && at < s->count; i++) {
		uint64_t order;
		int sign = 1;

		if (!index_get(&m->index, i, &known))
			return;
		if (!known.size_verified)
			continue;
		order = snapshot_order(known.name, known.unique_octets);
		for (; at < s->count; at++) {
			struct entry *const entry = &s->entries[at];

			sign = snapshot_compare(entry->order, entry->name, entry->unique_octets,
				order, known.name, known.unique_octets);
			if (sign >= 0)
				break;
		}
		/* files with one unique name cannot be matched here, so they are counted */
		if (at < s->count && sign == 0 && known.inode == 0 && known.alias_inode == 0 &&
			s->entries[at].twin == 0) {
			s->entries[at].size_octets = known.size_octets;
			s->entries[at].flags |= ENTRY_VERIFIED | ENTRY_SIZED;
		}
	}
}

/* Sets a guess as the size of a message that cannot be read. The message stays in the list, and
 * RETR reports what is wrong. */
static uint64_t size_on_disk(const struct maildir *m, const struct message *message)
{
	struct stat st;

	if (fstatat(m->place_fd[message->place], message->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_size < UID_SIZE_MOST ? (uint64_t)st.st_size : UID_SIZE_MOST;
}

/* A message is left out only if a search of the directories did not find it. After any other
 * error it stays in the list, and the next session tries again. */
static void count_size(struct maildir *m, size_t number)
{
	struct entry *const entry = &m->snapshot.entries[number];
	struct message message;
	const int fd = maildir_open_message(m, number, &message);
	uint64_t octets;
	bool counted;
	int error_number = errno;

	if (fd < 0 && error_number == ENOENT) {
		entry->flags |= ENTRY_DROPPED;
		return;
	}
	counted = fd >= 0 && body_start(&m->body, fd, sizeof m->body.chunk) &&
		  body_count(&m->body, &octets);
	if (fd >= 0) {
		error_number = errno;
		close(fd);
	}
	if (counted) {
		m->has_learned = true;
		snapshot_set_size(&m->snapshot, number, octets);
		return;
	}
	entry->size_octets = size_on_disk(m, &message);
	entry->flags |= ENTRY_UNKNOWN;
	maildir_log_message(m, &message, "message-unreadable", error_number);
}

void maildir_find_sizes(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;

	for (size_t i = 0; i < s->count; i++) {
		const unsigned wanted =
			m->verify_sizes ? ENTRY_VERIFIED : ENTRY_VERIFIED | ENTRY_SIZED;

		if ((s->entries[i].flags & wanted) == 0)
			count_size(m, i);
	}
	snapshot_compact(s);
}

static bool add_all(struct maildir *m)
{
	m->all_octets = 0;
	for (size_t i = 0; i < m->snapshot.count; i++) {
		const uint64_t octets = m->snapshot.entries[i].size_octets;

		if (octets > INDEX_SIZE_MOST - m->all_octets)
			return false;
		m->all_octets += octets;
	}
	return true;
}

void maildir_sum(struct maildir *m)
{
	if (add_all(m))
		return;
	m->verify_sizes = true;
	maildir_find_sizes(m);
	/* counted sizes cannot reach this; sizes in names can, and the sum must not wrap */
	if (!add_all(m))
		m->all_octets = INDEX_SIZE_MOST;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Each line end adds at most one octet. A missing last line end adds two, and so does a
 * supplied empty line. */
bool maildir_may_have_size(
	const struct maildir *m, const struct message *message, const struct stat *st)
{
	const uint64_t file_octets = (uint64_t)st->st_size;
	uint64_t said_octets;

	if (message->size_is_old && is_later(&st->st_ctim, &m->index.written))
		return false;
	if (uid_size_field(message->name, message->unique_octets, 'S', &said_octets) &&
		said_octets != file_octets)
		return false;
	return message->size_octets >= file_octets &&
	       message->size_octets / 2 <= file_octets + 2;
}
