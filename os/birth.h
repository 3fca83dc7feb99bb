/* birth: when a file was made. */
#ifndef BIRTH_H
#define BIRTH_H

#include <time.h>

/* The time at which a file (not what a link leads to) was made, which no program can change and
 * renaming does not. All 0 where it cannot be told: many network file systems do not keep it.
 */
struct timespec birth_of(int directory_fd, const char *name);

#endif
