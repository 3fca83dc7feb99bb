/* maildir: see maildir.h. The update is in update.c. */
#include "maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "maildir_internal.h"
#include "message.h"

#define SCAN_TRIES 4
#define LOCK_NAME "pop3d.lock"

static const char *const place_names[] = {"new", "cur"};

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool mtime_of(int fd, struct timespec *mtime)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	*mtime = st.st_mtim;
	return true;
}

/* Links are not followed; a fifo or a device is never opened. */
static bool is_regular(int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type == DT_REG)
		return true;
	if (entry->d_type != DT_UNKNOWN)
		return false;
	return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

static bool take_entries(
	struct maildir *m, enum place place, DIR *directory, maildir_take *take, void *context)
{
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0;
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > UID_NAME_OCTETS ||
			!is_regular(m->place_fd[place], entry))
			continue;
		if (!take(m, context, place, entry->d_name, strlen(entry->d_name)))
			return false;
	}
}

bool maildir_read_place(struct maildir *m, enum place place, maildir_take *take, void *context)
{
	const int fd = openat(m->place_fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *const directory = fd >= 0 ? fdopendir(fd) : NULL;
	bool complete;
	int error_number;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	complete = take_entries(m, place, directory, take, context);
	error_number = errno;
	closedir(directory);
	errno = error_number;
	return complete;
}

/* Reads a directory, again if it changed meanwhile: a reader among renames may miss an entry.
 */
static bool scan_place(struct maildir *m, enum place place, maildir_take *take)
{
	const size_t before = m->snapshot.count;

	for (int i = 0; i < SCAN_TRIES; i++) {
		struct timespec after;

		snapshot_truncate(&m->snapshot, before);
		if (!mtime_of(m->place_fd[place], &m->scanned_mtime[place]))
			return false;
		if (!maildir_read_place(m, place, take, NULL)) {
			if (errno != ESTALE || i + 1 == SCAN_TRIES)
				return false;
			continue;
		}
		if (!mtime_of(m->place_fd[place], &after))
			return false;
		if (same_time(after, m->scanned_mtime[place]))
			break;
	}
	return true;
}

/* New before cur: what another program moves meanwhile is then seen twice and never missed. */
static bool scan(struct maildir *m, maildir_take *take)
{
	struct timespec now;

	if (!scan_place(m, PLACE_NEW, take) || !scan_place(m, PLACE_CUR, take))
		return false;
	/* times are coarse: a change right after the scan may leave them as they are */
	m->scan_is_final = clock_gettime(CLOCK_REALTIME, &now) == 0 &&
			   now.tv_sec > m->scanned_mtime[PLACE_NEW].tv_sec + 1 &&
			   now.tv_sec > m->scanned_mtime[PLACE_CUR].tv_sec + 1;
	return true;
}

static bool take_new_entry(
	struct maildir *m, void *context, enum place place, const char *name, size_t octets)
{
	(void)context;
	return snapshot_add(&m->snapshot, place, name, octets);
}

static bool inode_of(
	const struct maildir *m, enum place place, const char *name, uint64_t *inode)
{
	struct stat st;

	if (fstatat(m->place_fd[place], name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	*inode = (uint64_t)st.st_ino;
	return true;
}

/* An entry seen by a later scan: the message may have moved or have other flags now. */
static bool take_changed_entry(
	struct maildir *m, void *context, enum place place, const char *name, size_t octets)
{
	size_t count;
	struct message *message = snapshot_find(&m->snapshot, name, octets, &count);
	uint64_t inode;

	(void)context;
	if (message == NULL)
		return true;
	if (count > 1) {
		if (!inode_of(m, place, name, &inode))
			return true;
		while (count > 0 && message->inode != inode) {
			message++;
			count--;
		}
		if (count == 0)
			return true;
	}
	if (message->place == (uint8_t)place && strcmp(message->name, name) == 0)
		return true;
	return snapshot_rename(&m->snapshot, message, place, name, octets);
}

/* Several files with one unique name: those that are gone were moved while the directories were
 * read, those that are one file under two names are one message. What is left are messages of
 * their own. */
static void settle_group(struct maildir *m, struct message *group, size_t count)
{
	size_t left = count;

	for (size_t i = 0; i < count; i++) {
		const enum place place = (enum place)group[i].place;

		group[i].dropped = !inode_of(m, place, group[i].name, &group[i].inode);
		for (size_t j = 0; j < i && !group[i].dropped; j++)
			if (!group[j].dropped && group[j].inode == group[i].inode) {
				group[i].dropped = true;
				group[j].alias_inode = group[j].inode;
			}
		left -= group[i].dropped;
	}
	for (size_t i = 0; i < count && left < 2; i++) {
		group[i].inode = 0;
		/* all gone meanwhile: the search by unique name decides */
		if (left == 0 && i == 0)
			group[i].dropped = false;
	}
}

static void settle_duplicates(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;
	size_t start = 0;

	while (start < s->count) {
		size_t end = start + 1;

		while (end < s->count &&
			snapshot_same_unique(&s->messages[start], &s->messages[end]))
			end++;
		if (end - start > 1)
			settle_group(m, &s->messages[start], end - start);
		start = end;
	}
	snapshot_compact(s);
}

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
	if (!inode_of(m, (enum place)message->place, message->name, &inode))
		return false;
	errno = ENOENT;
	return inode == message->inode;
}

static bool unchanged_since_scan(const struct maildir *m)
{
	struct timespec now[2];

	return m->scan_is_final && mtime_of(m->place_fd[PLACE_NEW], &now[PLACE_NEW]) &&
	       mtime_of(m->place_fd[PLACE_CUR], &now[PLACE_CUR]) &&
	       same_time(now[PLACE_NEW], m->scanned_mtime[PLACE_NEW]) &&
	       same_time(now[PLACE_CUR], m->scanned_mtime[PLACE_CUR]);
}

bool maildir_moved(struct maildir *m, const struct message *message, const char *name)
{
	const int error_number = errno;
	bool looked;

	if (error_number != ENOENT && error_number != ESTALE)
		return false;
	looked = !unchanged_since_scan(m) && scan(m, take_changed_entry);
	errno = error_number;
	return looked && message->name != name;
}

int maildir_open_message(struct maildir *m, struct message *message)
{
	for (int i = 0;; i++) {
		const char *const name = message->name;
		const int fd = open_regular(m->place_fd[message->place], name, message->inode);

		if (fd >= 0 || i == MAILDIR_TRIES || !maildir_moved(m, message, name))
			return fd;
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

static void count_size(struct maildir *m, struct message *message)
{
	char quoted[4 * UID_NAME_OCTETS + 8];
	const int fd = maildir_open_message(m, message);
	int error_number = errno;

	if (fd >= 0) {
		message->size_verified = message_count(fd, &message->size_octets);
		error_number = errno;
		close(fd);
	}
	if (message->size_verified)
		return;
	if (fd < 0 && (error_number == ENOENT || error_number == ESTALE)) {
		message->dropped = true;
		return;
	}
	message->size_octets = size_on_disk(m, message);
	log_event(LOG_WARNING, "message-unreadable errno=%d error=\"%s\" place=%s message=%s",
		error_number, strerror(error_number), place_names[message->place],
		log_quote(quoted, sizeof quoted, message->name, message->name_octets));
}

static void find_sizes(struct maildir *m)
{
	struct snapshot *const s = &m->snapshot;

	for (size_t i = 0; i < s->count; i++) {
		struct message *const message = &s->messages[i];

		if (m->verify_sizes || !uid_size_field(message->name, message->unique_octets,
					       'W', &message->size_octets))
			count_size(m, message);
	}
	snapshot_compact(s);
	maildir_unmark_all(m);
}

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

	memset(m, 0, sizeof *m);
	m->root_fd = m->lock_fd = m->tmp_fd = m->quota_fd = -1;
	m->place_fd[PLACE_NEW] = m->place_fd[PLACE_CUR] = -1;
	m->verify_sizes = wish->verify_sizes;
	snapshot_init(&m->snapshot);
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

bool maildir_load(struct maildir *m)
{
	if (!scan(m, take_new_entry))
		return false;
	snapshot_sort(&m->snapshot);
	settle_duplicates(m);
	find_sizes(m);
	return true;
}

void maildir_close(struct maildir *m)
{
	const int fds[] = {m->root_fd, m->lock_fd, m->tmp_fd, m->quota_fd,
		m->place_fd[PLACE_NEW], m->place_fd[PLACE_CUR]};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	m->root_fd = m->lock_fd = m->tmp_fd = m->quota_fd = -1;
	m->place_fd[PLACE_NEW] = m->place_fd[PLACE_CUR] = -1;
	snapshot_free(&m->snapshot);
}

void maildir_correct_size(struct maildir *m, struct message *message, uint64_t size_octets)
{
	if (!message->deleted)
		m->total_octets += size_octets - message->size_octets;
	message->size_octets = size_octets;
	message->size_verified = true;
}

void maildir_mark(struct maildir *m, struct message *message)
{
	message->deleted = true;
	m->total_octets -= message->size_octets;
	m->left--;
}

void maildir_unmark_all(struct maildir *m)
{
	m->left = m->snapshot.count;
	m->total_octets = 0;
	for (size_t i = 0; i < m->snapshot.count; i++) {
		m->snapshot.messages[i].deleted = false;
		m->total_octets += m->snapshot.messages[i].size_octets;
	}
}
