/* get: messages by number, also where the index breaks; see maildir.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"

bool maildir_get(struct maildir *m, size_t number, struct message *message)
{
	if (snapshot_get(&m->snapshot, number, message))
		return true;
	return maildir_recover(m) && snapshot_get(&m->snapshot, number, message);
}

bool maildir_get_unique(struct maildir *m, size_t number, struct unique *unique)
{
	if (snapshot_get_unique(&m->snapshot, number, unique))
		return true;
	return maildir_recover(m) && snapshot_get_unique(&m->snapshot, number, unique);
}

bool maildir_get_size(struct maildir *m, size_t number, uint64_t *size_octets)
{
	if (snapshot_get_size(&m->snapshot, number, size_octets))
		return true;
	return maildir_recover(m) && snapshot_get_size(&m->snapshot, number, size_octets);
}

int maildir_open_message(struct maildir *m, size_t number, struct message *message)
{
	int fd;

	if (!maildir_get(m, number, message))
		return -1;
	fd = maildir_open_known(m, number, message);
	/* the index broke at another message */
	if (fd < 0 && errno == EBADMSG && maildir_recover(m))
		fd = maildir_open_known(m, number, message);
	return fd;
}

bool maildir_is_deleted(const struct maildir *m, size_t number)
{
	return snapshot_marked(&m->snapshot, MARK_DELETED, number);
}
