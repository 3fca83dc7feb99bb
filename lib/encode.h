/* encode: a message as it lies on disk, turned into the octets of the wire.
 *
 * RFC 1939 section 3: every line ends in CRLF, a leading dot is doubled. LF on disk becomes
 * CRLF, CRLF stays, a bare CR stays, a missing final line end is supplied. Section 11: the size
 * of a message is what is so sent, without the doubled dots and without the terminating line.
 */
#ifndef ENCODE_H
#define ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a message the encoder stands; start with ENCODER_START. */
struct encoder {
	bool in_line;     /* the current line has at least one octet */
	bool after_cr;    /* the last octet was CR */
	uint64_t stuffed; /* dots doubled so far: they do not count for the size */
};

#define ENCODER_START ((struct encoder){false, false, 0})

/* Octets by which encode may write past what it returns. */
#define ENCODE_SLACK 16

/* Encodes length octets. out must have room for 2 * length + ENCODE_SLACK octets. Returns how
 * many octets of it are the result. */
size_t encode(struct encoder *e, const char *in, size_t length, char *out);

/* The same result octet by octet, to compare with. */
size_t encode_plain(struct encoder *e, const char *in, size_t length, char *out);

/* Ends the message: writes the missing line end, if one is missing. out must have room for two
 * octets. Returns 0 or 2. */
size_t encode_end(const struct encoder *e, char *out);

/* How many octets of size (without doubled dots) encode would make of length octets. */
uint64_t encode_count(struct encoder *e, const char *in, size_t length);

/* The octets that encode_end adds: 0 or 2. */
uint64_t encode_count_end(const struct encoder *e);

/* How far TOP n k goes (RFC 1939 section 7): the headers, the blank line, k lines of the body.
 */
struct top {
	bool in_body;
	bool first_is_cr;   /* of the current header line */
	size_t line_octets; /* in the current header line so far, without its LF */
	bool done;
	uint64_t lines_left;
};

/* Starts with lines body lines wanted. */
void top_start(struct top *t, uint64_t lines);

/* How many of the length octets belong to the top; t->done is set when the rest of the message
 * does not. */
size_t top_extent(struct top *t, const char *in, size_t length);

#endif
