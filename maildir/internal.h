/* maildir_internal: what maildir.c, load.c and update.c share. */
#ifndef MAILDIR_INTERNAL_H
#define MAILDIR_INTERNAL_H

#include "maildir.h"

/* The file that Maildir++ keeps the quota in. */
#define QUOTA_NAME "maildirsize"

/* From so many messages on, reading an index is quicker than reading the directories by what
 * writing it costs. */
#define MANY_MESSAGES 100

/* Reads the directories for the snapshot, in any order, and without sizes. Returns false with
 * errno. */
bool maildir_scan(struct maildir *m);

/* Whether an index would be of use: the maildrop has many messages, or some whose sizes do not
 * stand in their names. After maildir_scan. */
bool maildir_deserves_index(const struct maildir *m);

/* Takes the sizes that were counted once from the index, for a snapshot in memory. */
void maildir_take_sizes(struct maildir *m);

/* Finds the sizes that were not counted: in the names, or by counting. Messages that are gone
 * are removed from the snapshot. */
void maildir_find_sizes(struct maildir *m);

/* Sets total_octets, left and all_octets from the snapshot in memory. */
void maildir_sum(struct maildir *m);

/* Takes the snapshot anew, since the index broke, and sees that all numbers are what they were.
 * Otherwise nothing can be got from the snapshot any more: returns false with errno EBADMSG. */
bool maildir_recover(struct maildir *m);

/* As maildir_open_message, but that an index that breaks is only told: errno EBADMSG. */
int maildir_open_known(struct maildir *m, size_t number, struct message *message);

/* The inode of a file. Returns false with errno. */
bool maildir_inode(
	const struct maildir *m, enum place place, const char *name, uint64_t *inode);

/* Whether the name of a message is still that of its file, as far as that is known: where
 * several files bear one unique name, another of them may have got it. False with errno ENOENT.
 */
bool maildir_is_still(const struct maildir *m, const struct message *message);

/* Reads one of the two, for the snapshot. */
bool maildir_scan_place(struct maildir *m, enum place place);

/* Whether a directory is as it was then, and a change would show. */
bool maildir_place_unchanged(
	const struct maildir *m, enum place place, const struct index_place *then);

/* What it says is not so: the next session does without. */
void maildir_remove_index(const struct maildir *m);

/* Whether nothing can have changed in new/ and cur/ since this session read them last. Asked
 * when a message is missing: an index that has it, and the times of now, is removed. */
bool maildir_unchanged(struct maildir *m);

/* Looks for all messages again: one pass over both directories gives every one its present name
 * and flags it ENTRY_FOUND. The snapshot is in memory afterwards. Returns false with errno. */
bool maildir_rescan(struct maildir *m);

/* How often a message is looked for again before it counts as gone. */
#define MAILDIR_TRIES 4

#endif
