/* folder: the Maildir++ folder that takes deleted messages, where one is wished; see
 * internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/directory.h"
#include "os/file.h"
#include "os/log.h"

static int open_directory(int parent_fd, const char *name)
{
	return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The empty file by which delivery programs know a folder from a Maildir. */
static bool make_mark(int folder_fd)
{
	const int fd = openat(folder_fd, "maildirfolder",
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	return fd >= 0 && close(fd) == 0;
}

/* cur/ comes last: a folder whose making was interrupted is completed at the next login. */
static int make_folder(int folder_fd)
{
	if (!make_mark(folder_fd) || !directory_make(folder_fd, "tmp") ||
		!directory_make(folder_fd, "new") || !directory_make(folder_fd, "cur"))
		return -1;
	return open_directory(folder_fd, "cur");
}

/* Messages get there by rename, which does not reach another file system. */
static bool is_reachable(const struct maildir *m, int fd)
{
	struct stat there, here;

	if (fstat(fd, &there) != 0 || fstat(m->place_fd[PLACE_CUR], &here) != 0)
		return false;
	errno = EXDEV;
	return there.st_dev == here.st_dev;
}

static int open_folder(const struct maildir *m)
{
	char name[UID_NAME_OCTETS + 1];
	int folder_fd, cur_fd;

	snprintf(name, sizeof name, ".%s", m->folder);
	folder_fd = open_directory(m->root_fd, name);
	if (folder_fd < 0 && errno == ENOENT && directory_make(m->root_fd, name))
		folder_fd = open_directory(m->root_fd, name);
	if (folder_fd < 0)
		return -1;
	cur_fd = open_directory(folder_fd, "cur");
	if (cur_fd < 0 && errno == ENOENT)
		cur_fd = make_folder(folder_fd);
	file_close(folder_fd);
	return cur_fd;
}

void folder_open(struct maildir *m)
{
	char quoted[4 * UID_NAME_OCTETS + 8];

	m->folder_fd = open_folder(m);
	if (m->folder_fd >= 0 && is_reachable(m, m->folder_fd))
		return;
	m->folder_error = errno;
	if (m->folder_fd >= 0)
		close(m->folder_fd);
	m->folder_fd = -1;
	log_event(LOG_ERR, "folder-unusable errno=%d error=\"%s\" folder=%s", m->folder_error,
		strerror(m->folder_error),
		log_quote(quoted, sizeof quoted, m->folder, strlen(m->folder)));
}

bool folder_is_counted(const struct maildir *m)
{
	return strcmp(m->folder, "Trash") != 0;
}

static uint64_t inode_of(int directory_fd, const char *name)
{
	struct stat st;

	return fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_ino
									  : 0;
}

/* A folder that somebody has removed reports its absence as if it were the message's. */
static bool blame(const struct maildir *m, int error_number)
{
	struct stat st;

	errno = error_number;
	if (error_number == ENOENT && (fstat(m->folder_fd, &st) != 0 || st.st_nlink == 0))
		errno = ENOTDIR;
	return false;
}

bool folder_take(const struct maildir *m, const struct message *message, const char *name,
	size_t unique_octets)
{
	const int from_fd = m->place_fd[message->place];
	char other[2 * UID_NAME_OCTETS + 1];
	uint64_t inode;
	size_t octets;

	if (m->folder_fd < 0) {
		errno = m->folder_error;
		return false;
	}
	if (directory_rename(from_fd, message->name, m->folder_fd, name))
		return true;
	if (errno != EEXIST)
		return blame(m, errno);
	inode = inode_of(from_fd, message->name);
	/* an earlier session was interrupted between the link and the removal */
	if (inode != 0 && inode == inode_of(m->folder_fd, name))
		return unlinkat(from_fd, message->name, 0) == 0;
	/* another message has that name there */
	octets = uid_twin_name(other, name, unique_octets, inode);
	if (octets == 0 || octets + strlen(name + unique_octets) > UID_NAME_OCTETS) {
		errno = EEXIST;
		return false;
	}
	strcpy(other + octets, name + unique_octets);
	return directory_rename(from_fd, message->name, m->folder_fd, other) || blame(m, errno);
}
