/* clock: time that no administrator sets back. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock, for deadlines and durations only; never fails (a kernel
 * without CLOCK_MONOTONIC does not run this program). */
int64_t clock_now_ms(void);

/* The argument for poll(2) that ends at deadline_ms: 0 when it has passed, at most INT_MAX, and
 * -1 (no limit) for deadline_ms < 0. */
int clock_poll_timeout(int64_t deadline_ms);

#endif
