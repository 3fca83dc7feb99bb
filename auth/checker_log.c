/* checker_log: see checker_log.h. Runs with the launch privileges, on octets that the checker
 * wrote. */
#include "auth/checker_log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"

static void log_line(struct checker_log *r, size_t start, size_t end)
{
	char quoted[4 * CHECKER_LOG_LINE_OCTETS + 8];

	if (end <= start || r->lines > CHECKER_LOG_LINES)
		return;
	if (r->lines++ == CHECKER_LOG_LINES)
		log_event(LOG_WARNING, "checker-says-too-much lines=%d", CHECKER_LOG_LINES);
	else
		log_event(LOG_WARNING, "checker-says text=%s",
			log_quote(quoted, sizeof quoted, r->line + start, end - start));
}

bool checker_log_read(struct checker_log *r, int fd)
{
	const ssize_t length = read(fd, r->line + r->used, sizeof r->line - r->used);
	size_t start = 0;

	if (length <= 0)
		return length < 0 && (errno == EINTR || errno == EAGAIN);
	r->used += (size_t)length;
	for (size_t i = 0; i < r->used; i++)
		if (r->line[i] == '\n') {
			log_line(r, start, i);
			start = i + 1;
		}
	if (start == 0 && r->used == sizeof r->line) {
		log_line(r, 0, r->used);
		start = r->used;
	}
	memmove(r->line, r->line + start, r->used - start);
	r->used -= start;
	return true;
}

void checker_log_drain(struct checker_log *r, int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};

	/* bounded, because a process that the checker started may write for ever */
	for (int i = 0;
		fd >= 0 && i < 1024 && poll(&polled, 1, 0) == 1 && checker_log_read(r, fd); i++)
		;
	log_line(r, 0, r->used);
}
