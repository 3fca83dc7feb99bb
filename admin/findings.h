/* findings: what a check says: a line each, and the worst of them as the exit status. */
#ifndef FINDINGS_H
#define FINDINGS_H

enum finding { FINDING_OK, FINDING_WARNING, FINDING_WRONG };

/* Writes a line: "ok", "warning" or "wrong", what it is about, and a text. What is not ok says
 * what to do. Octets that do not print become '?'. */
void finding_put(enum finding finding, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The worst so far. */
enum finding findings_worst(void);

#endif
