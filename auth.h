/* auth: the monitor, the process that the superserver started. It serves the logins of one
 * connection. */
#ifndef AUTH_H
#define AUTH_H

#include "options.h"

/* Serves one connection on descriptors 0 and 1: starts the greeter, runs a checker for each
 * login that the greeter asks for, and waits for the session. Returns the exit status for this
 * process: that of the session; 0 if nobody logged in; 100 if the configuration is wrong; 111
 * if the system failed; 128 plus the number of the signal that ended this process. */
int auth_serve(struct settings *o);

#endif
