/* checker_log: logs each line that a checker writes to its standard error. */
#ifndef CHECKER_LOG_H
#define CHECKER_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define CHECKER_LOG_LINE_OCTETS 200
#define CHECKER_LOG_LINES 50

struct checker_log {
	size_t used;
	unsigned lines; /* logged so far; lines after CHECKER_LOG_LINES are dropped */
	char line[CHECKER_LOG_LINE_OCTETS];
};

/* Reads once from fd and logs the complete lines. Returns false when nothing more will come: at
 * the end of the file, and after errors other than EINTR and EAGAIN. */
bool checker_log_read(struct checker_log *r, int fd);

/* For a checker that has ended: reads what is left in fd (-1: nothing) without waiting, and
 * logs the last line even if it has no line end. */
void checker_log_drain(struct checker_log *r, int fd);

#endif
