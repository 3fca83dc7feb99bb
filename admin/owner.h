/* owner: the rights with which root looks at somebody's mail. */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* As root, becomes that user, with that group and no other. Another user stays what it is.
 * Returns false with errno. */
bool owner_become(uid_t uid, gid_t gid);

/* Makes the directory the current one, and as root becomes its owner, with its group: the
 * mail's owner chooses what lies in a Maildir, links to other places among it, and can put
 * another directory or a link in its place at any time. So the caller must use "." from then
 * on, and not the path. A directory of root leaves root what it is. Returns false with errno.
 */
bool owner_enter(const char *path);

#endif
