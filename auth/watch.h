/* watch: whether the session that runs still does something. Looks at the processor time that
 * it uses: whatever it reads, sends or writes costs some, and what is stopped or waits for a
 * file server uses none. */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* A session whose client is gone may use no processor time for at most so long. */
#define WATCH_GONE_MS 60000

/* A session ends by itself after the idle time-out; this comes on top. */
#define WATCH_SLACK_MS 10000

struct watch {
	bool runs;
	bool client_gone;
	clockid_t clock;  /* of the session's processor time */
	int64_t idle_ms;  /* -1: a session without an idle time-out */
	int64_t used_ns;  /* processor time when it was looked at */
	int64_t moved_ms; /* when it was seen to have used some */
};

enum watch_finding {
	WATCH_GOOD,
	WATCH_CLIENT_GONE, /* no client, and no processor time since */
	WATCH_STALLED,     /* no processor time for longer than it may be idle */
};

/* Begins to watch the process. Where the kernel does not tell its processor time nothing is
 * ever found. idle_ms is the session's own idle time-out, or -1. */
void watch_start(struct watch *w, pid_t session, int64_t idle_ms);

/* The client has closed its side of the connection. */
void watch_lose_client(struct watch *w);

/* When to look next, of clock_now_ms; -1: never. */
int64_t watch_next_ms(const struct watch *w);

/* Looks. */
enum watch_finding watch_look(struct watch *w);

/* Whether the session has used processor time since the last look of either kind. False where
 * the kernel does not tell. */
bool watch_has_moved(struct watch *w);

#endif
