/* engine: moving octets between the client, under TLS, and the program. */
#ifndef ENGINE_H
#define ENGINE_H

#include "tls/tls.h"

/* How it ended, for the log. */
enum engine_end {
	ENGINE_PROGRAM_ENDED,
	ENGINE_TRUNCATED, /* the client's side ended without close_notify, before the program */
	ENGINE_STALLED,   /* the client did not read */
	ENGINE_ABUSED,    /* too many messages that carry nothing */
	ENGINE_BROKEN,    /* a record that was not the peer's */
};

/* Moves octets between descriptors 0 and 1 and the channel, a socket, none of which blocks,
 * until either side ends. Then the channel is closed; a program whose client ended before gets
 * an end of file, and what it still has to say is sent, or dropped if nobody is there. */
enum engine_end engine_run(struct tls *t, int channel);

#endif
