/* watch: see watch.h. Keeps the launch privileges, or what confine_monitor left of them. */
#include "auth/watch.h"

#include "os/clock.h"

#define LOOKS 4 /* during the longest time without use of the processor */

static bool read_used(const struct watch *w, int64_t *used_ns)
{
	struct timespec used;

	if (clock_gettime(w->clock, &used) != 0)
		return false;
	*used_ns = (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
	return true;
}

void watch_start(struct watch *w, pid_t session, int64_t idle_ms)
{
	*w = (struct watch){.idle_ms = idle_ms, .moved_ms = clock_now_ms()};
	w->runs = clock_getcpuclockid(session, &w->clock) == 0 && read_used(w, &w->used_ns);
}

void watch_lose_client(struct watch *w)
{
	w->client_gone = true;
}

/* How long the session may use no processor time; -1: as long as it likes. */
static int64_t limit_ms(const struct watch *w)
{
	if (w->client_gone)
		return w->idle_ms >= 0 && w->idle_ms < WATCH_GONE_MS ? w->idle_ms
								     : WATCH_GONE_MS;
	return w->idle_ms >= 0 ? w->idle_ms + WATCH_SLACK_MS : -1;
}

int64_t watch_next_ms(const struct watch *w)
{
	const int64_t limit = limit_ms(w);

	return w->runs && limit >= 0 ? clock_now_ms() + limit / LOOKS + 1 : -1;
}

static bool take_used(struct watch *w, int64_t used_ns)
{
	if (used_ns == w->used_ns)
		return false;
	w->used_ns = used_ns;
	w->moved_ms = clock_now_ms();
	return true;
}

bool watch_has_moved(struct watch *w)
{
	int64_t used_ns;

	return w->runs && read_used(w, &used_ns) && take_used(w, used_ns);
}

enum watch_finding watch_look(struct watch *w)
{
	const int64_t limit = limit_ms(w);
	int64_t used_ns;

	if (!w->runs || limit < 0 || !read_used(w, &used_ns))
		return WATCH_GOOD;
	if (take_used(w, used_ns) || clock_now_ms() - w->moved_ms < limit)
		return WATCH_GOOD;
	return w->client_gone ? WATCH_CLIENT_GONE : WATCH_STALLED;
}
