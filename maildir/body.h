/* body: a message's file as it is read: its first block, which tells whether it can be read at
 * all, then the rest; and how many octets all of it has on the wire. */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/encode.h"

#define BODY_CHUNK_OCTETS 65536

struct body {
	bool ends_headers; /* a message without an empty line gets one at its end; the
			      caller's */
	int fd;            /* the caller's */
	size_t held; /* octets of the start of the file in chunk that body_next has not given */
	bool is_whole; /* what was read first is all of the file */
	char chunk[BODY_CHUNK_OCTETS];
};

/* Reads the first octets of the file, at most first_octets; fd must be at its start. Returns
 * false with errno. */
bool body_start(struct body *b, int fd, size_t first_octets);

/* The octets of the empty line that a message gets which has none, where ends_headers is set.
 */
#define BODY_END_OCTETS 2

/* Counts the octets of the whole file as they are sent (RFC 1939 section 11). Call it after
 * body_start and before body_next, and call body_restart after it. Returns false with errno. */
bool body_count(struct body *b, uint64_t *octets);

/* Goes back to the start of the file, after body_count. Returns false with errno. */
bool body_restart(struct body *b);

/* Puts the next octets into chunk: first those of body_start, then at most wanted octets at a
 * time. Returns how many, 0 at the end of the file, -1 with errno. */
ssize_t body_next(struct body *b, size_t wanted);

/* Follows the lines of a message from its start, to tell whether one of them is empty: begins,
 * takes each piece in turn, and says how many octets are missing at the end. Where nobody wants
 * to know, nothing is looked at, and nothing is missing. */
struct encode_top body_follow_begin(const struct body *b);
void body_follow(struct encode_top *headers, const char *octets, size_t length);
uint64_t body_supplied(const struct encode_top *headers);

#endif
