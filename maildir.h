/* maildir: the maildrop: its snapshot, finding and opening messages, the update at QUIT.
 * Messages are numbered from 0 here. */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

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

/* What was taken from the index; each value includes those before it. */
enum index_use {
	INDEX_USELESS, /* nothing: there is no index, or it cannot be used */
	INDEX_SIZES,   /* sizes of messages */
	INDEX_CUR,     /* the listing of cur/, which has not changed */
	INDEX_LISTING, /* the whole snapshot: neither directory has changed */
	INDEX_BROKEN   /* it failed in mid-session; the messages cannot be looked up any more */
};

struct maildir {
	int root_fd, lock_fd, tmp_fd;
	int quota_fd;      /* maildirsize, or -1 */
	int index_dir_fd;  /* the index's directory, or -1: neither read nor written */
	int folder_fd;     /* where deleted messages go, or -1; see folder */
	int place_fd[2];   /* by enum place */
	uid_t owner;       /* the user of this process, whose index is used */
	bool is_remote;    /* on a network file system */
	bool keep_new;     /* the update leaves new/ as it is */
	bool verify_sizes; /* trust no size in a name */
	bool has_learned;  /* this session counted sizes that are not in the index */
	bool is_read_only; /* see struct maildir_wish */
	enum maildir_state state;
	enum index_use index_use;
	struct index_place seen[2]; /* new/ and cur/ when they were read last */
	uint64_t all_octets;        /* of all messages */
	uint64_t deleted_octets;    /* of those marked deleted */
	size_t new_count;           /* messages that were in new/ at login */
	size_t problems;            /* with messages, for maildir_may_log */
	const char *folder;         /* name of the folder of folder_fd; NULL: deleted is gone */
	int folder_error;           /* errno, where it could not be opened */
	struct uids uids;           /* taken over from another server */
	struct snapshot snapshot;
	struct index index;
	struct body body; /* of the message that is read */
};

/* Results of maildir_open. errno is set for the last two. */
enum maildir_problem {
	MAILDIR_READY,
	MAILDIR_IN_USE,   /* another session holds the lock */
	MAILDIR_UNUSABLE, /* missing, no directory, no permission: the administrator must act */
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

/* Opens a Maildir before the session confines itself: its directories, its lock, its
 * maildirsize, the folder, and the directory of the index. If an index is wanted and its
 * directory is missing, reads new/ and cur/, and makes the directory if the maildrop needs an
 * index. On failure nothing is left open, and *failed_path names what could not be used ("new",
 * ..., or the path itself). */
enum maildir_problem maildir_open(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path);

/* Makes a Maildir and its three directories, with mode 0700, for the user of this process. The
 * directory above must exist. Directories that exist already stay as they are. Returns false
 * with errno. */
bool maildir_create(const char *path);

/* Takes the snapshot. If nothing has changed since the index was written, it comes from the
 * index. Otherwise it consists of the regular files in new/ and cur/ whose names do not begin
 * with a dot. Their sizes come from the index, from ",W=" in the name, or from counting.
 * Returns false with errno, and m stays open. */
bool maildir_load(struct maildir *m);

/* The problem that an errno of maildir_load stands for. */
enum maildir_problem maildir_problem_of(int error_number);

/* Closes all descriptors, which releases the lock, and frees all memory. */
void maildir_close(struct maildir *m);

/* How many messages are not marked deleted, and their octets (STAT; RFC 1939 section 5). */
struct maildir_totals {
	size_t messages;
	uint64_t octets;
};

struct maildir_totals maildir_totals(const struct maildir *m);

/* Whether the index failed in this session. The failure was logged, and a wrong index was
 * removed. The session must end, because any further answer could be wrong. */
bool maildir_is_broken(const struct maildir *m);

/* Puts what is known of a message into *message; its name is valid until the next call. Returns
 * false with errno, and an empty name, if the index failed. */
bool maildir_get(struct maildir *m, size_t number, struct message *message);

/* The same for only the parts of the unique-id, and for only the size: faster. */
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

/* Opens a message for reading, even if its file has moved, and sets *message as maildir_get
 * does. Returns a descriptor that the caller closes, or -1 with errno. ENOENT: a search of the
 * directories showed that the message is gone. ESTALE: it exists and cannot be opened. ELOOP or
 * EINVAL: it is not a regular file any more. */
int maildir_open_message(struct maildir *m, size_t number, struct message *message);

/* Whether the file with this status can still have the known size of the message. False if the
 * size is that of the index, and the file has changed since that was written (or got another
 * name); and if the name states another length of the file (,S=). */
bool maildir_may_have_size(
	const struct maildir *m, const struct message *message, const struct stat *st);

/* Sets the counted size of a message, in the maildrop and in *message. */
void maildir_correct_size(
	struct maildir *m, size_t number, struct message *message, uint64_t size_octets);

/* Whether one more problem with a message is to be logged. A session logs only the first few,
 * and the number of the others at its end, so that a bad disk does not fill the log. */
bool maildir_may_log(struct maildir *m);

/* Logs such a problem: an event, the errno, the message's place and name. */
void maildir_log_message(
	struct maildir *m, const struct message *message, const char *event, int error_number);

/* Marks a message for removal at QUIT (false with errno: no memory, or the index failed); asks
 * whether it is marked; unmarks all messages. */
bool maildir_delete(struct maildir *m, size_t number);
bool maildir_is_deleted(const struct maildir *m, size_t number);
void maildir_undelete_all(struct maildir *m);

/* Whether the update failed to remove this marked message. False if the index failed. */
bool maildir_was_kept(const struct maildir *m, size_t number);

/* Notes that the update is to give this message the flag S. */
void maildir_set_retrieved(struct maildir *m, size_t number);

/* What the update did. */
struct maildir_update {
	size_t removed, not_removed;
	uint64_t removed_octets;
	size_t not_moved; /* messages whose name or place could not be changed */
	int error_number; /* of the first failure */
};

/* The UPDATE state (RFC 1939 section 6). Renames messages whose unique name another message
 * keeps. Removes the marked messages, or moves them to the folder. Moves the other messages of
 * new/ to cur/, and gives the flag S to those that were retrieved. Updates maildirsize, if it
 * exists. Never replaces a file. */
struct maildir_update maildir_update(struct maildir *m);

/* Removes regular files in tmp/ that have not been created, changed or read for 36 hours. */
void maildir_clean_tmp(const struct maildir *m);

/* Writes the index, if this session has learned something that the next one can use. Call it
 * after the update. A failure is logged with --debug and has no other effect. */
void maildir_save(struct maildir *m);

#endif
