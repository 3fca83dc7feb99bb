/* list: pop3d-checkpw --list: the logins of the password file. */
#ifndef PWLIST_H
#define PWLIST_H

#include <stdio.h>

#include "checkpw/status.h"

/* Writes a line for each login, in their order: login, kind of hash, uid, gid, home, Maildir,
 * with a tab between two. Lines that no login can use, or that do not count, are logged. */
enum pw_status pwlist_write(const char *path, FILE *to);

#endif
