/* name: logins, and paths that are made of them. Pure. */
#ifndef PWNAME_H
#define PWNAME_H

#include <stdbool.h>
#include <stddef.h>

/* Is there a control character among the octets? */
bool pwname_has_control(const char *text, size_t length);

/* Copies login, with A to Z made a to z if fold is set, and with @DOMAIN after it if it has no
 * @ and default_domain is not NULL. False where size is too small; name is terminated all the
 * same. */
bool pwname_make(
	const char *login, bool fold, const char *default_domain, char *name, size_t size);

/* Does the pattern have something to be replaced? */
bool pwname_is_pattern(const char *pattern);

/* Copies pattern with the name for %u, what is before its first @ for %n, what is after it for
 * %d, and a percent sign for %%; any other percent sign stands for itself. Returns NULL, or
 * what is wrong: a part that is used is empty, "." or "..", or has a slash; or size is too
 * small. path is terminated all the same. */
const char *pwname_expand(const char *pattern, const char *name, char *path, size_t size);

#endif
