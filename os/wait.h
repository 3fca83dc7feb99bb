/* wait: waiting for descriptors until a deadline. */
#ifndef WAIT_H
#define WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* poll(2) until deadline_ms of clock_now_ms (-1: for ever); interrupted waits go on. Returns
 * false when the time is over. */
bool wait_until_ready(struct pollfd *polled, size_t count, int64_t deadline_ms);

#endif
