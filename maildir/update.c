/* update: the UPDATE state of a maildrop; see maildir.h. Never replaces a file (see
 * directory_move), and removes only messages that the client has marked. With a folder for
 * deleted messages, removing means moving there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/directory.h"

/* The passes of an update. First, messages whose unique name another message keeps get a name
 * of their own. If that message were removed first and the session died, they would have its
 * unique id. Removing comes before moving, because it frees space that new names may need. */
enum pass { PASS_TWINS, PASS_REMOVE, PASS_MOVE };

struct update {
	struct maildir *maildir;
	enum pass pass;
	struct quota quota;
	struct maildir_update result;
};

/* The result of one attempt on a message. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_GONE, /* it is not where it was */
	OUTCOME_FAILED
};

static enum outcome failed(void)
{
	return errno == ENOENT || errno == ESTALE ? OUTCOME_GONE : OUTCOME_FAILED;
}

/* Notes that this session has changed the directories, and that further names of the message's
 * file must be removed, too. Otherwise the message would appear again under one of them. */
static void has_changed(struct update *u, size_t number, const struct message *message)
{
	struct maildir *const m = u->maildir;

	m->state = MAILDIR_UPDATED;
	if (message->alias_inode != 0 && !snapshot_mark(&m->snapshot, MARK_ALIASED, number) &&
		u->result.error_number == 0)
		u->result.error_number = ENOMEM;
}

/* A file name under construction. */
struct new_name {
	char octets[2 * UID_NAME_OCTETS];
	size_t length, unique_octets;
};

/* Starts with the unique name that the message has, or will get if another message keeps it. */
static void start_name(struct new_name *n, const struct message *message)
{
	const size_t info_octets = (size_t)message->name_octets - message->unique_octets;
	size_t unique_octets = 0;

	if (message->is_second)
		unique_octets = uid_twin_name(
			n->octets, message->name, message->unique_octets, message->inode);
	if (unique_octets == 0 || unique_octets + info_octets > UID_NAME_OCTETS) {
		unique_octets = message->unique_octets;
		memcpy(n->octets, message->name, unique_octets);
	}
	memcpy(n->octets + unique_octets, message->name + message->unique_octets, info_octets);
	n->unique_octets = unique_octets;
	n->length = unique_octets + info_octets;
}

/* Adds the info that names in cur/ have. An info that is not of the form "2,FLAGS" stays as it
 * is. A name without room for an info also stays as it is. */
static void add_info(struct new_name *n, bool retrieved)
{
	size_t at = n->unique_octets;

	if (at == n->length && n->length + 4 <= UID_NAME_OCTETS) {
		memcpy(n->octets + at, ":2,S", 4);
		n->length += retrieved ? 4 : 3;
		return;
	}
	if (!retrieved || n->length + 1 > UID_NAME_OCTETS ||
		!uid_is_info(n->octets + at, n->length - at))
		return;
	at += 3;
	while (at < n->length && n->octets[at] != ',' && n->octets[at] < 'S')
		at++;
	if (at < n->length && n->octets[at] == 'S')
		return;
	memmove(n->octets + at + 1, n->octets + at, n->length - at);
	n->octets[at] = 'S';
	n->length++;
}

/* Makes the terminated name for cur/ of the Maildir or of the folder. */
static void make_name(struct new_name *n, const struct update *u, size_t number,
	const struct message *message)
{
	const bool retrieved = snapshot_marked(&u->maildir->snapshot, MARK_RETRIEVED, number);

	start_name(n, message);
	if (message->place == PLACE_NEW || retrieved)
		add_info(n, retrieved);
	n->octets[n->length] = '\0';
}

static bool take_away(const struct update *u, size_t number, const struct message *message)
{
	const struct maildir *const m = u->maildir;
	struct new_name name;

	if (m->folder == NULL)
		return unlinkat(m->place_fd[message->place], message->name, 0) == 0;
	make_name(&name, u, number, message);
	return folder_take(m, message, name.octets, name.unique_octets);
}

static enum outcome remove_message(
	struct update *u, size_t number, const struct message *message)
{
	struct maildir *const m = u->maildir;
	const struct quota share =
		u->quota.fd >= 0 ? quota_share(m, message) : (struct quota){0};

	if (!maildir_is_still(m, message) || !take_away(u, number, message))
		return failed();
	has_changed(u, number, message);
	u->quota.octets += share.octets;
	u->quota.messages += share.messages;
	return OUTCOME_DONE;
}

/* Moves a message from new/ to cur/, gives it its flag, and a unique name of its own if another
 * message keeps its name. If messages are to stay in new/, does only the last. */
static enum outcome settle_message(
	struct update *u, size_t number, const struct message *message)
{
	struct maildir *const m = u->maildir;
	struct new_name name;

	if (m->keep_new && message->place == PLACE_NEW && !message->is_second)
		return OUTCOME_DONE;
	make_name(&name, u, number, message);
	if (message->place == PLACE_CUR && strcmp(name.octets, message->name) == 0)
		return OUTCOME_DONE;
	if (maildir_is_still(m, message) &&
		directory_move(m->place_fd[message->place], message->name,
			m->place_fd[PLACE_CUR], name.octets)) {
		if (message->is_second)
			has_changed(u, number, message);
		m->state = MAILDIR_UPDATED;
		return OUTCOME_DONE;
	}
	/* another message has this name, so the message stays where it is */
	return errno == EEXIST ? OUTCOME_DONE : failed();
}

/* Whether a pass is for this message. */
static bool concerns(const struct update *u, size_t number, const struct message *message)
{
	if (maildir_is_deleted(u->maildir, number))
		return u->pass == PASS_REMOVE;
	return u->pass == (message->is_second ? PASS_TWINS : PASS_MOVE);
}

/* A message that another program has removed counts as removed. */
static void note(
	struct update *u, size_t number, bool done, uint64_t size_octets, int error_number)
{
	struct maildir_update *const result = &u->result;

	if (!done && result->error_number == 0)
		result->error_number = error_number;
	if (u->pass == PASS_REMOVE && done) {
		result->removed++;
		result->removed_octets += size_octets;
	} else if (u->pass == PASS_REMOVE) {
		result->not_removed++;
		/* only the log uses this mark, so a lack of memory is ignored */
		snapshot_mark(&u->maildir->snapshot, MARK_KEPT, number);
	} else {
		result->not_moved += !done;
	}
}

/* A message whose file has moved is retried later, so that one scan serves all such messages.
 * If the last scan found the message, and it has moved again since, it exists and was not
 * removed. */
static void update_message(struct update *u, size_t number, bool last_try)
{
	struct maildir *const m = u->maildir;
	struct message message = {.size_octets = 0};
	enum outcome outcome = OUTCOME_FAILED;
	int error_number;

	if (maildir_get(m, number, &message)) {
		if (!concerns(u, number, &message))
			return;
		outcome = u->pass == PASS_REMOVE ? remove_message(u, number, &message)
						 : settle_message(u, number, &message);
	}
	error_number = errno;
	if (outcome == OUTCOME_GONE && !last_try &&
		snapshot_mark(&m->snapshot, MARK_PENDING, number))
		return;
	if (outcome == OUTCOME_DONE)
		note(u, number, true, message.size_octets, 0);
	else
		note(u, number, u->pass != PASS_REMOVE && outcome == OUTCOME_GONE, 0,
			error_number);
	snapshot_unmark(&m->snapshot, MARK_PENDING, number);
}

/* Searches for the messages that are to be retried. Those that are in neither directory are
 * finished. If the search fails, none is. */
static void look_again(struct update *u)
{
	struct maildir *const m = u->maildir;
	struct snapshot *const s = &m->snapshot;

	if (maildir_must_be_there(m) || !maildir_rescan(m))
		return;
	for (size_t i = 0; i < s->count; i++) {
		struct message message = {.size_octets = 0};

		if (!snapshot_marked(s, MARK_PENDING, i) ||
			(s->entries[i].flags & ENTRY_FOUND) != 0)
			continue;
		snapshot_unmark(s, MARK_PENDING, i);
		snapshot_get(s, i, &message);
		note(u, i, true, message.size_octets, 0);
	}
}

/* Retries the messages whose files have moved, after a search for them. */
static void retry_pending(struct update *u)
{
	struct snapshot *const s = &u->maildir->snapshot;

	for (int i = 1; i <= MAILDIR_TRIES && snapshot_marked_count(s, MARK_PENDING) > 0 &&
			!maildir_is_broken(u->maildir);
		i++) {
		look_again(u);
		for (size_t j = 0; j < s->count && snapshot_marked_count(s, MARK_PENDING) > 0;
			j++)
			if (snapshot_marked(s, MARK_PENDING, j))
				update_message(u, j, i == MAILDIR_TRIES);
	}
}

static void run_pass(struct update *u, enum pass pass)
{
	struct maildir *const m = u->maildir;
	struct snapshot *const s = &m->snapshot;
	const bool all =
		pass == PASS_TWINS || (pass == PASS_MOVE && m->new_count > 0 && !m->keep_new);
	const enum mark mark = pass == PASS_REMOVE ? MARK_DELETED : MARK_RETRIEVED;

	if (!all && snapshot_marked_count(s, mark) == 0)
		return;
	u->pass = pass;
	for (size_t i = 0; i < s->count && !maildir_is_broken(m); i++)
		if (all || snapshot_marked(s, mark, i))
			update_message(u, i, false);
	retry_pending(u);
}

/* A further name of a removed file could not be removed: the message is still there. */
static void keep_aliased(struct update *u, size_t number, int error_number)
{
	struct snapshot *const s = &u->maildir->snapshot;

	if (!snapshot_marked(s, MARK_ALIASED, number))
		return;
	snapshot_unmark(s, MARK_ALIASED, number);
	u->pass = PASS_MOVE;
	if (maildir_is_deleted(u->maildir, number)) {
		u->pass = PASS_REMOVE;
		u->result.removed--;
		u->result.removed_octets -= s->entries[number].size_octets;
	}
	note(u, number, false, 0, error_number);
}

/* Removes a further name of a file that was removed, or has a name of its own now. */
static bool take_alias(void *context, int directory_fd, const char *name, size_t octets)
{
	struct update *const u = context;
	struct snapshot *const s = &u->maildir->snapshot;
	const struct entries group = snapshot_find(s, name, octets);
	struct entry *entry = group.first;
	struct stat st;
	size_t number;

	if (group.count == 0 || fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	if (group.count > 1)
		entry = snapshot_with_inode(s, group, (uint64_t)st.st_ino);
	if (entry == NULL || snapshot_twin(s, entry).alias_inode != (uint64_t)st.st_ino)
		return true;
	number = (size_t)(entry - s->entries);
	if (snapshot_marked(s, MARK_ALIASED, number) && unlinkat(directory_fd, name, 0) != 0 &&
		errno != ENOENT)
		keep_aliased(u, number, errno);
	return true;
}

/* One pass over the directories serves all messages. */
static void remove_aliases(struct update *u)
{
	struct maildir *const m = u->maildir;

	if (snapshot_marked_count(&m->snapshot, MARK_ALIASED) == 0 ||
		(snapshot_materialize(&m->snapshot) &&
			directory_read(m->place_fd[PLACE_NEW], take_alias, u) &&
			directory_read(m->place_fd[PLACE_CUR], take_alias, u)))
		return;
	for (size_t i = 0; i < m->snapshot.count && m->snapshot.index == NULL; i++)
		keep_aliased(u, i, errno);
	maildir_break(m);
}

/* The index has failed, so the remaining messages stay. They are not counted one by one,
 * because a wrong index may claim any number. */
static void give_up(struct update *u)
{
	const struct maildir *const m = u->maildir;

	if (u->result.error_number == 0)
		u->result.error_number = EBADMSG;
	u->result.not_removed =
		snapshot_marked_count(&m->snapshot, MARK_DELETED) - u->result.removed;
}

struct maildir_update maildir_update(struct maildir *m)
{
	struct update u = {.maildir = m, .quota = {.fd = -1}};
	struct snapshot *const s = &m->snapshot;
	const bool has_seconds = snapshot_has_seconds(s);

	/* most sessions change nothing, and then no message is looked at */
	if ((m->new_count == 0 || m->keep_new) && snapshot_marked_count(s, MARK_DELETED) == 0 &&
		snapshot_marked_count(s, MARK_RETRIEVED) == 0 && !has_seconds)
		return u.result;
	if (snapshot_marked_count(s, MARK_DELETED) > 0 && quota_is_current(m) &&
		(m->folder == NULL || !folder_is_counted(m)))
		u.quota.fd = m->quota_fd;
	if (has_seconds)
		run_pass(&u, PASS_TWINS);
	run_pass(&u, PASS_REMOVE);
	remove_aliases(&u);
	run_pass(&u, PASS_MOVE);
	if (maildir_is_broken(m))
		give_up(&u);
	quota_tell(&u.quota);
	return u.result;
}
