/* wait: see wait.h. */
#include "os/wait.h"

#include <errno.h>
#include <time.h>

#include "os/clock.h"

bool wait_until_ready(struct pollfd *polled, size_t count, int64_t deadline_ms)
{
	for (;;) {
		const int64_t left_ms = deadline_ms < 0 ? 0 : deadline_ms - clock_now_ms();
		const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000),
			.tv_nsec = (long)(left_ms % 1000 * 1000000)};
		int ready;

		if (left_ms < 0)
			return false;
		ready = ppoll(polled, count, deadline_ms < 0 ? NULL : &left, NULL);
		if (ready > 0 || (ready < 0 && errno != EINTR))
			return ready > 0;
		if (ready == 0)
			return false;
	}
}
