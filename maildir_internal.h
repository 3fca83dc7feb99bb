/* maildir_internal: what maildir.c and update.c share. */
#ifndef MAILDIR_INTERNAL_H
#define MAILDIR_INTERNAL_H

#include "maildir.h"

/* The file that Maildir++ keeps the quota in. */
#define QUOTA_NAME "maildirsize"

/* Takes a file of a directory; false with errno ends the reading. */
typedef bool maildir_take(
	struct maildir *m, void *context, enum place place, const char *name, size_t octets);

/* Has take called for every regular file of new/ or cur/ whose name does not begin with a dot.
 * Returns false with errno. */
bool maildir_read_place(struct maildir *m, enum place place, maildir_take *take, void *context);

/* Whether the name of a message is still that of its file, as far as that is known: where
 * several files bear one unique name, another of them may have got it. False with errno ENOENT.
 */
bool maildir_is_still(const struct maildir *m, const struct message *message);

/* After a call on the file called name failed with errno: true if the message may have another
 * name by now (ENOENT, ESTALE), and has one. If anything changed since the last look, one pass
 * over both directories gives every message of the snapshot its present name. errno is kept. */
bool maildir_moved(struct maildir *m, const struct message *message, const char *name);

/* How often a message is looked for again before it counts as gone. */
#define MAILDIR_TRIES 4

#endif
