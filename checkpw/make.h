/* make: pop3d-checkpw --hash and --set: make what goes into the password file. */
#ifndef PWMAKE_H
#define PWMAKE_H

#include "checkpw/options.h"
#include "checkpw/status.h"

/* Asks for a password and prints its hash, or with a login (else NULL) the whole line of the
 * password file. Returns the exit status. */
enum pw_status pwmake_entry(const char *login);

/* Asks for a password and gives the login a line with its hash in the password file. Returns
 * the exit status. */
enum pw_status pwmake_set(const struct pw_options *options, const char *login);

#endif
