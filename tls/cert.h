/* cert: which certificate a client is shown (RFC 6066 section 3). */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include "tls/tls.h"

/* Makes the handshake choose a certificate: the file in the directory for the name or its
 * wildcard; else the pairs whose certificates are valid for the name, one of each kind of key;
 * else the first pair; without pairs, default.pem in the directory. A resumed session needs
 * none. Clients that ask get the OCSP response of the chosen pair. */
void tls_cert_attach(struct tls *t);

/* Whether an OCSP response (DER) is one and not out of date. Some clients reject one that is,
 * but accept none at all. */
bool tls_cert_is_current(const struct file_octets *response);

#endif
