/* resumption: resuming sessions that other processes began. */
#ifndef TLS_RESUMPTION_H
#define TLS_RESUMPTION_H

#include "tls/tls.h"

/* With ticket keys, clients resume sessions by tickets (RFC 5077, RFC 8446 section 2.2).
 * Without keys no session can be resumed. */
void tls_session_attach(struct tls *t);

#endif
