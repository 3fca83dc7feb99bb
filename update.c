/* update: the UPDATE state of a maildrop; see maildir.h. Never replaces or removes what no
 * client named. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "maildir.h"
#include "maildir_internal.h"

#define TMP_SECONDS (36 * 60 * 60)
#define NAME_NOREPLACE 1U /* RENAME_NOREPLACE, which not every libc names */

/* What is told to maildirsize. */
struct quota {
	int fd; /* -1: there is none */
	uint64_t octets, messages;
};

static bool has_flag(const char *name, size_t name_octets, size_t unique_octets, char flag)
{
	const char *const info = name + unique_octets;
	const size_t octets = name_octets - unique_octets;

	if (octets < 3 || memcmp(info, ":2,", 3) != 0)
		return false;
	for (size_t i = 3; i < octets && info[i] != ','; i++)
		if (info[i] == flag)
			return true;
	return false;
}

/* What a message counts in the quota; one flagged T does not. */
static struct quota quota_share(const struct maildir *m, const struct message *message)
{
	struct quota share = {.messages = 1};
	struct stat st;

	if (has_flag(message->name, message->name_octets, message->unique_octets, 'T'))
		share.messages = 0;
	else if (uid_size_field(message->name, message->unique_octets, 'S', &share.octets))
		return share;
	else if (fstatat(m->place_fd[message->place], message->name, &st,
			 AT_SYMLINK_NOFOLLOW) == 0)
		share.octets = (uint64_t)st.st_size;
	return share;
}

/* Whether the file opened at the start is still the one that others read: a new one has been
 * counted anew meanwhile, and knows nothing of what is told to the old. */
static bool quota_is_current(const struct maildir *m)
{
	struct stat opened, named;

	return m->quota_fd >= 0 && fstat(m->quota_fd, &opened) == 0 &&
	       fstatat(m->root_fd, QUOTA_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* One line in one write: other programs append as well. */
static void tell_quota(const struct quota *q)
{
	char line[64];
	int length;

	if (q->fd < 0)
		return;
	length = snprintf(line, sizeof line, "-%llu -%llu\n", (unsigned long long)q->octets,
		(unsigned long long)q->messages);
	if (q->messages > 0 && write(q->fd, line, (size_t)length) != length)
		log_event(LOG_WARNING, "quota-not-told errno=%d error=\"%s\" file=" QUOTA_NAME,
			errno, strerror(errno));
}

/* Removes a further name of the file whose message (context) has just been removed. */
static bool take_alias(
	struct maildir *m, void *context, enum place place, const char *name, size_t octets)
{
	const struct message *const message = context;
	struct stat st;

	if (uid_unique_octets(name, octets) != message->unique_octets ||
		memcmp(name, message->name, message->unique_octets) != 0)
		return true;
	if (fstatat(m->place_fd[place], name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(uint64_t)st.st_ino == message->alias_inode)
		unlinkat(m->place_fd[place], name, 0);
	return true;
}

/* Removes a message, wherever it is by now; one that somebody else removed is removed. */
static bool remove_message(struct maildir *m, struct message *message, struct quota *q)
{
	for (int i = 0;; i++) {
		const char *const name = message->name;
		const struct quota share =
			q->fd >= 0 ? quota_share(m, message) : (struct quota){0};

		if (maildir_is_still(m, message) &&
			unlinkat(m->place_fd[message->place], name, 0) == 0) {
			q->octets += share.octets;
			q->messages += share.messages;
			break;
		}
		if (i == MAILDIR_TRIES || !maildir_moved(m, message, name)) {
			if (errno != ENOENT && errno != ESTALE)
				return false;
			break;
		}
	}
	/* a file that was delivered or copied by linking: it would come back under its other
	 * name */
	for (int place = PLACE_NEW; message->alias_inode != 0 && place <= PLACE_CUR; place++)
		maildir_read_place(m, (enum place)place, take_alias, message);
	return true;
}

static bool rename_without_replacing(int from_fd, const char *from, int to_fd, const char *to)
{
	if (syscall(SYS_renameat2, from_fd, from, to_fd, to, NAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return false;
	/* a file system that cannot do that (NFS): a link never replaces either */
	return linkat(from_fd, from, to_fd, to, 0) == 0 && unlinkat(from_fd, from, 0) == 0;
}

/* Writes the name that a message has after the session; an info that is not of the form
 * "2,FLAGS" is left as it is. Returns false where that would be too long for a name. */
static bool settled_name(const struct message *message, char *name)
{
	const char *const info = message->name + message->unique_octets;
	const bool add_s = message->retrieved && !has_flag(message->name, message->name_octets,
							 message->unique_octets, 'S');
	size_t at, octets = message->name_octets;

	memcpy(name, message->name, octets + 1);
	if (info[0] == '\0') {
		if (octets + 4 > UID_NAME_OCTETS)
			return false;
		memcpy(name + octets, ":2,S", 5);
		name[octets + 3] = message->retrieved ? 'S' : '\0';
		return true;
	}
	if (!add_s || strncmp(info, ":2,", 3) != 0)
		return true;
	if (octets + 1 > UID_NAME_OCTETS)
		return false;
	at = message->unique_octets + 3U;
	while (name[at] != '\0' && name[at] != ',' && name[at] < 'S')
		at++;
	memmove(name + at + 1, name + at, octets - at + 1);
	name[at] = 'S';
	return true;
}

/* Moves a message from new/ to cur/ and gives it its flag. */
static bool move_message(const struct maildir *m, const struct message *message)
{
	char name[UID_NAME_OCTETS + 1];

	if (message->place == PLACE_CUR && !message->retrieved)
		return true;
	if (!settled_name(message, name))
		memcpy(name, message->name, message->name_octets + 1U);
	if (message->place == PLACE_CUR && strcmp(name, message->name) == 0)
		return true;
	return maildir_is_still(m, message) &&
	       rename_without_replacing(m->place_fd[message->place], message->name,
		       m->place_fd[PLACE_CUR], name);
}

/* True where nothing is left to do. */
static bool settle_message(struct maildir *m, const struct message *message)
{
	for (int i = 0;; i++) {
		const char *const name = message->name;

		if (move_message(m, message))
			return true;
		/* gone, or its name is taken by another message: let it be */
		if (i == MAILDIR_TRIES || !maildir_moved(m, message, name))
			return errno == ENOENT || errno == ESTALE || errno == EEXIST;
	}
}

struct maildir_update maildir_update(struct maildir *m)
{
	struct maildir_update u = {0};
	struct quota quota = {.fd = -1};

	if (m->left < m->snapshot.count && quota_is_current(m))
		quota.fd = m->quota_fd;
	for (size_t i = 0; i < m->snapshot.count; i++) {
		struct message *const message = &m->snapshot.messages[i];
		const bool done = message->deleted ? remove_message(m, message, &quota)
						   : settle_message(m, message);

		if (!done && u.error_number == 0)
			u.error_number = errno;
		if (message->deleted && done) {
			u.removed++;
			u.removed_octets += message->size_octets;
		}
		u.not_removed += message->deleted && !done;
		u.not_moved += !message->deleted && !done;
	}
	tell_quota(&quota);
	return u;
}

static bool is_stale(int fd, const char *name, time_t now)
{
	struct stat st;
	time_t last;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	/* not the access time alone: on a file system mounted noatime that one is old from
	 * birth */
	last = st.st_atime > st.st_mtime ? st.st_atime : st.st_mtime;
	return last < now - TMP_SECONDS;
}

void maildir_clean_tmp(const struct maildir *m)
{
	const int fd = m->tmp_fd >= 0
			       ? openat(m->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			       : -1;
	DIR *const directory = fd >= 0 ? fdopendir(fd) : NULL;
	const time_t now = time(NULL);
	const struct dirent *entry;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.' && is_stale(fd, entry->d_name, now))
			unlinkat(fd, entry->d_name, 0);
	closedir(directory);
}
