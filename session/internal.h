/* internal: what session.c and the files of this room share. */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "maildir.h"
#include "options.h"
#include "peer/peer.h"
#include "pop3/command.h"
#include "pop3/wire.h"

struct tally {
	uint64_t messages, octets;
};

struct session {
	struct maildir maildir;
	const struct settings *options;
	const char *end; /* why the session ended, for the log */
	int exit_status;
	struct tally retr, top, dele;
	int64_t started_ms;
	struct peer peer;
	struct wire wire; /* last: its buffers are large */
};

/* Opens the maildrop, confines this process to it, and takes the snapshot. Returns false after
 * it has answered PASS with an error; then s->end and s->exit_status say why. */
bool session_open(struct session *s);

/* QUIT: the UPDATE state (RFC 1939 section 6). */
command_function session_quit;

#endif
