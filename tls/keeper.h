/* keeper: the process that keeps the launch privileges while strangers talk to the engine.
 * It hands out certificates from the directory of --cert-dir, and becomes the program when the
 * engine asks for that. Messages are bounded, and are checked by the keeper. */
#ifndef TLS_KEEPER_H
#define TLS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "os/file.h"
#include "peer/peer.h"
#include "tls/options.h"

/* The most octets of variables for the program: NAME=value, each ended by NUL. */
#define KEEPER_VARIABLES_OCTETS 4096

struct keeper {
	const struct tls_options *options;
	const struct peer *peer;
	int gate;    /* a SOCK_SEQPACKET socket: the engine is at its other end */
	int channel; /* for the program: input from the client and output to it */
	int control; /* for the program with --starttls, else -1 */
	mode_t umask;
};

enum keeper_answer {
	KEEPER_FOUND,
	KEEPER_NOT_THERE,
	KEEPER_TROUBLE, /* logged by the keeper */
};

/* Serves the engine until it closes the gate, and then exits; or becomes the program when the
 * engine asks for that. */
_Noreturn void keeper_run(const struct keeper *k);

/* For the engine: reads the file of a name (see tls/name.h), or default.pem for an empty name.
 */
enum keeper_answer keeper_ask(int gate, const char *name, struct file_octets *octets);

/* For the engine: starts the program with these variables. */
bool keeper_begin(int gate, const char *variables, size_t length);

#endif
