/* quota: maildirsize, the file in which Maildir++ sums up a maildrop; see internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/log.h"

/* Opens it for reading as well, because the end of its last line must be checked. */
static int open_quota(int root_fd)
{
	const int flags = O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const int fd = openat(root_fd, QUOTA_NAME, O_RDWR | flags);

	return fd >= 0 || errno != EACCES ? fd : openat(root_fd, QUOTA_NAME, O_WRONLY | flags);
}

void quota_open(struct maildir *m)
{
	struct stat st;

	if (fstatat(m->root_fd, QUOTA_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(st.st_mode))
		return;
	m->quota_fd = open_quota(m->root_fd);
	if (m->quota_fd < 0)
		log_event(LOG_WARNING, "quota-not-told errno=%d error=\"%s\" file=" QUOTA_NAME,
			errno, strerror(errno));
}

bool quota_is_current(const struct maildir *m)
{
	struct stat opened, named;

	return m->quota_fd >= 0 && fstat(m->quota_fd, &opened) == 0 &&
	       fstatat(m->root_fd, QUOTA_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* A message with the flag T (trash) does not count. */
struct quota quota_share(const struct maildir *m, const struct message *message)
{
	struct quota share = {.messages = 1};
	struct stat st;

	if (uid_has_flag(message->name + message->unique_octets,
		    (size_t)message->name_octets - message->unique_octets, 'T'))
		share.messages = 0;
	else if (uid_size_field(message->name, message->unique_octets, 'S', &share.octets))
		return share;
	else if (fstatat(m->place_fd[message->place], message->name, &st,
			 AT_SYMLINK_NOFOLLOW) == 0)
		share.octets = (uint64_t)st.st_size;
	return share;
}

/* If the last line has no line end, one must be written first, or the new line would become
 * part of it. */
static bool ends_in_a_line(int fd)
{
	struct stat st;
	char last = '\n';

	if (fstat(fd, &st) != 0 || st.st_size == 0)
		return true;
	return pread(fd, &last, 1, st.st_size - 1) != 1 || last == '\n';
}

/* Writes the line with one call, because other programs append at the same time. */
void quota_tell(const struct quota *q)
{
	char line[64];
	int length;

	if (q->fd < 0 || q->messages == 0)
		return;
	length = snprintf(line, sizeof line, "%s-%llu -%llu\n",
		ends_in_a_line(q->fd) ? "" : "\n", (unsigned long long)q->octets,
		(unsigned long long)q->messages);
	if (write(q->fd, line, (size_t)length) != length)
		log_event(LOG_WARNING, "quota-not-told errno=%d error=\"%s\" file=" QUOTA_NAME,
			errno, strerror(errno));
}
