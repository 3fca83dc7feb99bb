/* reply: takes the answers of a POP3 server apart piece by piece as they arrive, and checks
 * them. */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_LINE_OCTETS 512
#define REPLY_UID_OCTETS 70

/* What is to follow a status line that says +OK. */
enum reply_shape {
	REPLY_STATUS,  /* nothing */
	REPLY_SCAN,    /* "number size" lines and a dot */
	REPLY_UIDS,    /* "number id" lines and a dot */
	REPLY_MESSAGE, /* a message and a dot */
};

enum reply_event {
	REPLY_MORE,     /* not complete yet */
	REPLY_STARTED,  /* the status line is there, the rest follows */
	REPLY_COMPLETE, /* the last octet has been taken */
	REPLY_WRONG,    /* see problem */
};

/* Sizes that LIST gave, by message number - 1. */
struct reply_sizes {
	uint64_t *octets;
	size_t count, capacity;
};

struct reply {
	enum reply_shape shape;
	bool checked;         /* messages are looked at line by line, not only at their end */
	bool in_body;         /* the status line has been taken */
	const char *problem;  /* what was wrong */
	uint64_t lines;       /* of a listing */
	uint64_t sum_octets;  /* of a scan listing */
	uint64_t wire_octets; /* of a message, with its stuffing and its last line */
	uint64_t octets;      /* of a message, as LIST should have given it; only if checked */
	uint64_t line_octets; /* of the message line that is not complete yet */
	char line_start[2];   /* its first octets */
	char tail[5];         /* the last octets of a message that is not checked */
	struct reply_sizes *sizes; /* where sizes are kept, or NULL */
	size_t line_length;        /* of what is gathered here */
	char line[REPLY_LINE_OCTETS + 1];
};

/* Prepares for the next reply. */
void reply_expect(struct reply *r, enum reply_shape shape, bool checked);

/* Takes octets until something happens. Sets used to how many were taken. A status line stays
 * in line, terminated and without its CRLF. */
enum reply_event reply_take(struct reply *r, const char *octets, size_t length, size_t *used);

#endif
