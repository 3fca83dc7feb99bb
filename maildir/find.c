/* find: opening a message whose file may have moved; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"

/* inode 0: any; a file with another one is not the message that bore this name. */
static int open_regular(int dir_fd, const char *name, uint64_t inode)
{
	const int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int error_number = EINVAL;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		error_number = errno;
	else if (inode != 0 && inode != (uint64_t)st.st_ino)
		error_number = ENOENT;
	else if (S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = error_number;
	return -1;
}

bool maildir_is_still(const struct maildir *m, const struct message *message)
{
	uint64_t inode;

	if (message->inode == 0)
		return true;
	if (!maildir_inode(m, (enum place)message->place, message->name, &inode))
		return false;
	errno = ENOENT;
	return inode == message->inode;
}

/* After a call on a message's file failed with errno: true if the message is there all the
 * same. It has another name by now, or the one it had again: who changes flags may change them
 * back. errno is kept, and *message is what is known then. */
static bool is_elsewhere(struct maildir *m, size_t number, struct message *message)
{
	const int error_number = errno;
	bool found = false;

	if (error_number != ENOENT && error_number != ESTALE)
		return false;
	if (!maildir_unchanged(m)) {
		if (!snapshot_materialize(&m->snapshot))
			return false;
		m->snapshot.entries[number].flags &= (uint8_t)~ENTRY_FOUND;
		found = maildir_rescan(m) &&
			(m->snapshot.entries[number].flags & ENTRY_FOUND) != 0;
		snapshot_get(&m->snapshot, number, message);
	}
	errno = error_number;
	return found;
}

int maildir_open_known(struct maildir *m, size_t number, struct message *message)
{
	if (!snapshot_get(&m->snapshot, number, message))
		return -1;
	for (int i = 0;; i++) {
		const int fd = open_regular(
			m->place_fd[message->place], message->name, message->inode);

		if (fd >= 0 || i == MAILDIR_TRIES || !is_elsewhere(m, number, message))
			return fd;
	}
}
