/* maildir: the maildrop: its snapshot, finding and opening messages, the update at QUIT.
 * Messages are numbered from 0 here. */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maildir/index.h"
#include "maildir/snapshot.h"
#include "maildir/uids.h"

#include "maildir/body.h"

/* How far a session is with its maildrop:
 *
 *     CLOSED --open--> OPEN ----load----> LOADED --search--> SEARCHED
 *                        |                  ^  |                 |
 *                        +-> READ --load----+  +-----update------+--> UPDATED
 *
 * READ: the directories were read by maildir_open, to know whether an index is worth its
 * directory. SEARCHED: they were read again for a message that had moved, so their times are
 * later than the snapshot. UPDATED: files were removed or renamed by this session. */
enum maildir_state {
	MAILDIR_CLOSED,
	MAILDIR_OPEN,
	MAILDIR_READ,
	MAILDIR_LOADED,
	MAILDIR_SEARCHED,
	MAILDIR_UPDATED
};

/* What the index was good for; each more than the one before. */
enum index_use {
	INDEX_USELESS, /* there is none, or none that can be used */
	INDEX_SIZES,   /* it has sizes of messages */
	INDEX_CUR,     /* it has cur/ as it is */
	INDEX_LISTING, /* it has the snapshot, and for these times */
	INDEX_BROKEN   /* it failed in mid-session: what a message is cannot be had any more */
};

struct maildir {
	int root_fd, lock_fd, tmp_fd;
	int quota_fd;      /* maildirsize, or -1 */
	int index_dir_fd;  /* the index's directory, or -1: neither read nor written */
	int folder_fd;     /* where deleted messages go, or -1; see folder */
	int place_fd[2];   /* by enum place */
	uid_t owner;       /* of the index, or it is not used */
	bool is_remote;    /* on a network file system */
	bool keep_new;     /* the update leaves new/ as it is */
	bool verify_sizes; /* trust no size in a name */
	bool has_learned;  /* sizes that are not in the index */
	bool is_read_only; /* see struct maildir_wish */
	enum maildir_state state;
	enum index_use index_use;
	struct index_place seen[2]; /* new/ and cur/ when they were read last */
	uint64_t all_octets;        /* of all messages */
	uint64_t deleted_octets;    /* of those marked deleted */
	size_t new_count;           /* messages that were in new/ at login */
	size_t problems;            /* with messages: see maildir_may_log */
	const char *folder;         /* name of the folder of folder_fd; NULL: deleted is gone */
	int folder_error;           /* errno, where it could not be opened */
	struct uids uids;           /* taken over from another server */
	struct snapshot snapshot;
	struct index index;
	struct body body; /* of the message that is read */
};

/* What maildir_open says where it fails; errno tells more for the second and third. */
enum maildir_problem {
	MAILDIR_READY,
	MAILDIR_IN_USE,    /* another session holds the lock */
	MAILDIR_UNUSABLE,  /* missing, no directory, no permission: somebody has to mend it */
	MAILDIR_TEMPORARY, /* anything else */
};

/* What to open, and how. */
struct maildir_wish {
	const char *path;  /* relative to the current directory, or absolute */
	bool lock;         /* one session at a time */
	bool verify_sizes; /* count all messages: trust no size in a name */
	bool index;        /* use the index, and keep it up to date */
	bool read_only;    /* an index that is there is read; nothing is made or removed */
	bool keep_new;     /* the update leaves messages in new/ */
	bool end_headers;  /* messages without an empty line have one more: no size in a name
			      is believed */
	/* the Maildir++ folder that deleted messages go to, without its dot; NULL: none. It
	 * must stay valid. Where it cannot be used, the update removes nothing. */
	const char *folder;
	/* where nothing was decided yet, takes the unique-ids over; NULL: leaves that open */
	const struct foreign *uids_from;
};

/* Opens a Maildir: its directories, its lock, its maildirsize, the folder, the index's
 * directory; all that needs a right outside of new/, cur/ and tmp/. Where an index is wanted
 * and its directory is missing, it is made if the maildrop is worth one; new/ and cur/ are read
 * for that. On failure nothing is left open, and *failed_path is what could not be used ("new",
 * ..., or the path itself). */
enum maildir_problem maildir_open(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path);

/* Makes a Maildir, with its three directories, where there is none: mode 0700, for the user of
 * this process; the directory that it lies in must be there. What exists already stays. Returns
 * false with errno. */
bool maildir_create(const char *path);

/* Takes the snapshot: from the index where nothing has changed since, else from new/ and,
 * after it, cur/: regular files whose names do not begin with a dot; sizes from the index,
 * from ",W=" in the name, or counted. Returns false with errno, and m stays open. */
bool maildir_load(struct maildir *m);

/* Says why maildir_load failed with errno. */
enum maildir_problem maildir_problem_of(int error_number);

/* Releases the lock and all memory; m is as if it had never been opened. */
void maildir_close(struct maildir *m);

/* How many messages are not marked deleted, and their octets (STAT; RFC 1939 section 5). */
struct maildir_totals {
	size_t messages;
	uint64_t octets;
};

struct maildir_totals maildir_totals(const struct maildir *m);

/* Whether the index failed in this session. It is logged and removed then, and what a message
 * is cannot be had any more: the session has to end, since no answer would be sure. */
bool maildir_is_broken(const struct maildir *m);

/* Puts what is known of a message into *message; its name is good until the next call. Returns
 * false with errno where the index failed; then the name is empty. */
bool maildir_get(struct maildir *m, size_t number, struct message *message);

/* What its unique-id is made of, which takes less; and the size alone, which takes less again.
 */
bool maildir_get_unique(struct maildir *m, size_t number, struct unique *unique);
bool maildir_get_size(struct maildir *m, size_t number, uint64_t *size_octets);

/* The longest unique-id with its terminator. Those that were not taken over from another server
 * have UID_TEXT_OCTETS at most (RFC 1939 section 7). */
#define MAILDIR_UID_OCTETS (FOREIGN_UID_OCTETS + 1)

/* Makes the unique-ids available, which is done at their first use otherwise. Returns false
 * with errno if there is a file of unique-ids and it cannot be read; that is logged. */
bool maildir_read_uids(struct maildir *m);

/* Writes the unique-id of a message, terminated, and returns its length. Returns 0 with errno
 * where the index failed, or the file of unique-ids cannot be read: none is sure then. */
size_t maildir_uid(struct maildir *m, size_t number, char text[MAILDIR_UID_OCTETS]);

/* What a taking over found. */
struct maildir_takeover {
	size_t messages; /* in the maildrop */
	size_t taken;    /* have the old server's unique-id, and need a record for it */
	size_t same;     /* have it without: pop3d would give them the same */
	size_t unknown;  /* the old server had none for them */
	size_t shared;   /* another message has it, so they get a new one */
	size_t wrong;    /* lines of the old server's list that make no sense */
	bool has_list;   /* the old server's list is there, or it has none */
};

/* Takes the unique-ids of another server over, for good, into the file of unique-ids; or (write
 * is false) only says what that would do. The maildrop must be open, without a snapshot, and
 * without such a file. Returns false with errno (EEXIST: there is such a file by now; EBADMSG:
 * the list of the old server makes no sense), and nothing has changed. */
bool maildir_take_over(struct maildir *m, const struct foreign *from, bool write,
	struct maildir_takeover *found);

/* Opens a message for reading, wherever it is by now, and sets *message as maildir_get does.
 * Returns a descriptor that the caller closes, or -1 with errno: ENOENT when a look at the
 * directories showed that it is gone; ESTALE when it is there and cannot be opened; ELOOP or
 * EINVAL when it is no regular file any more. */
int maildir_open_message(struct maildir *m, size_t number, struct message *message);

/* Corrects the size of a message after its octets were counted, here and in *message. */
void maildir_correct_size(
	struct maildir *m, size_t number, struct message *message, uint64_t size_octets);

/* Whether one more problem with a message is to be logged: a session logs a few, and their
 * number when it ends. A maildrop on a bad disk would fill the log at each login. */
bool maildir_may_log(struct maildir *m);

/* Logs such a problem: an event, the errno, the message's place and name. */
void maildir_log_message(
	struct maildir *m, const struct message *message, const char *event, int error_number);

/* Marks for removal at QUIT (false with errno: there is no memory, or the index failed), asks
 * for that, unmarks all. */
bool maildir_delete(struct maildir *m, size_t number);
bool maildir_is_deleted(const struct maildir *m, size_t number);
void maildir_undelete_all(struct maildir *m);

/* Whether the update left a message that was marked, though the index did not fail. */
bool maildir_was_kept(const struct maildir *m, size_t number);

/* Has the update give a message the flag S. */
void maildir_set_retrieved(struct maildir *m, size_t number);

/* What the update did. */
struct maildir_update {
	size_t removed, not_removed;
	uint64_t removed_octets;
	size_t not_moved; /* messages whose name or place could not be changed */
	int error_number; /* of the first failure */
};

/* The UPDATE state (RFC 1939 section 6): gives messages a unique name of their own where
 * another one keeps it, removes what is marked or moves it to the folder, moves the rest of
 * new/ to cur/, gives what was retrieved the flag S, and tells maildirsize where there is one.
 * Never replaces a file. */
struct maildir_update maildir_update(struct maildir *m);

/* Removes regular files in tmp/ that were neither made, changed nor read for 36 hours. */
void maildir_clean_tmp(const struct maildir *m);

/* Writes the index, where this session learned something that the next one can use; after the
 * update, if there is one. That it fails is of no consequence. */
void maildir_save(struct maildir *m);

#endif
