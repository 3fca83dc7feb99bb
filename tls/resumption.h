/* resumption: resuming sessions that other processes began. */
#ifndef TLS_RESUMPTION_H
#define TLS_RESUMPTION_H

#include "tls/tls.h"

/* With ticket keys, sessions are resumed by ticket (RFC 5077, RFC 8446 section 2.2); without
 * them there are neither tickets nor any other memory of sessions. */
void tls_session_attach(struct tls *t);

#endif
