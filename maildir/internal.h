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

/* The same once more: without what was read before, and without the index's listing. */
bool maildir_scan_again(struct maildir *m);

/* Reads one of the two, for the snapshot. */
bool maildir_scan_place(struct maildir *m, enum place place);

/* Whether the directory has not changed since then; false if a change could be invisible. */
bool maildir_place_unchanged(
	const struct maildir *m, enum place place, const struct index_place *then);

/* Whether nothing can have changed in new/ and cur/ since this session read them last. Asked
 * when a message is missing. If the index lists the message for the present times, the index is
 * wrong and is removed. */
bool maildir_unchanged(struct maildir *m);

/* Searches for all messages in one pass over both directories. Gives every message that it
 * finds its present name and ENTRY_FOUND. If the unique name of a message is nowhere, looks for
 * a file whose name differs from it only in the fields. If there is just one such file, and no
 * other message would fit it, that is the file. If that is in doubt, the message keeps its old
 * name and gets ENTRY_FOUND, since it may exist. The snapshot is in memory afterwards. Returns
 * false with errno. */
bool maildir_rescan(struct maildir *m);

/* Removes a wrong index, so that the next session does not use it. */
void maildir_remove_index(const struct maildir *m);

/* Call it after a call on the index has failed with errno. Logs that, sets INDEX_BROKEN, and
 * removes an index whose contents are wrong. Keeps errno; returns false. */
bool maildir_break(struct maildir *m);

/* Logs the number of problems that were not logged one by one. */
void maildir_log_rest(struct maildir *m);

/* twins.c */

/* Sorts what was read, and decides which of several files with one unique name keeps it. Drops
 * files that are gone, and further names of one file. Reads the directories again if one of
 * those files was gone: it may have been renamed. Returns false with errno. */
bool maildir_settle_names(struct maildir *m);

/* Whether the name of a message still leads to its file. If several files have one unique name,
 * another program may have given this name to one of the others. False with errno ENOENT. */
bool maildir_is_still(const struct maildir *m, const struct message *message);

/* find.c */

/* The result of a search for a message. */
enum search {
	SEARCH_THERE,  /* it was found, or must exist: try again */
	SEARCH_GONE,   /* it is in neither directory */
	SEARCH_FAILED, /* not known; errno says why */
};

/* Whether a message that a call did not find must still exist under its name, because the
 * directories have not changed. The error may have been temporary, or another program may have
 * changed the flags and changed them back. Never true on a network file system, whose directory
 * times may be old. */
bool maildir_must_be_there(struct maildir *m);

/* Searches for a message after a call on its file has failed. The snapshot is in memory
 * afterwards. */
enum search maildir_search(struct maildir *m, size_t number);

/* sizes.c */

/* Takes the sizes that were counted once from the index, for a snapshot in memory. */
void maildir_take_sizes(struct maildir *m);

/* Finds the sizes that were not counted: in the names, or by counting. Messages that are gone
 * are removed from the snapshot. */
void maildir_find_sizes(struct maildir *m);

/* Sets all_octets from a snapshot in memory. If the sizes in names add up to more than any
 * maildrop can have, all messages are counted. */
void maildir_sum(struct maildir *m);

/* folder.c: the folder for deleted messages, m->folder */

/* Opens its cur/, on the Maildir's file system; what is missing of the folder is made. A
 * failure is logged and remembered: the session goes on, and QUIT removes nothing. */
void folder_open(struct maildir *m);

/* Whether maildirsize counts the messages of the folder. Those of Trash do not count. */
bool folder_is_counted(const struct maildir *m);

/* Moves a message to the folder under this file name, or under a new name if another message of
 * the folder has it. Never replaces a file. At every moment the message is in at least one of
 * the two places. Returns false with errno; ENOENT only if the message is not where it was. */
bool folder_take(const struct maildir *m, const struct message *message, const char *name,
	size_t unique_octets);

/* load.c */

/* Whether an index would be of use: the maildrop has many messages, or messages without a size
 * in the name. Call it after maildir_scan. */
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

/* Whether the file that was opened at the start is still maildirsize. If another program has
 * replaced it, the program has counted anew, and a line in the old file would be lost. */
bool quota_is_current(const struct maildir *m);

/* What a message counts in the quota. */
struct quota quota_share(const struct maildir *m, const struct message *message);

/* Appends a line that subtracts this. */
void quota_tell(const struct quota *q);

#endif
