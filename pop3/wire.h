/* wire: lines from the client, replies and messages to it; buffering and deadlines.
 *
 * One wire stands for the connection: a socket, or a pair of pipes, terminals or files. Output
 * gathers in a buffer that is sent when it is full or when the next command is not there yet,
 * so that a pipelined batch costs few writes and no client waits for a reply that lies here. */
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

/* How the client's input is taken. */
enum wire_intake {
	WIRE_EXACT, /* never past the end of the line: who reads next finds the rest in the
		       socket */
	WIRE_AHEAD, /* as much as there is */
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
	enum wire_intake intake;
	size_t line_octets;  /* a longer line is skipped; WIRE_COMMAND_OCTETS unless changed */
	int64_t idle_ms;     /* for each command, and for a client that does not read */
	int64_t deadline_ms; /* of clock_now_ms, for everything; -1: none */
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
 * call. A line longer than line_octets is skipped to its end first and costs no memory.
 * Output is sent before waiting. The input that was consumed is wiped by wire_forget_input. */
enum wire_line wire_read_line(struct wire *w, struct span *line);

/* Goes on with other descriptors (those of TLS), with nothing of what was read or written
 * before. */
void wire_switch(struct wire *w, int in_fd, int out_fd);

/* Throws away everything the client has sent so far (RFC 2595 section 4: what was sent in clear
 * must not be answered inside TLS). Returns false when the conversation is over, or the client
 * does not stop. */
bool wire_discard_input(struct wire *w);

/* Overwrites all input that was consumed already (it may hold a password). */
void wire_forget_input(struct wire *w);

/* Append to the output, sending when it is full. After a failure they do nothing; see end. */
void wire_put(struct wire *w, const char *octets, size_t length);
void wire_puts(struct wire *w, const char *text);
void wire_put_number(struct wire *w, uint64_t number);

/* Appends one reply line and its CRLF; text beyond WIRE_REPLY_OCTETS is cut. */
void wire_reply(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the encoded form (RFC 1939 section 3) of at most WIRE_CHUNK_OCTETS octets; returns
 * its length. */
size_t wire_put_encoded(struct wire *w, struct encoder *e, const char *octets, size_t length);

/* Sends what has gathered. Returns false when the conversation is over. */
bool wire_flush(struct wire *w);

#endif
