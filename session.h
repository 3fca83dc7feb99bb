/* session: the TRANSACTION and UPDATE states (RFC 1939 sections 5 and 6). */
#ifndef SESSION_H
#define SESSION_H

#include "options.h"

/* Serves the session of an authenticated user on descriptors 0 and 1, in the user's home and
 * with the user's rights. It begins with the reply to PASS. Returns the exit status: 0 if the
 * session ended in order, 100 for a wrong configuration, 111 for a fault of the system. */
int session_serve(const struct settings *o);

#endif
