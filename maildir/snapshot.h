/* snapshot: the messages of a maildrop as they were at login: their order, numbers and names.
 *
 * The messages are either in memory, where reading the directories has put them, or in the
 * index on the disk. Callers do not see the difference. What changes in a session (marks,
 * corrected sizes) is kept separately, by number. Numbers count from 0 here. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"
#include "maildir/name.h"

struct index;

enum place { PLACE_NEW, PLACE_CUR };

/* What is known of a message. */
struct message {
	const char *name; /* of the file, terminated; good until the next call */
	uint64_t size_octets;
	uint64_t inode;       /* if another file has the same unique name, else 0 */
	uint64_t alias_inode; /* if the file has further names with this unique name, else 0 */
	uint8_t name_octets;
	uint8_t unique_octets;
	uint8_t place;      /* enum place */
	bool size_verified; /* the octets were counted */
	bool size_is_old;   /* and that was in an earlier session */
	bool size_unknown;  /* they could not be; size_octets is a guess */
	bool is_second; /* another file keeps the unique name, and this one gets a name of its
			   own at QUIT: see uid_twin_name */
};

/* What the unique-id of a message is made of; see uid_text. */
struct unique {
	const char *octets; /* good until the next call; not terminated */
	size_t length;
	uint64_t shared; /* the inode of one that gets a unique name of its own, else 0 */
};

enum entry_flag {
	ENTRY_VERIFIED = 1,
	ENTRY_UNKNOWN = 2,
	ENTRY_DROPPED = 4, /* not to be served: the same file under a second name, or gone */
	ENTRY_SIZED = 8,   /* this session knew size_octets without counting: from the name, or,
			      with   ENTRY_VERIFIED, from the index */
	ENTRY_FOUND = 16,  /* by the last maildir_rescan */
	ENTRY_SECOND = 32, /* see struct message */
	ENTRY_GUESSED =
		64, /* by the last maildir_rescan: one file differs in the fields only */
	ENTRY_DOUBTFUL = 128 /* several files do, or it does from several messages */
};

/* A message in memory. */
struct entry {
	const char *name; /* of the file, unless its twin has another */
	uint64_t size_octets;
	uint64_t order; /* the delivery time, as far as 64 bits hold it */
	uint32_t twin;  /* 1 + the number of its twin, 0: it has none */
	uint8_t name_octets, unique_octets;
	uint8_t place;
	uint8_t flags; /* of enum entry_flag */
};

/* What only few messages have: the two inodes (see struct message), and the name of a file that
 * does not begin with the unique name of the login any more. */
struct twin {
	uint64_t inode, alias_inode;
	const char *file;  /* or NULL */
	const char *guess; /* the file that is meant by ENTRY_GUESSED, and its inode */
	uint64_t guess_inode;
	uint8_t guess_place;
	bool has_own_name; /* file is what uid_twin_name makes: another session was faster */
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
	MARK_ALIASED,  /* of the update: its file has further names, which are to go */
	MARK_KEPT,     /* of the update: it was to be removed, and is still there */
	MARK_COUNT
};

struct name_block;

/* Small maildrops fit into these, and need no allocation. */
#define SNAPSHOT_FEW 64
#define SNAPSHOT_FEW_NAME_OCTETS 4096

struct snapshot {
	size_t count;
	struct index *index; /* where the messages are; NULL: in memory */
	struct entry *entries;
	size_t capacity;
	struct twin *twins;
	uint32_t twin_count, twin_capacity;
	struct correction *corrections; /* by number */
	size_t correction_count, correction_capacity;
	struct name_block *blocks; /* where the names are */
	size_t block_used, few_used;
	struct bits marks[MARK_COUNT]; /* without capacity while nothing is marked */
	uint64_t few_marks[MARK_COUNT][SNAPSHOT_FEW / 64];
	struct entry few_entries[SNAPSHOT_FEW];
	char few_names[SNAPSHOT_FEW_NAME_OCTETS];
};

void snapshot_init(struct snapshot *s);
void snapshot_free(struct snapshot *s);

/* Uses the messages of an open index, which must stay open until snapshot_free or
 * snapshot_materialize. There must be no messages in memory. */
void snapshot_use_index(struct snapshot *s, struct index *index);

/* Puts what is known of a message into *m. Returns false with errno (and m->name empty) where
 * the index cannot be read or makes no sense. */
bool snapshot_get(struct snapshot *s, size_t number, struct message *m);

/* The unique name alone, which takes less, for its unique-id only. */
bool snapshot_get_unique(struct snapshot *s, size_t number, struct unique *unique);

/* The size alone, which takes less. */
bool snapshot_get_size(struct snapshot *s, size_t number, uint64_t *size_octets);

/* Copies the messages of the index into memory, with the same numbers, marks and sizes. Does
 * nothing if they are in memory already. On failure returns false with errno, and the index
 * stays in use. */
bool snapshot_materialize(struct snapshot *s);

/* Forgets all messages, in memory or in the index, and keeps the marks. */
void snapshot_forget(struct snapshot *s);

/* Sets the size of a message, which was counted. Returns false with errno ENOMEM. */
bool snapshot_set_size(struct snapshot *s, size_t number, uint64_t size_octets);

/* Gives a message a mark (false with errno ENOMEM); removes it; asks whether the message has
 * it; removes it from all messages; counts the messages that have it. After the first mark the
 * number of messages must not change. */
bool snapshot_mark(struct snapshot *s, enum mark mark, size_t number);
void snapshot_unmark(struct snapshot *s, enum mark mark, size_t number);
bool snapshot_marked(const struct snapshot *s, enum mark mark, size_t number);
void snapshot_unmark_all(struct snapshot *s, enum mark mark);
size_t snapshot_marked_count(const struct snapshot *s, enum mark mark);

/* Whether any message may be one that gets a unique name of its own. */
bool snapshot_has_seconds(const struct snapshot *s);

/* The following are for messages in memory. */

/* Adds a file of 1 to UID_NAME_OCTETS octets of name. Returns false with errno ENOMEM. */
bool snapshot_add(struct snapshot *s, enum place place, const char *name, size_t name_octets);

/* Adds a message with all that is known of it. Returns false with errno ENOMEM. */
bool snapshot_add_known(struct snapshot *s, const struct message *m);

/* Gives a message another file name (its unique name stays). Returns false with errno ENOMEM.
 */
bool snapshot_rename(struct snapshot *s, struct entry *entry, enum place place,
	const char *name, size_t name_octets);

/* Notes that this file may be that of the message. Its unique name is not in the snapshot, and
 * differs from that of the message only in the fields. Returns false with errno ENOMEM. */
bool snapshot_guess(struct snapshot *s, struct entry *entry, enum place place, const char *name,
	size_t name_octets, uint64_t inode);

/* Makes the guessed file the file of the message. The message keeps the unique name that it had
 * at login. */
void snapshot_take_guess(struct snapshot *s, struct entry *entry);

/* Notes that another session gave a second one of a unique name its own name, which is this
 * file's. It keeps its unique-id, which is made of that name anyway. Returns false with errno
 * ENOMEM. */
bool snapshot_take_own_name(struct snapshot *s, struct entry *entry, enum place place,
	const char *name, size_t name_octets);

/* Sets the inodes of an entry (see struct message). Returns false with errno ENOMEM. */
bool snapshot_set_twin(
	struct snapshot *s, struct entry *entry, uint64_t inode, uint64_t alias_inode);
struct twin snapshot_twin(const struct snapshot *s, const struct entry *entry);

/* Forgets all messages from number count on. */
void snapshot_truncate(struct snapshot *s, size_t count);

/* Forgets the messages from number start to before number end, which is none above count. */
void snapshot_remove(struct snapshot *s, size_t start, size_t end);

/* Sorts by delivery time, then by unique name, then by place (cur first) and whole name. This
 * order is the same in every session. Returns false with errno ENOMEM. */
bool snapshot_sort(struct snapshot *s);

/* Removes the messages that are flagged dropped; the others keep their order. */
void snapshot_compact(struct snapshot *s);

/* Whether two messages have the same unique name. */
bool snapshot_same_unique(const struct entry *a, const struct entry *b);

/* Below 0, 0 or above: whether the first unique name is before, with or after the
 * other; without place and whole name. The orders are those of snapshot_order. */
int snapshot_compare(uint64_t a_order, const char *a, size_t a_octets, uint64_t b_order,
	const char *b, size_t b_octets);

/* The delivery time of a unique name as one number that sorts as the times do. All times that
 * are too large for it give the same number. */
uint64_t snapshot_order(const char *unique, size_t octets);

/* Consecutive messages of a sorted snapshot; first is NULL if count is 0. */
struct entries {
	struct entry *first;
	size_t count;
};

/* Those with the unique name of this file name. */
struct entries snapshot_find(struct snapshot *s, const char *name, size_t name_octets);

/* Those whose unique name is this base (of at most UID_NAME_OCTETS octets, without a ',');
 * those whose unique name is this base and fields. */
struct entries snapshot_find_base(struct snapshot *s, const char *base, size_t base_octets);
struct entries snapshot_find_fields(struct snapshot *s, const char *base, size_t base_octets);

/* Of messages with one unique name, returns the one with this inode, or NULL. The first is the
 * one that keeps the name; the others are sorted by inode. */
struct entry *snapshot_with_inode(
	const struct snapshot *s, struct entries group, uint64_t inode);

#endif
