/* snapshot: the messages of a maildrop as they were at login: their order, numbers and names.
 *
 * It has one of two backings, and who asks for a message does not know which: entries in
 * memory, as a reading of the directories leaves them, or the index on the disk. What changes
 * in a session (marks, sizes that proved wrong) is kept beside it by number. Numbers count from
 * 0 here. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maildir/name.h"

struct index;

enum place { PLACE_NEW, PLACE_CUR };

/* What is known of a message. */
struct message {
	const char *name; /* of the file, terminated; good until the next call */
	uint64_t size_octets;
	uint64_t inode; /* of a file whose unique name another one bears as well, else 0 */
	uint64_t alias_inode; /* of a file that has further names with this unique name, or 0 */
	uint8_t name_octets;
	uint8_t unique_octets;
	uint8_t place;      /* enum place */
	bool size_verified; /* the octets were counted */
	bool size_unknown;  /* they could not be; size_octets is a guess */
};

/* What the unique-id of a message is made of; see uid_text. */
struct unique {
	const char *octets; /* good until the next call; not terminated */
	size_t length;
	uint64_t shared; /* the inode, where another file bears it as well, else 0 */
};

enum entry_flag {
	ENTRY_VERIFIED = 1,
	ENTRY_UNKNOWN = 2,
	ENTRY_DROPPED = 4, /* not to be served: the same file under a second name, or gone */
	ENTRY_SIZED = 8,   /* size_octets is known, at least from the name */
	ENTRY_FOUND = 16,  /* by maildir_rescan, since somebody cleared this */
};

/* A message in memory. */
struct entry {
	const char *name;
	uint64_t size_octets;
	uint64_t order; /* the delivery time, as far as 64 bits hold it */
	uint32_t twin;  /* 1 + the number of its twin, 0: it has none */
	uint8_t name_octets, unique_octets;
	uint8_t place;
	uint8_t flags; /* of enum entry_flag */
};

/* The two inodes of the few messages that have one: see struct message. */
struct twin {
	uint64_t inode, alias_inode;
};

/* A size that is not that of the index. */
struct correction {
	size_t number;
	uint64_t size_octets;
};

/* Marks that a session gives. */
enum mark {
	MARK_DELETED,
	MARK_RETRIEVED,
	MARK_VERIFIED, /* the size was counted in this session */
	MARK_PENDING,  /* of the update: to be looked for again */
	MARK_COUNT
};

struct name_block;

/* Small maildrops fit into these, and need no allocation. */
#define SNAPSHOT_FEW 64
#define SNAPSHOT_FEW_NAME_OCTETS 4096

struct snapshot {
	size_t count;
	struct index *index; /* where the messages are; NULL: in memory */
	bool lost; /* the index broke, and the numbers cannot be had again: no message is got */
	struct entry *entries;
	size_t capacity;
	struct twin *twins;
	uint32_t twin_count, twin_capacity;
	struct correction *corrections; /* by number */
	size_t correction_count, correction_capacity;
	struct name_block *blocks; /* where the names are */
	size_t block_used, few_used;
	uint64_t *marks[MARK_COUNT]; /* a bit each, or NULL while nothing is marked */
	size_t marked[MARK_COUNT];   /* how many */
	uint64_t few_marks[MARK_COUNT][SNAPSHOT_FEW / 64];
	struct entry few_entries[SNAPSHOT_FEW];
	char few_names[SNAPSHOT_FEW_NAME_OCTETS];
};

void snapshot_init(struct snapshot *s);
void snapshot_free(struct snapshot *s);

/* Has the messages of an index that is open, and stays so until snapshot_free or
 * snapshot_materialize; there must be none in memory. */
void snapshot_use_index(struct snapshot *s, struct index *index);

/* Puts what is known of a message into *m. Returns false with errno (and m->name empty) where
 * the index cannot be read or makes no sense. */
bool snapshot_get(struct snapshot *s, size_t number, struct message *m);

/* The unique name alone, which takes less, for its unique-id only. */
bool snapshot_get_unique(struct snapshot *s, size_t number, struct unique *unique);

/* The size alone, which takes less. */
bool snapshot_get_size(struct snapshot *s, size_t number, uint64_t *size_octets);

/* Takes the messages of the index into memory, numbers, marks and sizes as they are; nothing to
 * do where they are in memory. Returns false with errno, and the index is still in use. */
bool snapshot_materialize(struct snapshot *s);

/* Forgets all messages, in memory or in the index, and keeps the marks. */
void snapshot_forget(struct snapshot *s);

/* Sets the size of a message, which was counted. Returns false with errno ENOMEM. */
bool snapshot_set_size(struct snapshot *s, size_t number, uint64_t size_octets);

/* Marks a message, removes a mark, asks for it; removes a mark from all. The first returns
 * false with errno ENOMEM. Marks are lost by snapshot_compact and snapshot_sort. */
bool snapshot_mark(struct snapshot *s, enum mark mark, size_t number);
void snapshot_unmark(struct snapshot *s, enum mark mark, size_t number);
bool snapshot_marked(const struct snapshot *s, enum mark mark, size_t number);
void snapshot_unmark_all(struct snapshot *s, enum mark mark);

/* The following are for messages in memory. */

/* Adds a file of 1 to UID_NAME_OCTETS octets of name. Returns false with errno ENOMEM. */
bool snapshot_add(struct snapshot *s, enum place place, const char *name, size_t name_octets);

/* Adds a message with all that is known of it. Returns false with errno ENOMEM. */
bool snapshot_add_known(struct snapshot *s, const struct message *m);

/* Gives a message another file name (its unique name stays). Returns false with errno ENOMEM.
 */
bool snapshot_rename(struct snapshot *s, struct entry *entry, enum place place,
	const char *name, size_t name_octets);

/* Sets the inodes of an entry (see struct message). Returns false with errno ENOMEM. */
bool snapshot_set_twin(struct snapshot *s, struct entry *entry, struct twin twin);
struct twin snapshot_twin(const struct snapshot *s, const struct entry *entry);

/* Forgets all messages from number count on. */
void snapshot_truncate(struct snapshot *s, size_t count);

/* Forgets the messages from number start to before number end, which is none above count. */
void snapshot_remove(struct snapshot *s, size_t start, size_t end);

/* Sorts by delivery time, then by unique name, then by place (cur first) and whole name: an
 * order that no session and no other message changes. Returns false with errno ENOMEM. */
bool snapshot_sort(struct snapshot *s);

/* Removes the messages that are flagged dropped; the others keep their order. */
void snapshot_compact(struct snapshot *s);

/* Whether two messages bear the same unique name. */
bool snapshot_same_unique(const struct entry *a, const struct entry *b);

/* Below 0, 0 or above: whether the first unique name is to stand before, with or behind the
 * other; without place and whole name. The orders are those of snapshot_order. */
int snapshot_compare(uint64_t a_order, const char *a, size_t a_octets, uint64_t b_order,
	const char *b, size_t b_octets);

/* The delivery time of a unique name as one number that sorts as the times do, but that times
 * beyond what it holds are the same. */
uint64_t snapshot_order(const char *unique, size_t octets);

/* The first of the messages of a sorted snapshot that bear the unique name of this file name,
 * and how many there are in *count; NULL and 0 if none. */
struct entry *snapshot_find(
	struct snapshot *s, const char *name, size_t name_octets, size_t *count);

#endif
