/* make: pop3d-checkpw --hash: makes what goes into the password file. */
#ifndef PWMAKE_H
#define PWMAKE_H

#include "checkpw/status.h"

/* Asks for a password and prints its hash, or with a login (else NULL) the whole line of the
 * password file. Returns the exit status. */
enum pw_status pwmake_entry(const char *login);

#endif
