/* ticketfile: making and rotating the file of ticket keys, for its administrator. */
#ifndef TLS_TICKETFILE_H
#define TLS_TICKETFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "os/file.h"
#include "tls/ticket.h"

/* The most keys that a rotation can keep. */
#define TICKETFILE_KEYS TICKET_KEYS

enum ticketfile_state {
	TICKETFILE_GOOD,
	TICKETFILE_UNREADABLE, /* errno says why */
	TICKETFILE_NO_KEYS,
	TICKETFILE_OPEN,   /* others may read it, or its group write it */
	TICKETFILE_FOREIGN /* belongs neither to root nor to the user of this process */
};

/* Reads a file of keys, which the caller wipes, and judges it; st becomes its fstat(2) unless
 * it cannot be read. */
enum ticketfile_state ticketfile_judge(
	const char *path, struct ticket_keys *keys, struct stat *st);

/* Reads a file of keys. It must belong to root or to the user of this process and be readable
 * for nobody but its owner and group. False after a log line. */
bool ticketfile_read(const char *path, struct ticket_keys *keys);

/* Makes a file with one key, for its owner only. Returns false after a log line, also if the
 * file exists. */
bool ticketfile_make(const char *path);

/* Puts a new key before those of the file and keeps at most so many keys. The file is replaced
 * as a whole. Returns false after a log line; the file is unchanged then. */
bool ticketfile_rotate(const char *path, size_t keep);

#endif
