/* session: the TRANSACTION and UPDATE states (RFC 1939 sections 5 and 6). */
#ifndef SESSION_H
#define SESSION_H

#include "options.h"

/* Serves the session of an authenticated user on descriptors 0 and 1, in the user's home and
 * with the user's rights, from the reply that PASS waits for to the end. Returns the exit
 * status: 0 when it ended in order, 100 when it is configured wrongly, 111 for a fault of the
 * system. */
int session_serve(const struct settings *o);

#endif
