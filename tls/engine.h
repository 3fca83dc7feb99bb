/* engine: moving octets between the client, under TLS, and the program. */
#ifndef ENGINE_H
#define ENGINE_H

#include "tls/tls.h"

/* How the connection ended, for the log. */
enum engine_end {
	ENGINE_PROGRAM_ENDED,
	ENGINE_TRUNCATED, /* the client's side ended without close_notify, before the program */
	ENGINE_STALLED,   /* the client did not read */
	ENGINE_ABUSED,    /* too many messages without data */
	ENGINE_BROKEN,    /* a record that is not from the peer */
};

/* Moves octets between descriptors 0 and 1 and the channel (a socket), none of which blocks,
 * until either side ends; then closes the channel. If the client ends first, the program reads
 * an end of file, and its remaining output is sent, or dropped if the client is gone. */
enum engine_end engine_run(struct tls *t, int channel);

#endif
