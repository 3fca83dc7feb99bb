/* clock: see clock.h. */
#include "os/clock.h"

#include <limits.h>
#include <time.h>

int64_t clock_now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		return 0;
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int clock_poll_timeout(int64_t deadline_ms)
{
	int64_t left_ms;

	if (deadline_ms < 0)
		return -1;
	left_ms = deadline_ms - clock_now_ms();
	if (left_ms <= 0)
		return 0;
	/* one millisecond more: a wait that is rounded down would spin at its end */
	return left_ms >= INT_MAX ? INT_MAX : (int)left_ms + 1;
}
