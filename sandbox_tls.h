/* sandbox_tls: what the engine of pop3d-tls locks itself into; see sandbox.h. */
#ifndef SANDBOX_TLS_H
#define SANDBOX_TLS_H

#include <stdbool.h>

/* For the engine, once it has read its files and given up its identity: talking on descriptors
 * that are open, memory that cannot be run, waiting for the program. Nothing of the file
 * system, the network, or other processes. Returns false with errno as sandbox_greeter does. */
bool sandbox_engine(void);

#endif
