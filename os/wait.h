/* wait: waiting for descriptors until a deadline. */
#ifndef WAIT_H
#define WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Waits with poll(2) until deadline_ms of clock_now_ms (-1: for ever), and continues after a
 * signal. Returns false after the deadline. */
bool wait_until_ready(struct pollfd *polled, size_t count, int64_t deadline_ms);

#endif
