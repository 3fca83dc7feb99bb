/* landlock: which files a process may touch, by Landlock (landlock(7)). */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include "confine/confine.h"

/* Lets this process see nothing but the places (count of them), for ever; scoped is a set of
 * LANDLOCK_SCOPE_... of kernel.h. Where the kernel has no Landlock, or none that lets files
 * move between directories (ABI 2) and there are places, or where a file system cannot be
 * ruled, nothing happens but a line in the log with --debug: the rest of the confinement has to
 * do. */
void landlock_restrict(unsigned scoped, const struct confine_place *places, size_t count);

#endif
