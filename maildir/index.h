/* index: the file beside a Maildir that remembers its listing and the sizes of its messages.
 * doc/INDEX describes the format. The index is a cache: if anything is wrong with it, it is not
 * used. Each part is checked when it is used. */
#ifndef INDEX_H
#define INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "maildir/snapshot.h"

#define INDEX_DIRECTORY "pop3d"
#define INDEX_NAME "index"

/* The file consists of pages, each with a checksum at its end. The other octets of all pages
 * are one sequence: the header, the records, the names. */
#define INDEX_PAGE_OCTETS 4096
#define INDEX_PAYLOAD_OCTETS (INDEX_PAGE_OCTETS - sizeof(uint64_t))
#define INDEX_WINDOW_PAGES 4

#define INDEX_MAGIC 0x786469643370706fU /* "oppd3dix" or backwards, by the byte order */
#define INDEX_BYTE_ORDER 0x01020304U
#define INDEX_VERSION 2U
#define INDEX_VERSION_ENDED 3U /* the same, with sizes that count supplied empty lines */

/* No maildrop is larger, and no sum of sizes or offsets wraps. */
#define INDEX_COUNT_MOST ((uint64_t)1 << 32)
#define INDEX_SIZE_MOST ((uint64_t)1 << 60)

/* The state of new/ or cur/ when it was read. */
struct index_place {
	uint64_t device, inode;
	int64_t mtime_seconds, ctime_seconds;
	uint32_t mtime_nanoseconds, ctime_nanoseconds;
	/* 1: every later change gives it other times; 0: a change may leave its times the same
	 */
	uint64_t is_final;
};

struct index_header {
	uint64_t magic;
	uint32_t byte_order, version;
	uint64_t nonce;                         /* in the checksums of all pages; never 0 */
	struct index_place places[2];           /* by enum place */
	uint64_t count, new_count;              /* messages, and those of new/ */
	uint64_t verified_count, unknown_count; /* sizes counted; sizes only guessed */
	uint64_t twin_count;                    /* messages with struct index_inodes */
	uint64_t total_octets;                  /* all sizes */
	uint64_t names_octets;                  /* of all names */
	uint64_t unused;                        /* 0 */
};

enum index_record_flag {
	INDEX_VERIFIED = 1,
	INDEX_UNKNOWN = 2,
	INDEX_TWIN = 4,   /* struct index_inodes follows the name */
	INDEX_SECOND = 8, /* see struct message */
	INDEX_FLAGS = 15
};

/* See struct message. */
struct index_inodes {
	uint64_t inode, alias_inode;
};

struct index_record {
	uint64_t size_octets;
	uint64_t name_offset; /* in the names */
	uint8_t name_octets, unique_octets;
	uint8_t place; /* enum place */
	uint8_t flags; /* of enum index_record_flag */
	uint32_t unused;
};

/* A part of the file in memory: start is where in the sequence it begins. */
struct index_window {
	uint64_t start;
	size_t octets;
	/* the pages as they are read; then their payload, and 8 octets a page after it */
	unsigned char payload[INDEX_WINDOW_PAGES * INDEX_PAGE_OCTETS];
};

/* The largest index that is read as a whole, where it is wanted so. */
#define INDEX_WHOLE_OCTETS ((size_t)1 << 20)

struct index {
	int fd;               /* -1: none, or all of it is in memory */
	unsigned char *pages; /* all of it, or NULL */
	size_t pages_octets;
	struct index_header header;
	struct timespec written; /* by the clock of its file system */
	struct index_window records, names;
	char name[UID_NAME_OCTETS + 1 + sizeof(uint64_t)];
};

/* What to open, and how. */
struct index_wish {
	int directory_fd;
	uid_t owner;
	uint32_t version; /* one of the two */
	/* read an index of at most INDEX_WHOLE_OCTETS into memory: on a network file system it
	 * cannot be read any more after another host has replaced it (ESTALE) */
	bool whole;
};

/* Opens the index in the directory and reads its header. Returns false with errno if the index
 * cannot be used: it is not a regular file of this owner, has another version or byte order, or
 * is damaged. */
bool index_open(struct index *ix, const struct index_wish *wish);
void index_close(struct index *ix);

/* Puts what the index says of a message into *m; the name is in ix. Returns false with errno if
 * the index cannot be read, or is wrong (EBADMSG). */
bool index_get(struct index *ix, uint64_t number, struct message *m);

/* Only the unique name: faster. It is in memory of ix until the next call. It is not checked,
 * so use it for uid_text only, and never as the name of a file. */
bool index_get_unique(struct index *ix, uint64_t number, struct unique *unique);

/* Only the size: faster. */
bool index_get_size(struct index *ix, uint64_t number, uint64_t *size_octets);

/* The checksum of a page. */
uint64_t index_sum(uint64_t nonce, uint64_t page_number,
	const unsigned char payload[INDEX_PAYLOAD_OCTETS]);

/* What an index is written from. */
struct index_content {
	uint32_t version; /* one of the two */
	struct snapshot *snapshot;
	struct index_place places[2]; /* by enum place */
	bool leave_deleted_out;       /* what is marked deleted was removed */
};

/* Writes a new index and replaces the old one by it. Removes what sessions that died while they
 * wrote have left. On failure returns false with errno, leaves the old index as it was, and
 * removes what it wrote, if possible. */
bool index_write(int directory_fd, const struct index_content *content);

#endif
