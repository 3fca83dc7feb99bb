/* attempts: what an attacker in a confined process would try. Paths are relative to the
 * current directory, the home of the mail user. */
#ifndef ATTEMPTS_H
#define ATTEMPTS_H

#include <stddef.h>

struct attempt;

/* The attempt of this name; NULL if there is none. */
const struct attempt *attempt_find(const char *name, size_t length);

/* Makes the attempt. Returns 0 if it works, or an errno. Closes whatever it opened. The
 * process may die of it. */
int attempt_make(const struct attempt *a);

#endif
