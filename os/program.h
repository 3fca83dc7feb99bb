/* program: the file that this process runs from. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Writes its path, terminated; after an upgrade that of the file which took its place. Returns
 * false, with errno, where /proc does not tell it or octets are too few. */
bool program_own_path(char *path, size_t octets);

#endif
