/* algorithms: the part of the TLS library's algorithms that a connection needs.
 *
 * The library prepares all algorithms of a kind when the first of the kind is wanted: 150
 * ciphers for one, and the decoders of all kinds of keys for one key. A process that serves one
 * connection pays for that each time. */
#ifndef TLS_ALGORITHMS_H
#define TLS_ALGORITHMS_H

#include <openssl/crypto.h>

#include "tls/material.h"

/* Returns a library context in which only the algorithms exist that the default ciphers, and
 * certificates and keys of a server, need. Of the kinds of keys those exist that occur in the
 * material, which must last as long as keys are read; NULL: all that a server can have. Returns
 * NULL, which is the library's own context with all algorithms, if the library cannot make such
 * a context. The context lives as long as the process. */
OSSL_LIB_CTX *tls_algorithms_open(const struct tls_material *material);

#endif
