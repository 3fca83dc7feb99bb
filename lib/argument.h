/* argument: values of options: numbers and users. */
#ifndef ARGUMENT_H
#define ARGUMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a decimal number from least to most. Returns false for anything else. */
bool argument_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);

/* Reads seconds likewise. */
bool argument_seconds(const char *text, uint64_t least, uint64_t most, int64_t *seconds);

/* Reads UID or UID:GID, both numbers. Without a GID, *gid is the number of the UID. Returns
 * false for anything else, and for root. */
bool argument_user(const char *text, uid_t *uid, gid_t *gid);

#endif
