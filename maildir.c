/* maildir: see maildir.h. Taking the snapshot is in load.c, the update in update.c. */
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/log.h"

#define LOCK_NAME "pop3d.lock"

static const char *const place_names[] = {"new", "cur"};

static bool take_lock(struct maildir *m)
{
	m->lock_fd = openat(m->root_fd, LOCK_NAME,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	return m->lock_fd >= 0 && flock(m->lock_fd, LOCK_EX | LOCK_NB) == 0;
}

static bool open_places(struct maildir *m, const char **failed_path)
{
	for (int place = PLACE_NEW; place <= PLACE_CUR; place++) {
		*failed_path = place_names[place];
		m->place_fd[place] = openat(
			m->root_fd, place_names[place], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (m->place_fd[place] < 0)
			return false;
	}
	return true;
}

/* maildirsize and tmp/ need not be there. */
static void open_extras(struct maildir *m)
{
	struct stat st;

	m->tmp_fd = openat(m->root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fstatat(m->root_fd, QUOTA_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(st.st_mode))
		return;
	m->quota_fd = openat(m->root_fd, QUOTA_NAME,
		O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (m->quota_fd < 0)
		log_event(LOG_WARNING, "quota-not-told errno=%d error=\"%s\" file=" QUOTA_NAME,
			errno, strerror(errno));
}

/* The index's directory, if it is there and ours. */
static int open_index_directory(struct maildir *m)
{
	const int fd = openat(
		m->root_fd, INDEX_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	m->owner = geteuid();
	if (fstat(fd, &st) == 0 && st.st_uid == m->owner)
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* Without it, whether it is worth one is known only when new/ and cur/ have been read; and it
 * cannot be made any more when the session has locked itself in. */
static void open_index(struct maildir *m)
{
	m->index_dir_fd = open_index_directory(m);
	if (m->index_dir_fd >= 0 || errno != ENOENT)
		return;
	m->was_read = maildir_scan(m);
	if (!m->was_read)
		snapshot_forget(&m->snapshot);
	else if (maildir_deserves_index(m) && mkdirat(m->root_fd, INDEX_DIRECTORY, 0700) == 0)
		m->index_dir_fd = open_index_directory(m);
}

static bool open_all(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path)
{
	*failed_path = wish->path;
	m->root_fd = open(wish->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0)
		return false;
	if (wish->lock && !take_lock(m)) {
		*failed_path = LOCK_NAME;
		return false;
	}
	if (!open_places(m, failed_path))
		return false;
	open_extras(m);
	if (wish->index)
		open_index(m);
	return true;
}

enum maildir_problem maildir_problem_of(int error_number)
{
	switch (error_number) {
	case ENOENT:
	case ENOTDIR:
	case EACCES:
	case EPERM:
	case ELOOP:
	case ENAMETOOLONG: return MAILDIR_UNUSABLE;
	default: return MAILDIR_TEMPORARY;
	}
}

enum maildir_problem maildir_open(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path)
{
	enum maildir_problem problem;
	int error_number;

	memset(m, 0, offsetof(struct maildir, snapshot));
	m->root_fd = m->lock_fd = m->tmp_fd = m->quota_fd = m->index_dir_fd = m->index.fd = -1;
	m->place_fd[PLACE_NEW] = m->place_fd[PLACE_CUR] = -1;
	m->verify_sizes = wish->verify_sizes;
	snapshot_init(&m->snapshot);
	m->all_octets = m->total_octets = 0;
	m->left = m->new_count = 0;
	if (open_all(m, wish, failed_path))
		return MAILDIR_READY;
	error_number = errno;
	problem = m->lock_fd >= 0 && error_number == EWOULDBLOCK
			  ? MAILDIR_IN_USE
			  : maildir_problem_of(error_number);
	maildir_close(m);
	errno = error_number;
	return problem;
}

void maildir_close(struct maildir *m)
{
	const int fds[] = {m->root_fd, m->lock_fd, m->tmp_fd, m->quota_fd, m->index_dir_fd,
		m->place_fd[PLACE_NEW], m->place_fd[PLACE_CUR]};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	m->root_fd = m->lock_fd = m->tmp_fd = m->quota_fd = m->index_dir_fd = -1;
	m->place_fd[PLACE_NEW] = m->place_fd[PLACE_CUR] = -1;
	m->is_loaded = false;
	index_close(&m->index);
	snapshot_free(&m->snapshot);
}

void maildir_correct_size(
	struct maildir *m, size_t number, struct message *message, uint64_t size_octets)
{
	const bool was_wrong = message->size_unknown || message->size_octets != size_octets;

	const uint64_t said_octets = message->size_octets;

	message->size_octets = size_octets;
	message->size_verified = true;
	/* without memory for that, the next command on this message counts it again */
	if (!snapshot_set_size(&m->snapshot, number, size_octets))
		return;
	if (!maildir_is_deleted(m, number))
		m->total_octets += size_octets - said_octets;
	m->all_octets += size_octets - said_octets;
	m->has_learned |= was_wrong;
}

bool maildir_delete(struct maildir *m, size_t number)
{
	struct message message;

	if (!maildir_get(m, number, &message) ||
		!snapshot_mark(&m->snapshot, MARK_DELETED, number))
		return false;
	m->total_octets -= message.size_octets;
	m->left--;
	return true;
}

void maildir_undelete_all(struct maildir *m)
{
	snapshot_unmark_all(&m->snapshot, MARK_DELETED);
	m->left = m->snapshot.count;
	m->total_octets = m->all_octets;
}

/* Where there is no memory for that the message stays unseen, as after a lost connection. */
void maildir_set_retrieved(struct maildir *m, size_t number)
{
	snapshot_mark(&m->snapshot, MARK_RETRIEVED, number);
}
