/* sizes: how many octets each message of a snapshot in memory has; see maildir_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir.h"
#include "maildir/body.h"
#include "maildir/internal.h"
#include "os/log.h"

/* Takes from the index the sizes that were counted once, walking through both lists, which are
 * sorted alike. Nothing is lost but time where it is not, or cannot be read to its end. */
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
		/* twins are not told from each other here: they are counted */
		if (at < s->count && sign == 0 && known.inode == 0 && known.alias_inode == 0 &&
			s->entries[at].twin == 0) {
			s->entries[at].size_octets = known.size_octets;
			s->entries[at].flags |= ENTRY_VERIFIED;
		}
	}
}

/* The size of a message that cannot be read: it stays in the list, and RETR will say what is
 * wrong. */
static uint64_t size_on_disk(const struct maildir *m, const struct message *message)
{
	struct stat st;

	if (fstatat(m->place_fd[message->place], message->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_size;
}

static void count_size(struct maildir *m, size_t number)
{
	static const char *const place_names[] = {"new", "cur"};
	struct entry *const entry = &m->snapshot.entries[number];
	char quoted[4 * UID_NAME_OCTETS + 8];
	struct message message;
	const int fd = maildir_open_known(m, number, &message);
	struct message_counted found = {0, 0};
	bool counted = false;
	int error_number = errno;

	if (fd >= 0) {
		counted = message_count(fd, &found);
		error_number = errno;
		close(fd);
	}
	m->has_learned |= counted;
	if (counted) {
		snapshot_set_size(&m->snapshot, number, found.octets);
		return;
	}
	if (fd < 0 && (error_number == ENOENT || error_number == ESTALE)) {
		entry->flags |= ENTRY_DROPPED;
		return;
	}
	entry->size_octets = size_on_disk(m, &message);
	entry->flags |= ENTRY_UNKNOWN;
	log_event(LOG_WARNING, "message-unreadable errno=%d error=\"%s\" place=%s message=%s",
		error_number, strerror(error_number), place_names[message.place],
		log_quote(quoted, sizeof quoted, message.name, message.name_octets));
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
