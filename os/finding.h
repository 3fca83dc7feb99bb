/* finding: what a check says: a line each, and the worst of them as the exit status. */
#ifndef FINDING_H
#define FINDING_H

#include <stdbool.h>

enum finding { FINDING_OK, FINDING_WARNING, FINDING_WRONG };

/* Writes a line to standard output: "ok", "warning" or "wrong", what it is about, and a text.
 * What is not ok says what to do. All octets but printable ASCII become '?'. */
void finding_put(enum finding finding, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The worst so far. */
enum finding finding_worst(void);

/* Counts what another process has put: one that exited with the worst of its own as status.
 * Returns false if that is no such status. */
bool finding_add_status(int wait_status);

#endif
