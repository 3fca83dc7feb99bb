/* owner: the rights with which root looks at somebody's mail. */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>

/* As root, becomes the owner of the directory, with its group and no other: the mail's owner
 * chooses what lies in a Maildir, links to other places among it. Another user stays what it
 * is. Returns false with errno. */
bool owner_become(const char *path);

#endif
