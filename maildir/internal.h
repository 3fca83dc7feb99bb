/* internal: what the files of this room share; see maildir.h. */
#ifndef MAILDIR_INTERNAL_H
#define MAILDIR_INTERNAL_H

#include "maildir.h"

/* The file that Maildir++ keeps the quota in. */
#define QUOTA_NAME "maildirsize"

/* Below this many messages an index costs more to write than it saves. */
#define MANY_MESSAGES 100

/* How often a message is looked for again before the attempt fails. */
#define MAILDIR_TRIES 4

/* scan.c */

/* Reads the directories for the snapshot, in any order, and without sizes. Returns false with
 * errno. */
bool maildir_scan(struct maildir *m);

/* Reads one of the two, for the snapshot. */
bool maildir_scan_place(struct maildir *m, enum place place);

/* Whether a directory is as it was then, and a change would show. */
bool maildir_place_unchanged(
	const struct maildir *m, enum place place, const struct index_place *then);

/* Whether nothing can have changed in new/ and cur/ since this session read them last. Asked
 * when a message is missing: an index that has it, and the times of now, is removed. */
bool maildir_unchanged(struct maildir *m);

/* Looks for all messages again: one pass over both directories gives every one its present name
 * and flags it ENTRY_FOUND. One whose unique name is nowhere gets the file that differs in the
 * fields of its name only, if there is one such file and no other message is like it; where
 * that is in doubt it is flagged ENTRY_FOUND under its old name, since it may be there. The
 * snapshot is in memory afterwards. Returns false with errno. */
bool maildir_rescan(struct maildir *m);

/* Removes an index that says what is not so: the next session does without. */
void maildir_remove_index(const struct maildir *m);

/* After a call on the index failed with errno: logs it, and the session is broken. An index
 * that makes no sense is removed. Keeps errno; returns false. */
bool maildir_break(struct maildir *m);

/* Logs how many problems were not. */
void maildir_log_rest(struct maildir *m);

/* twins.c */

/* Sorts out the files of a sorted snapshot that bear one unique name: files that are gone, and
 * further names of one file, are dropped; of the rest one keeps the name. Returns false with
 * errno. */
bool maildir_settle_twins(struct maildir *m);

/* Whether the name of a message is still that of its file, as far as that is known: where
 * several files bear one unique name, another of them may have got it. False with errno ENOENT.
 */
bool maildir_is_still(const struct maildir *m, const struct message *message);

/* find.c */

/* What became of a message that was not where it was expected. */
enum search {
	SEARCH_THERE,  /* it has been found, or must be there: try again */
	SEARCH_GONE,   /* it is in neither directory */
	SEARCH_FAILED, /* that cannot be told; errno says why */
};

/* Whether a message that a call did not find must be where it was: errors pass, and who changes
 * flags may change them back. What a network file system says of its directories may be old. */
bool maildir_must_be_there(struct maildir *m);

/* Looks for a message, in memory afterwards, after a call on its file failed. */
enum search maildir_search(struct maildir *m, size_t number);

/* sizes.c */

/* Takes the sizes that were counted once from the index, for a snapshot in memory. */
void maildir_take_sizes(struct maildir *m);

/* Finds the sizes that were not counted: in the names, or by counting. Messages that are gone
 * are removed from the snapshot. */
void maildir_find_sizes(struct maildir *m);

/* Sets all_octets from a snapshot in memory. Where names claim more than any maildrop has, no
 * name is believed. */
void maildir_sum(struct maildir *m);

/* folder.c: the folder for deleted messages, m->folder */

/* Opens its cur/, on the Maildir's file system; what is missing of the folder is made. A
 * failure is logged and remembered: the session goes on, and QUIT removes nothing. */
void folder_open(struct maildir *m);

/* Whether maildirsize counts what is in it: what is in Trash does not count. */
bool folder_is_counted(const struct maildir *m);

/* Moves a message there under this file name, or under one of its own where another message
 * has that name there. Never replaces a file; the message is at every time in one of the two
 * places at least. Returns false with errno, ENOENT only where the message is not where it was.
 */
bool folder_take(const struct maildir *m, const struct message *message, const char *name,
	size_t unique_octets);

/* load.c */

/* Whether an index would be of use: the maildrop has many messages, or some whose sizes do not
 * stand in their names. After maildir_scan. */
bool maildir_deserves_index(const struct maildir *m);

/* Which kind of index is read and written. */
uint32_t maildir_index_version(const struct maildir *m);

/* forget.c */

/* Writes the file of unique ids anew without those of messages that are gone, if it is large,
 * was not looked at for 30 days, and half of it would go. What new mail could get as its own
 * stays. Before maildir_load; without an effect on what this session knows. now is the time. */
void maildir_forget_gone(struct maildir *m, int64_t now);

/* quota.c: maildirsize */

/* What is told to maildirsize. */
struct quota {
	int fd; /* -1: there is none */
	uint64_t octets, messages;
};

/* Opens maildirsize, if it is there. */
void quota_open(struct maildir *m);

/* Whether the file opened at the start is still the one that others read: a new one has been
 * counted anew meanwhile, and knows nothing of what is told to the old. */
bool quota_is_current(const struct maildir *m);

/* What a message counts in the quota. */
struct quota quota_share(const struct maildir *m, const struct message *message);

/* Appends a line that takes this off. */
void quota_tell(const struct quota *q);

#endif
