/* snapshot: the messages of a maildrop as they were at login: their order, numbers and names.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uid.h"

enum place { PLACE_NEW, PLACE_CUR };

struct message {
	const char *name; /* of the file, terminated; belongs to the snapshot */
	uint64_t size_octets;
	uint64_t inode; /* of a file whose unique name another one bears as well, else 0 */
	uint64_t alias_inode; /* of a file that has further names with this unique name, else 0
			       */
	struct uid_time time;
	uint8_t name_octets;
	uint8_t unique_octets;
	uint8_t place;      /* enum place */
	bool size_verified; /* the octets were counted */
	bool deleted;       /* marked by DELE */
	bool retrieved;     /* sent whole by RETR */
	bool dropped;       /* not to be served: the same file under a second name, or gone */
};

struct name_block;

struct snapshot {
	struct message *messages;
	size_t count, capacity;
	struct name_block *blocks; /* where the names are */
	size_t block_used;
};

void snapshot_init(struct snapshot *s);
void snapshot_free(struct snapshot *s);

/* Adds a file of 1 to UID_NAME_OCTETS octets of name. Returns false with errno ENOMEM. */
bool snapshot_add(struct snapshot *s, enum place place, const char *name, size_t name_octets);

/* Gives a message another file name (its unique name stays). Returns false with errno ENOMEM.
 */
bool snapshot_rename(struct snapshot *s, struct message *m, enum place place, const char *name,
	size_t name_octets);

/* Forgets all messages from number count (counted from 0) on. */
void snapshot_truncate(struct snapshot *s, size_t count);

/* Sorts by delivery time, then by unique name, then by place (cur first) and whole name: an
 * order that no session and no other message changes. */
void snapshot_sort(struct snapshot *s);

/* Removes the messages that are marked dropped; the others keep their order. */
void snapshot_compact(struct snapshot *s);

/* Whether two messages bear the same unique name. */
bool snapshot_same_unique(const struct message *a, const struct message *b);

/* The first of the messages of a sorted snapshot that bear the unique name of this file name,
 * and how many there are in *count; NULL and 0 if none. */
struct message *snapshot_find(
	struct snapshot *s, const char *name, size_t name_octets, size_t *count);

#endif
