/* get: what is known of a message, by its number; see maildir.h. */
#include <errno.h>
#include <string.h>

#include "maildir/internal.h"
#include "os/log.h"

bool maildir_is_broken(const struct maildir *m)
{
	return m->index_use == INDEX_BROKEN;
}

/* After the index has failed once it is not read any more, because its numbers may be wrong. */
static bool is_sound(const struct maildir *m)
{
	errno = EBADMSG;
	return m->index_use != INDEX_BROKEN;
}

bool maildir_get(struct maildir *m, size_t number, struct message *message)
{
	message->name = "";
	message->name_octets = message->unique_octets = message->place = 0;
	return is_sound(m) && (snapshot_get(&m->snapshot, number, message) || maildir_break(m));
}

bool maildir_get_unique(struct maildir *m, size_t number, struct unique *unique)
{
	return is_sound(m) &&
	       (snapshot_get_unique(&m->snapshot, number, unique) || maildir_break(m));
}

bool maildir_get_size(struct maildir *m, size_t number, uint64_t *size_octets)
{
	return is_sound(m) &&
	       (snapshot_get_size(&m->snapshot, number, size_octets) || maildir_break(m));
}

bool maildir_read_uids(struct maildir *m)
{
	const bool was_read = m->uids.is_read;

	if (!uids_read(&m->uids)) {
		log_event(LOG_ERR, "uids-unreadable errno=%d error=\"%s\" file=" UIDS_NAME,
			errno, strerror(errno));
		return false;
	}
	if (!was_read && m->uids.damaged > 0)
		log_event(LOG_ERR, "uids-damaged lost=%zu file=" UIDS_NAME, m->uids.damaged);
	return true;
}

size_t maildir_uid(struct maildir *m, size_t number, char text[MAILDIR_UID_OCTETS])
{
	struct unique unique;

	if (!maildir_get_unique(m, number, &unique))
		return 0;
	if (!m->uids.is_there)
		return uid_text(text, unique.octets, unique.length, unique.shared);
	return maildir_read_uids(m) ? uids_give(&m->uids, &unique, text) : 0;
}

bool maildir_is_deleted(const struct maildir *m, size_t number)
{
	return snapshot_marked(&m->snapshot, MARK_DELETED, number);
}

bool maildir_was_kept(const struct maildir *m, size_t number)
{
	return snapshot_marked(&m->snapshot, MARK_KEPT, number);
}

/* In a forged index the total can be less than the size of a message; the result must not
 * wrap. */
struct maildir_totals maildir_totals(const struct maildir *m)
{
	return (struct maildir_totals){
		m->snapshot.count - snapshot_marked_count(&m->snapshot, MARK_DELETED),
		m->all_octets > m->deleted_octets ? m->all_octets - m->deleted_octets : 0};
}
