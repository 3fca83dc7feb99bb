/* argument: what the options of pop3d and pop3d-tls have in common: numbers and users. */
#ifndef ARGUMENT_H
#define ARGUMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a decimal number from least to most. Returns false if it is none. */
bool argument_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);

/* Reads seconds likewise. */
bool argument_seconds(const char *text, uint64_t least, uint64_t most, int64_t *seconds);

/* Reads UID or UID:GID, both numbers; without GID it is the same as UID. Returns false for
 * anything else and for root. */
bool argument_user(const char *text, uid_t *uid, gid_t *gid);

#endif
