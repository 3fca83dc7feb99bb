/* uids: the file of a Maildir that has the unique-ids which were taken over from another
 * server. doc/MAILDIR describes it. It is no cache: what it says is nowhere else once the old
 * server's files are gone. It is replaced as a whole and never written in place. */
#ifndef UIDS_H
#define UIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/foreign.h"
#include "lib/number.h"
#include "lib/span.h"
#include "maildir/name.h"
#include "maildir/snapshot.h"

#define UIDS_NAME "pop3d-uids"

/* No such file is larger: offsets in it have 32 bits. */
#define UIDS_MOST_OCTETS ((uint64_t)1 << 31)

/* A message and its unique-id, in the text of the file. */
struct uids_record {
	uint32_t uid_start, name_start;
	uint8_t uid_octets, name_octets;
};

struct uids {
	int fd;           /* -1: there is no such file, or all of it is in memory */
	bool is_there;    /* whether there is such a file */
	bool is_read;     /* the following are set */
	uint64_t claimed; /* records, as the first line says */
	char kind[FOREIGN_KIND_OCTETS + 1]; /* what was taken over */
	char *text;                         /* the file, names and unique-ids unescaped */
	struct uids_record *records;
	size_t count;
	size_t damaged;             /* records that are lost */
	uint32_t *by_name, *by_uid; /* hash tables of record numbers plus 1; 0: free */
	size_t slots;               /* of each, a power of two */
};

/* As if there were no such file. */
void uids_init(struct uids *u);

/* Opens the file in the directory, if there is one, and reads its first line. It must be a
 * regular file of this owner's or of uid 0, and no link. Returns false with errno where it is
 * there and cannot be used: EBADMSG if it makes no sense. */
bool uids_open(struct uids *u, int directory_fd, uid_t owner);

/* Reads all records into memory, which takes the size of the file and some 30 octets a record;
 * nothing to do if they are there. Records that are damaged, or that name a message or a
 * unique-id a second time, are counted and left out. Returns false with errno, and the file can
 * be tried again. */
bool uids_read(struct uids *u);

void uids_close(struct uids *u);

/* The unique-id that a message was given, in memory of u; its octets are NULL if it has none.
 * For records that were read. */
struct span uids_find(const struct uids *u, const char *unique, size_t octets);

/* Writes the unique-id of a message and its terminator: the one that it was given, else its own
 * one by uid_text; if another message was given that, a hash. Returns its length. For records
 * that were read. */
size_t uids_give(
	const struct uids *u, const struct unique *unique, char text[FOREIGN_UID_OCTETS + 1]);

/* Whether a message was given this unique-id, present or not. */
bool uids_has(const struct uids *u, const char *uid, size_t octets);

/* uids_write.c: writing such a file. It comes to its place only when it is whole. */
struct uids_writer {
	int directory_fd, fd;
	char temporary[32]; /* its name until then */
	size_t used;
	char buffer[8192];
};

/* The octets of the longest line: a sum, two escaped texts, blanks and the end. */
#define UIDS_LINE_OCTETS (3 * (FOREIGN_UID_OCTETS + UID_NAME_OCTETS) + 32)

/* Starts a file of so many records. Each returns false with errno; then nothing of it is left,
 * and the file that was there is as it was. */
bool uids_begin(
	struct uids_writer *w, int directory_fd, const char *kind, uint64_t record_count);
bool uids_put(struct uids_writer *w, const char *uid, size_t uid_octets, const char *unique,
	size_t octets);

/* Ends the file: its contents reach the disk, it gets its name, and the name reaches the disk.
 * Without replace a file that is there stays: errno EEXIST. */
bool uids_end(struct uids_writer *w, bool replace);

/* Ends it without a trace. Keeps errno. */
void uids_abandon(struct uids_writer *w);

/* The checksum of what follows it in a line. */
uint64_t uids_sum(const char *octets, size_t length);

/* The beginning of the first line. */
#define UIDS_MAGIC "pop3d-uids 1 "

/* The digits of a checksum, which number_write_all_hex writes. */
#define UIDS_SUM_DIGITS NUMBER_HEX_DIGITS

#endif
