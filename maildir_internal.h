/* maildir_internal: what maildir.c and update.c share. */
#ifndef MAILDIR_INTERNAL_H
#define MAILDIR_INTERNAL_H

#include "maildir.h"

/* The file that Maildir++ keeps the quota in. */
#define QUOTA_NAME "maildirsize"

/* After a call on the file called name failed with errno: true if the message may have another
 * name by now (ENOENT, ESTALE), and has one. If anything changed since the last look, one pass
 * over both directories gives every message of the snapshot its present name. errno is kept. */
bool maildir_moved(struct maildir *m, const struct message *message, const char *name);

/* How often a message is looked for again before it counts as gone. */
#define MAILDIR_TRIES 4

#endif
