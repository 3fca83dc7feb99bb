/* clock: time that nobody can set back. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock, for deadlines and durations. Cannot fail: every kernel
 * that runs this program has CLOCK_MONOTONIC. */
int64_t clock_now_ms(void);

/* The time-out for a poll(2) that ends at deadline_ms: 0 after the deadline, at most INT_MAX,
 * and -1 (no limit) for a negative deadline. */
int clock_poll_timeout(int64_t deadline_ms);

#endif
