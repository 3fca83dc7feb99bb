/* update: the UPDATE state of a maildrop; see maildir.h. Never replaces or removes what no
 * client named. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "maildir.h"
#include "maildir/internal.h"
#include "os/directory.h"
#include "os/log.h"

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

/* The message that has just been removed. */
struct removed {
	const struct message *message;
};

/* Removes a further name of its file. */
static bool take_alias(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct message *const message = ((const struct removed *)context)->message;
	struct stat st;

	if (uid_unique_octets(name, octets) != message->unique_octets ||
		memcmp(name, message->name, message->unique_octets) != 0)
		return true;
	if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(uint64_t)st.st_ino == message->alias_inode)
		unlinkat(directory_fd, name, 0);
	return true;
}

/* A file that was delivered or copied by linking: it would come back under its other name. */
static void remove_aliases(const struct maildir *m, const struct message *message)
{
	struct removed removed = {message};

	for (int place = PLACE_NEW; message->alias_inode != 0 && place <= PLACE_CUR; place++)
		directory_read(m->place_fd[place], take_alias, &removed);
}

/* What became of a try on one message. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_GONE, /* it is not where it was */
	OUTCOME_FAILED
};

static enum outcome failed(void)
{
	return errno == ENOENT || errno == ESTALE ? OUTCOME_GONE : OUTCOME_FAILED;
}

static enum outcome remove_message(
	struct maildir *m, const struct message *message, struct quota *q)
{
	const struct quota share = q->fd >= 0 ? quota_share(m, message) : (struct quota){0};

	if (!maildir_is_still(m, message) ||
		unlinkat(m->place_fd[message->place], message->name, 0) != 0)
		return failed();
	m->is_updated = true;
	q->octets += share.octets;
	q->messages += share.messages;
	remove_aliases(m, message);
	return OUTCOME_DONE;
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
static bool settled_name(const struct message *message, bool retrieved, char *name)
{
	const char *const info = message->name + message->unique_octets;
	const bool add_s = retrieved && !has_flag(message->name, message->name_octets,
						message->unique_octets, 'S');
	size_t at, octets = message->name_octets;

	memcpy(name, message->name, octets + 1);
	if (info[0] == '\0') {
		if (octets + 4 > UID_NAME_OCTETS)
			return false;
		memcpy(name + octets, ":2,S", 5);
		name[octets + 3] = retrieved ? 'S' : '\0';
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
static enum outcome settle_message(
	struct maildir *m, const struct message *message, bool retrieved)
{
	char name[UID_NAME_OCTETS + 1];

	if (message->place == PLACE_CUR && !retrieved)
		return OUTCOME_DONE;
	if (!settled_name(message, retrieved, name))
		memcpy(name, message->name, message->name_octets + 1U);
	if (message->place == PLACE_CUR && strcmp(name, message->name) == 0)
		return OUTCOME_DONE;
	if (maildir_is_still(m, message) &&
		rename_without_replacing(m->place_fd[message->place], message->name,
			m->place_fd[PLACE_CUR], name)) {
		m->is_updated = true;
		return OUTCOME_DONE;
	}
	/* its name is taken by another message: let it be */
	return errno == EEXIST ? OUTCOME_DONE : failed();
}

struct update {
	struct maildir *maildir;
	struct quota quota;
	struct maildir_update result;
};

static enum outcome try_message(struct update *u, size_t number, struct message *message)
{
	struct maildir *const m = u->maildir;

	if (!maildir_get(m, number, message))
		return OUTCOME_FAILED;
	if (maildir_is_deleted(m, number))
		return remove_message(m, message, &u->quota);
	return settle_message(
		m, message, snapshot_marked(&m->snapshot, MARK_RETRIEVED, number));
}

/* Somebody else's removal is as good as ours. */
static void note(struct update *u, size_t number, bool done, uint64_t size_octets)
{
	struct maildir_update *const result = &u->result;
	const bool deleted = maildir_is_deleted(u->maildir, number);

	if (!done && result->error_number == 0)
		result->error_number = errno;
	if (deleted && done) {
		result->removed++;
		result->removed_octets += size_octets;
	}
	result->not_removed += deleted && !done;
	result->not_moved += !deleted && !done;
}

/* What is not where it was is put off: one look at the directories does for all of them. What
 * the last look found, and what has yet another name by now, is still there: no removal. */
static void update_message(struct update *u, size_t number, bool last_try)
{
	struct message message = {.size_octets = 0};
	const enum outcome outcome = try_message(u, number, &message);

	if (outcome == OUTCOME_GONE && !last_try &&
		snapshot_mark(&u->maildir->snapshot, MARK_PENDING, number))
		return;
	snapshot_unmark(&u->maildir->snapshot, MARK_PENDING, number);
	note(u, number,
		outcome == OUTCOME_DONE ||
			(outcome == OUTCOME_GONE && !maildir_is_deleted(u->maildir, number)),
		message.size_octets);
}

/* Looks where the messages are that were put off; those that are nowhere are done with. */
static void look_again(struct update *u)
{
	struct maildir *const m = u->maildir;
	struct snapshot *const s = &m->snapshot;
	bool looked = !maildir_unchanged(m) && snapshot_materialize(s);

	for (size_t i = 0; i < s->count && looked; i++)
		s->entries[i].flags &= (uint8_t)~ENTRY_FOUND;
	looked = looked && maildir_rescan(m);
	for (size_t i = 0; i < s->count; i++) {
		struct message message = {.size_octets = 0};

		if (!snapshot_marked(s, MARK_PENDING, i) ||
			(looked && (s->entries[i].flags & ENTRY_FOUND) != 0))
			continue;
		snapshot_unmark(s, MARK_PENDING, i);
		snapshot_get(s, i, &message);
		note(u, i, true, message.size_octets);
	}
}

/* The index broke, and nothing can be had of the rest: it stays. It is not asked for, one by
 * one: an index may say any number. */
static void give_up(struct update *u)
{
	const struct maildir *const m = u->maildir;

	if (u->result.error_number == 0)
		u->result.error_number = EBADMSG;
	u->result.not_removed = m->snapshot.marked[MARK_DELETED] - u->result.removed;
	u->result.not_moved = m->left;
}

struct maildir_update maildir_update(struct maildir *m)
{
	struct update u = {.maildir = m, .quota = {.fd = -1}};
	struct snapshot *const s = &m->snapshot;

	/* most sessions leave everything as it is, and then nothing is looked at */
	if (m->new_count == 0 && s->marked[MARK_DELETED] == 0 && s->marked[MARK_RETRIEVED] == 0)
		return u.result;
	if (s->marked[MARK_DELETED] > 0 && quota_is_current(m))
		u.quota.fd = m->quota_fd;
	for (size_t i = 0; i < s->count && !s->lost; i++)
		if (m->new_count > 0 || maildir_is_deleted(m, i) ||
			snapshot_marked(s, MARK_RETRIEVED, i))
			update_message(&u, i, false);
	for (int i = 1; i <= MAILDIR_TRIES && s->marked[MARK_PENDING] > 0 && !s->lost; i++) {
		look_again(&u);
		for (size_t j = 0; j < s->count && s->marked[MARK_PENDING] > 0; j++)
			if (snapshot_marked(s, MARK_PENDING, j))
				update_message(&u, j, i == MAILDIR_TRIES);
	}
	if (s->lost)
		give_up(&u);
	tell_quota(&u.quota);
	return u.result;
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

static bool take_stale(void *context, int directory_fd, const char *name, size_t octets)
{
	(void)octets;
	if (is_stale(directory_fd, name, *(const time_t *)context))
		unlinkat(directory_fd, name, 0);
	return true;
}

void maildir_clean_tmp(const struct maildir *m)
{
	time_t now = time(NULL);

	if (m->tmp_fd >= 0)
		directory_read(m->tmp_fd, take_stale, &now);
}
