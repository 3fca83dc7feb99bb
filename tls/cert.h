/* cert: which certificate a client is shown (RFC 6066 section 3). */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include "tls/tls.h"

/* Lets the handshake choose: the file of the name in the directory, or of all names beside it;
 * else the pairs whose certificates are valid for the name (one of each kind of key); else the
 * first pair, or without pairs default.pem in the directory. A resumed session needs none.
 * Also staples the OCSP response of the chosen pair for clients that ask. */
void tls_cert_attach(struct tls *t);

#endif
