/* identity: who a process that reads from strangers is, and what it sees as the root. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/* Gives up what the process that reads from strangers does not need: an empty root directory
 * and the identity uid:gid without further groups, where the process may do that (it is root).
 * Standard error becomes /dev/null unless keep_stderr is set. Returns false with errno where
 * root could not give up its identity; a root directory that could not be changed for want of
 * CAP_SYS_CHROOT is no error. */
bool identity_drop(uid_t uid, gid_t gid, bool keep_stderr);

/* Removes the directory that the process pid, killed in the middle of identity_drop, may have
 * left. For a process with the privileges that that one had. */
void identity_clean(pid_t pid);

#endif
