/* forget: dropping the unique ids of messages that are gone from the file of unique ids; see
 * internal.h. Runs before the session has locked itself in, and rarely. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/large.h"
#include "maildir/internal.h"
#include "os/log.h"

/* A smaller file costs less to read than this costs. */
#define RECORDS_LEAST 1000

/* Between two looks, and before the first: a Maildir that is being restored from a backup, or
 * moved, has not all of its messages yet. */
#define LOOK_SECONDS ((int64_t)30 * 24 * 60 * 60)

static bool is_due(const struct uids *u, int64_t now)
{
	struct stat st;
	int64_t last;

	if (u->claimed < RECORDS_LEAST || fstat(u->fd, &st) != 0)
		return false;
	last = st.st_mtim.tv_sec > st.st_ctim.tv_sec ? st.st_mtim.tv_sec : st.st_ctim.tv_sec;
	return now - last > LOOK_SECONDS;
}

/* Whether new mail could get this unique id by its name: then the record stays, since no unique
 * id may name two messages. Names of delivery agents have a dot; the unique ids that servers
 * make of numbers and digests have none. */
static bool could_be_own(const char *uid, size_t octets)
{
	return octets < UID_TEXT_OCTETS && memchr(uid, '.', octets) != NULL;
}

static bool is_wanted(struct maildir *m, const struct uids_record *r)
{
	const struct uids *const u = &m->uids;

	return could_be_own(u->text + r->uid_start, r->uid_octets) ||
	       snapshot_find(&m->snapshot, u->text + r->name_start, r->name_octets).count > 0;
}

static size_t count_wanted(struct maildir *m)
{
	size_t wanted = 0;

	for (size_t i = 0; i < m->uids.count; i++)
		wanted += is_wanted(m, &m->uids.records[i]);
	return wanted;
}

static bool write_wanted(struct maildir *m, size_t wanted)
{
	const struct uids *const u = &m->uids;
	static struct uids_writer writer LARGE;

	if (!uids_begin(&writer, m->root_fd, u->kind, wanted))
		return false;
	for (size_t i = 0; i < u->count; i++) {
		const struct uids_record *const r = &u->records[i];

		if (is_wanted(m, r) && !uids_put(&writer, u->text + r->uid_start, r->uid_octets,
					       u->text + r->name_start, r->name_octets))
			return false;
	}
	return uids_end(&writer, true);
}

/* Whether the messages of the snapshot are all that there are: the directories were at rest
 * when they were read. */
static bool is_whole(struct maildir *m)
{
	return maildir_scan(m) && snapshot_sort(&m->snapshot) &&
	       m->seen[PLACE_NEW].is_final != 0 && m->seen[PLACE_CUR].is_final != 0;
}

void maildir_forget_gone(struct maildir *m, int64_t now)
{
	size_t wanted;

	if (!is_due(&m->uids, now) || m->is_remote || m->is_read_only)
		return;
	/* a damaged file is left for the administrator to see */
	if (is_whole(m) && uids_read(&m->uids) && m->uids.damaged == 0) {
		wanted = count_wanted(m);
		/* where it is not worth it, the next look is due as long after this one */
		if (wanted > m->uids.count / 2)
			futimens(m->uids.fd, NULL);
		else if (write_wanted(m, wanted))
			log_event(LOG_INFO, "uids-dropped gone=%zu kept=%zu",
				m->uids.count - wanted, wanted);
		else
			log_event(LOG_WARNING, "uids-not-dropped errno=%d error=\"%s\"", errno,
				strerror(errno));
	}
	snapshot_forget(&m->snapshot);
}
