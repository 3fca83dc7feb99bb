/* wire: lines from the client, replies and messages to the client; buffers and deadlines.
 *
 * A wire stands for the connection: a socket, or a pair of pipes, terminals or files. Output
 * gathers in a buffer. The buffer is sent when it is full, or when no further command has
 * arrived. So a pipelined batch costs few writes, and no client waits for a reply in the
 * buffer. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/encode.h"
#include "lib/span.h"
#include "pop3/text.h"

/* A command line with its CRLF, in octets (RFC 2449 section 4). */
#define WIRE_COMMAND_OCTETS 255

/* A reply line with its CRLF, in octets (RFC 1939 section 3). */
#define WIRE_REPLY_OCTETS 512

/* The longest line of all, a token in a SASL exchange, fits. */
#define WIRE_INPUT_OCTETS 20480
#define WIRE_CHUNK_OCTETS 65536
#define WIRE_OUTPUT_OCTETS (2 * WIRE_CHUNK_OCTETS + WIRE_REPLY_OCTETS + ENCODE_SLACK)

/* How much of the client's input is read. */
enum wire_intake {
	WIRE_EXACT, /* never past the end of the line: the rest stays in the socket, for the
		       next process */
	WIRE_AHEAD, /* as much as has arrived */
};

/* What ended a conversation. */
enum wire_end {
	WIRE_OPEN,    /* nothing yet */
	WIRE_EOF,     /* the client closed */
	WIRE_TIMEOUT, /* a deadline passed: idle, login, or the client stopped reading */
	WIRE_BROKEN,  /* reading or writing failed; see error_number */
	WIRE_ORPHAN,  /* the process at the other end of watch_fd is gone */
};

/* What wire_read_line found. */
enum wire_line {
	WIRE_LINE,
	WIRE_LINE_TOO_LONG,
	WIRE_LINE_HAS_NUL,
	WIRE_NO_LINE, /* the conversation is over; see end */
};

struct wire {
	int in_fd, out_fd;
	int watch_fd; /* a socket whose hang-up ends the conversation, or -1 */
	bool in_is_socket, out_is_socket;
	bool has_input; /* something came from the client, ever */
	enum wire_intake intake;
	size_t line_octets;  /* a longer line is skipped; WIRE_COMMAND_OCTETS unless changed */
	int64_t idle_ms;     /* limit for each command, and for a client that does not read */
	int64_t deadline_ms; /* limit for everything, by clock_now_ms; -1: none */
	enum language language; /* of the texts for people */
	enum wire_end end;
	int error_number;
	uint64_t sent_octets;
	size_t in_start, in_end, out_length;
	char in[WIRE_INPUT_OCTETS];
	char out[WIRE_OUTPUT_OCTETS];
};

/* Starts a conversation. The descriptors stay the caller's. */
void wire_open(struct wire *w, int in_fd, int out_fd, enum wire_intake intake, int64_t idle_ms);

/* Waits for a line and sets line to it, without its CRLF or LF; it is valid until the next
 * call. A line longer than line_octets is skipped to its end and costs no memory. Output is
 * sent before waiting. wire_forget_input wipes the input that was consumed. */
enum wire_line wire_read_line(struct wire *w, struct span *line);

/* Continues with other descriptors (those of TLS), and discards input and output of the old
 * ones. */
void wire_switch(struct wire *w, int in_fd, int out_fd);

/* Discards everything that the client has sent so far: what was sent in clear text must not be
 * answered inside TLS (RFC 2595 section 4). Returns false if the conversation is over, or if
 * the client does not stop sending. */
bool wire_discard_input(struct wire *w);

/* Overwrites the input that was consumed: it may hold a password. */
void wire_forget_input(struct wire *w);

/* These append to the output, and send it when it is full. After a failure (see end) they do
 * nothing. */
void wire_put(struct wire *w, const char *octets, size_t length);
void wire_puts(struct wire *w, const char *text);

/* Appends a reply line and its CRLF. A line longer than WIRE_REPLY_OCTETS is cut. */
void wire_reply(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the encoded form (RFC 1939 section 3) of at most WIRE_CHUNK_OCTETS octets; returns
 * its length. */
size_t wire_put_encoded(struct wire *w, struct encoder *e, const char *octets, size_t length);

/* Sends the output that has gathered. Returns false if the conversation is over. */
bool wire_flush(struct wire *w);

#endif
