/* find: opening a message whose file may have moved; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/internal.h"

/* Opens the file. If inode is not 0 and the file has another one, it is not the message. */
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

bool maildir_must_be_there(struct maildir *m)
{
	return maildir_unchanged(m) && !m->is_remote;
}

enum search maildir_search(struct maildir *m, size_t number)
{
	if (maildir_must_be_there(m))
		return SEARCH_THERE;
	if (!maildir_rescan(m))
		return SEARCH_FAILED;
	return (m->snapshot.entries[number].flags & ENTRY_FOUND) != 0 ? SEARCH_THERE
								      : SEARCH_GONE;
}

int maildir_open_message(struct maildir *m, size_t number, struct message *message)
{
	for (int i = 0; maildir_get(m, number, message); i++) {
		const int fd = open_regular(
			m->place_fd[message->place], message->name, message->inode);

		if (fd >= 0 || (errno != ENOENT && errno != ESTALE))
			return fd;
		/* every search found it, and no open did */
		errno = ESTALE;
		if (i == MAILDIR_TRIES)
			return -1;
		switch (maildir_search(m, number)) {
		case SEARCH_THERE: break;
		case SEARCH_GONE: errno = ENOENT; return -1;
		case SEARCH_FAILED: return -1;
		}
	}
	return -1;
}
