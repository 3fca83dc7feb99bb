/* maildir: the maildrop: its snapshot, finding and opening messages, the update at QUIT. */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "snapshot.h"

struct maildir {
	int root_fd, lock_fd, tmp_fd;
	int quota_fd;    /* maildirsize, or -1 */
	int place_fd[2]; /* by enum place */
	struct timespec scanned_mtime[2];
	bool scan_is_final; /* unchanged times mean that nothing changed since the last scan */
	bool verify_sizes;
	struct snapshot snapshot;
	uint64_t total_octets; /* of the messages not marked deleted */
	size_t left;           /* their number */
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
};

/* Opens a Maildir: its directories, its lock, its maildirsize; all that needs a right outside
 * of new/, cur/ and tmp/. On failure nothing is left open, and *failed_path is what could not
 * be used ("new",
 * ..., or the path itself). */
enum maildir_problem maildir_open(
	struct maildir *m, const struct maildir_wish *wish, const char **failed_path);

/* Takes the snapshot: new/ before cur/, regular files whose names do not begin with a dot;
 * sizes from
 * ",W=" in the name, else counted. Returns false with errno, and m stays open. */
bool maildir_load(struct maildir *m);

/* Says why maildir_load failed with errno. */
enum maildir_problem maildir_problem_of(int error_number);

/* Releases the lock and all memory; m is as if it had never been opened. */
void maildir_close(struct maildir *m);

/* Opens a message for reading, wherever it is by now. Returns a descriptor that the caller
 * closes, or -1 with errno: ENOENT when it is gone, ELOOP or EINVAL when it is no regular file
 * any more. */
int maildir_open_message(struct maildir *m, struct message *message);

/* Corrects the size of a message after its octets were counted. */
void maildir_correct_size(struct maildir *m, struct message *message, uint64_t size_octets);

/* Mark for removal at QUIT, and unmark all. */
void maildir_mark(struct maildir *m, struct message *message);
void maildir_unmark_all(struct maildir *m);

/* What the update did. */
struct maildir_update {
	size_t removed, not_removed;
	uint64_t removed_octets;
	size_t not_moved; /* messages whose flags or place could not be changed */
	int error_number; /* of the first failure */
};

/* The UPDATE state (RFC 1939 section 6): removes what is marked, moves the rest of new/ to
 * cur/, gives what was retrieved the flag S, and tells maildirsize where there is one. Never
 * replaces a file. */
struct maildir_update maildir_update(struct maildir *m);

/* Removes regular files in tmp/ that were neither changed nor read for 36 hours. */
void maildir_clean_tmp(const struct maildir *m);

#endif
