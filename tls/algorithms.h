/* algorithms: the part of the TLS library's algorithms that a connection needs.
 *
 * The library prepares all algorithms of a kind when the first of the kind is wanted: 150
 * ciphers for one, and the decoders of all kinds of keys for one key. A process that serves one
 * connection pays for that each time. */
#ifndef TLS_ALGORITHMS_H
#define TLS_ALGORITHMS_H

#include <openssl/crypto.h>
#include <stdbool.h>

#include "tls/material.h"

/* Returns a library context in which only the algorithms exist that the default ciphers, and
 * certificates and keys of a server, need. Of the kinds of keys those exist that occur in the
 * material, which must last as long as keys are read; NULL: all that a server can have. Returns
 * NULL, which is the library's own context with all algorithms, if the library cannot make such
 * a context. The context lives as long as the process. Its AES-GCM leaves no plaintext
 * behind (gcm.h). */
OSSL_LIB_CTX *tls_algorithms_open(const struct tls_material *material);

/* With these properties the library's own context prefers what the next function adds. */
#define TLS_ALGORITHMS_MENDED "?pop3d.mended=yes"

/* Adds AES-GCM that leaves no plaintext behind to the library's own context, made of the one
 * that the context would use. Nothing is added for one of a kind that is not known here.
 * Returns false if the library refuses it. */
bool tls_algorithms_mend(void);

#endif
