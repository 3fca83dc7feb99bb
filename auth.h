/* auth: the process that the superserver started and counts: the logins of one connection. */
#ifndef AUTH_H
#define AUTH_H

#include "options.h"

/* Serves one connection on descriptors 0 and 1: starts the greeter, runs a checker for each
 * login that it asks for, waits for the session. Returns the exit status of the process: the
 * session's; 0 without one; 100 and 111 for faults of the configuration and the system; 128 and
 * a signal's number when that ended it. */
int auth_serve(struct settings *o);

#endif
