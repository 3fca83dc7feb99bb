/* encode: turns a message as it is on disk into the octets of the wire.
 *
 * RFC 1939 section 3: every line ends in CRLF, and a leading dot is doubled. LF on disk becomes
 * CRLF, CRLF stays, a bare CR stays, and a missing final line end is supplied. Section 11: the
 * size of a message is the number of octets sent, without the doubled dots and without the
 * terminating line. */
#ifndef ENCODE_H
#define ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state of the encoder in a message; it begins as ENCODER_START. */
struct encoder {
	bool in_line;     /* the current line has at least one octet */
	bool after_cr;    /* the last octet was CR */
	uint64_t stuffed; /* dots added so far: they are not part of the size */
};

#define ENCODER_START ((struct encoder){false, false, 0})

/* The octets that encode may write after its result. */
#define ENCODE_SLACK 16

/* Encodes length octets to out, which must have room for 2 * length + ENCODE_SLACK octets.
 * Returns the length of the result. */
size_t encode(struct encoder *e, const char *in, size_t length, char *out);

/* Ends the message: supplies the final line end if it is missing. out must have room for two
 * octets. Returns how many were written: 0 or 2. */
size_t encode_end(const struct encoder *e, char *out);

/* The size, without doubled dots, of what encode would make of length octets. */
uint64_t encode_count(struct encoder *e, const char *in, size_t length);

/* The octets that encode_end adds: 0 or 2. */
uint64_t encode_count_end(const struct encoder *e);

/* The part of a message that TOP n k sends (RFC 1939 section 7): the headers, the blank line
 * and k lines of the body. */
struct encode_top {
	bool in_body;
	bool first_is_cr;   /* of the current header line */
	size_t line_octets; /* in the current header line so far, without its LF */
	bool done;
	uint64_t lines_left;
};

/* Starts with the number of body lines that are wanted. */
void encode_top_start(struct encode_top *t, uint64_t lines);

/* How many of the length octets belong to the top. Sets t->done when the rest of the message
 * does not belong to it. */
size_t encode_top_extent(struct encode_top *t, const char *in, size_t length);

#endif
