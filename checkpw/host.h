/* host: the accounts of this host, which only pop3d-checkpw-host can look up.
 *
 * pop3d-checkpw itself is linked statically where that is possible, so that it starts fast. The
 * name service and PAM load libraries, so they are in a second, dynamic program of the same
 * sources, compiled with WITH_HOST. The first one runs the second in its own place. */
#ifndef PWHOST_H
#define PWHOST_H

#include <stdbool.h>

#include "checkpw/status.h"
#include "checkpw/user.h"

/* Is this the program that can? Otherwise only pwhost_take_over works. */
extern const bool pwhost_is_here;

/* Runs pop3d-checkpw-host, from the directory of this program, with the same command line and
 * descriptors. Returns only if that fails, with the status; logged. */
enum pw_status pwhost_take_over(char **argv);

/* Looks an account up and fills all of user but its name. PW_REFUSED: there is none;
 * PW_TEMPORARY: see errno; PW_MISCONFIGURED: its home or shell is too long. */
enum pw_status pwhost_find(const char *name, struct pw_user *user);

/* The same for the user who runs this. */
enum pw_status pwhost_find_self(struct pw_user *user);

/* Writes the groups of an account, gid among them, to ids, where *count says how many fit, and
 * how many there are to *count. False if there are more. */
bool pwhost_groups(const char *name, gid_t gid, gid_t *ids, int *count);

#endif
