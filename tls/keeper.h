/* keeper: the process that keeps the launch privileges while strangers talk to the engine.
 * It hands out certificates from the directory of --cert-dir, and becomes the program when the
 * engine says so. Messages are bounded and are checked on this side. */
#ifndef TLS_KEEPER_H
#define TLS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "os/file.h"
#include "peer/peer.h"
#include "tls/options.h"

/* Names and values of variables for the program, each ended by NUL, in octets. */
#define KEEPER_VARIABLES_OCTETS 4096

struct keeper {
	const struct tls_options *options;
	const struct peer *peer;
	int gate;    /* a SOCK_SEQPACKET socket: the engine is at its other end */
	int channel; /* for the program: what the client sends, and what goes to it */
	int control; /* for the program with --starttls, else -1 */
	mode_t umask;
};

enum keeper_answer {
	KEEPER_FOUND,
	KEEPER_NOT_THERE,
	KEEPER_TROUBLE, /* logged by the keeper */
};

/* Serves the engine until it closes the gate (then the process ends), or says that the program
 * is to begin. */
_Noreturn void keeper_run(const struct keeper *k);

/* For the engine: the file of that name (tls_name.h), or default.pem for an empty one. */
enum keeper_answer keeper_ask(int gate, const char *name, struct file_octets *octets);

/* For the engine: lets the program begin, with these variables. */
bool keeper_begin(int gate, const char *variables, size_t length);

#endif
