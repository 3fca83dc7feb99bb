/* watch: finds out whether the session still does something, by its processor time. A session
 * that reads or writes uses some. A session that is stopped, or waits for a file server, uses
 * none. */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* The longest time without use of the processor for a session whose client has gone. */
#define WATCH_GONE_MS 60000

/* A session ends itself after the idle time-out. It is stuck if it has not done so after this
 * much more. */
#define WATCH_SLACK_MS 10000

struct watch {
	bool runs;
	bool client_gone;
	clockid_t clock;  /* of the session's processor time */
	int64_t idle_ms;  /* -1: a session without an idle time-out */
	int64_t used_ns;  /* its processor time at the last look */
	int64_t moved_ms; /* the time of the last look that found that it had used some */
};

enum watch_finding {
	WATCH_GOOD,
	WATCH_CLIENT_GONE, /* no processor time for too long, and the client has gone */
	WATCH_STALLED,     /* no processor time for longer than the session may be idle */
};

/* Begins to watch the process. If the kernel does not tell its processor time, watch_look
 * always returns WATCH_GOOD. idle_ms is the session's own idle time-out, or -1. */
void watch_start(struct watch *w, pid_t session, int64_t idle_ms);

/* Notes that the client has closed its side of the connection. */
void watch_lose_client(struct watch *w);

/* When to look next, of clock_now_ms; -1: never. */
int64_t watch_next_ms(const struct watch *w);

/* Reads the processor time of the session, and judges. */
enum watch_finding watch_look(struct watch *w);

/* Whether the session has used processor time since the last look of either kind. False where
 * the kernel does not tell. */
bool watch_has_moved(struct watch *w);

#endif
