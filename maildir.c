/* maildir: see maildir.h. Opening, closing and marks; load.c takes the snapshot, update.c does
 * the update. */
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/log.h"

#define LOCK_NAME "pop3d.lock"

static const char *const place_names[] = {"new", "cur"};

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

/* Whether other hosts may change the files beneath this directory, by the names that
 * linux/magic.h and the file systems themselves give these numbers. */
static bool is_on_network(int fd)
{
	static const uint32_t network[] = {
		0x6969,                             /* NFS */
		0x517b, 0xff534d42, 0xfe534d42,     /* SMB, CIFS, SMB2 */
		0x65735546,                         /* FUSE: sshfs, GlusterFS, virtiofs */
		0x01021997,                         /* 9P */
		0x00c36400,                         /* Ceph */
		0x5346414f, 0x6b414653, 0x73757245, /* AFS of two makers, Coda */
		0x01161970, 0x7461636f,             /* GFS2, OCFS2 */
		0x0bd00bd0, 0x47504653, 0x19830326, /* Lustre, GPFS, BeeGFS */
		0x20030528, 0x786f4256, 0xaad7aaea, /* OrangeFS, VirtualBox, PanFS */
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return true;
	for (size_t i = 0; i < sizeof network / sizeof *network; i++)
		if ((uint32_t)fs.f_type == network[i])
			return true;
	return false;
}

/* Opens the lock file, or makes it. If that is not possible, an existing file is opened for
 * reading. */
static int open_lock(int root_fd)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const int fd = openat(root_fd, LOCK_NAME, O_RDWR | O_CREAT | flags, 0600);
	const int error_number = errno;
	int read_fd;

	if (fd >= 0 || (error_number != ENOSPC && error_number != EDQUOT &&
			       error_number != EROFS && error_number != EACCES))
		return fd;
	read_fd = openat(root_fd, LOCK_NAME, O_RDONLY | flags);
	if (read_fd < 0)
		errno = error_number;
	return read_fd;
}

/* On local file systems the directory is locked first. Sessions that could make the lock file
 * then exclude sessions that could not, because the disk was full or read-only. On network file
 * systems two hosts can lock one directory at the same time, so the file is required. */
static enum maildir_problem take_lock(struct maildir *m)
{
	if (!m->is_remote && flock(m->root_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? MAILDIR_IN_USE : maildir_problem_of(errno);
	m->lock_fd = open_lock(m->root_fd);
	if (m->lock_fd < 0)
		return m->is_remote || errno == ELOOP || errno == EMFILE || errno == ENFILE
			       ? maildir_problem_of(errno)
			       : MAILDIR_READY;
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return MAILDIR_READY;
	return errno == EWOULDBLOCK ? MAILDIR_IN_USE : maildir_problem_of(errno);
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

/* Opens the directory of the index, if it exists and belongs to this user. */
static int open_index_directory(struct maildir *m)
{
	const int fd = openat(
		m->root_fd, INDEX_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == m->owner)
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* If the directory does not exist, new/ and cur/ must be read to know whether the maildrop
 * needs an index. This happens now, because a confined session cannot make the directory. */
static void open_index(struct maildir *m)
{
	m->index_dir_fd = open_index_directory(m);
	if (m->index_dir_fd >= 0 || errno != ENOENT || m->is_read_only)
		return;
	if (!maildir_scan(m)) {
		snapshot_forget(&m->snapshot);
		return;
	}
	m->state = MAILDIR_READ;
	if (maildir_deserves_index(m) && mkdirat(m->root_fd, INDEX_DIRECTORY, 0700) == 0)
		m->index_dir_fd = open_index_directory(m);
}

static void log_taken(const struct maildir_takeover *found)
{
	log_event(LOG_NOTICE,
		"uids-taken messages=%zu taken=%zu same=%zu unknown=%zu shared=%zu wrong=%zu "
		"list=%s",
		found->messages, found->taken, found->same, found->unknown, found->shared,
		found->wrong, found->has_list ? "yes" : "no");
}

static bool log_not_taken(const struct foreign *from)
{
	const int error_number = errno;
	char kind[FOREIGN_KIND_OCTETS + 1], quoted[4 * FOREIGN_KIND_OCTETS + 8];

	foreign_write(from, kind);
	log_event(LOG_ERR, "uids-not-taken errno=%d error=\"%s\" kind=%s", error_number,
		strerror(error_number), log_quote(quoted, sizeof quoted, kind, strlen(kind)));
	errno = error_number;
	return false;
}

/* The unique-ids that were taken over from another server; now, if nothing was decided yet and
 * the administrator wants it. Without them the clients would fetch everything again, so there
 * is no login then. */
static bool open_uids(struct maildir *m, const struct maildir_wish *wish)
{
	struct maildir_takeover found;

	if (!uids_open(&m->uids, m->root_fd, m->owner))
		return false;
	if (m->uids.is_there)
		maildir_forget_gone(m, time(NULL));
	if (m->uids.is_there || wish->uids_from == NULL || wish->read_only)
		return true;
	if (maildir_take_over(m, wish->uids_from, true, &found))
		log_taken(&found);
	/* another session was faster, and its file may not be on the disk yet */
	else if (errno != EEXIST || fsync(m->root_fd) != 0)
		return log_not_taken(wish->uids_from);
	return uids_open(&m->uids, m->root_fd, m->owner);
}

static enum maildir_problem open_all(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path)
{
	*failed_path = wish->path;
	m->root_fd = open(wish->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0)
		return maildir_problem_of(errno);
	m->state = MAILDIR_OPEN;
	m->is_remote = is_on_network(m->root_fd);
	if (wish->lock) {
		const enum maildir_problem problem = take_lock(m);

		*failed_path = LOCK_NAME;
		if (problem != MAILDIR_READY)
			return problem;
	}
	if (!open_places(m, failed_path))
		return maildir_problem_of(errno);
	*failed_path = UIDS_NAME;
	if (!open_uids(m, wish))
		return MAILDIR_TEMPORARY;
	/* tmp/ and maildirsize need not be there */
	m->tmp_fd = openat(m->root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (!m->is_read_only)
		quota_open(m);
	if (m->folder != NULL)
		folder_open(m);
	if (wish->index)
		open_index(m);
	return MAILDIR_READY;
}

static void no_descriptors(struct maildir *m)
{
	m->root_fd = m->lock_fd = m->tmp_fd = m->quota_fd = m->index_dir_fd = -1;
	m->folder_fd = m->place_fd[PLACE_NEW] = m->place_fd[PLACE_CUR] = -1;
}

enum maildir_problem maildir_open(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path)
{
	enum maildir_problem problem;
	int error_number;

	memset(m, 0, offsetof(struct maildir, snapshot));
	no_descriptors(m);
	m->owner = geteuid();
	m->index.fd = -1;
	m->index.pages = NULL;
	uids_init(&m->uids);
	m->verify_sizes = wish->verify_sizes || wish->end_headers;
	m->body.ends_headers = wish->end_headers;
	m->is_read_only = wish->read_only;
	m->keep_new = wish->keep_new;
	m->folder = wish->folder;
	snapshot_init(&m->snapshot);
	problem = open_all(m, wish, failed_path);
	if (problem == MAILDIR_READY)
		return problem;
	error_number = errno;
	maildir_close(m);
	errno = error_number;
	return problem;
}

void maildir_close(struct maildir *m)
{
	const int fds[] = {m->root_fd, m->lock_fd, m->tmp_fd, m->quota_fd, m->index_dir_fd,
		m->folder_fd, m->place_fd[PLACE_NEW], m->place_fd[PLACE_CUR]};

	maildir_log_rest(m);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	no_descriptors(m);
	index_close(&m->index);
	uids_close(&m->uids);
	snapshot_free(&m->snapshot);
	m->state = MAILDIR_CLOSED;
}

void maildir_correct_size(
	struct maildir *m, size_t number, struct message *message, uint64_t size_octets)
{
	const bool was_wrong = message->size_unknown || message->size_octets != size_octets;
	const uint64_t said_octets = message->size_octets;

	message->size_octets = size_octets;
	message->size_verified = true;
	message->size_is_old = false;
	/* if there is no memory for it, the next command on this message counts again */
	if (!snapshot_set_size(&m->snapshot, number, size_octets))
		return;
	m->all_octets += size_octets - said_octets;
	if (maildir_is_deleted(m, number))
		m->deleted_octets += size_octets - said_octets;
	m->has_learned |= was_wrong;
}

bool maildir_delete(struct maildir *m, size_t number)
{
	uint64_t size_octets;

	if (maildir_is_deleted(m, number))
		return true;
	if (!maildir_get_size(m, number, &size_octets) ||
		!snapshot_mark(&m->snapshot, MARK_DELETED, number))
		return false;
	m->deleted_octets += size_octets;
	return true;
}

void maildir_undelete_all(struct maildir *m)
{
	snapshot_unmark_all(&m->snapshot, MARK_DELETED);
	m->deleted_octets = 0;
}

/* If there is no memory for the mark, the message stays unseen, as after a lost connection. */
void maildir_set_retrieved(struct maildir *m, size_t number)
{
	snapshot_mark(&m->snapshot, MARK_RETRIEVED, number);
}
