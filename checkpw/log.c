/*
 * pwlog.c - one line per event, to standard error unless that is the client's, else to syslog.
 *
 * Which of the two, and how a text from outside is quoted, is decided by log.c, as for pop3d.
 */
#include "checkpw/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"

static bool to_stderr;

void pwlog_open(void)
{
	to_stderr = !log_stderr_is_clients();
	if (!to_stderr)
		openlog("pop3d-checkpw", LOG_PID, LOG_MAIL);
}

void pwlog_close(void)
{
	if (!to_stderr)
		closelog();
}

/* A log that cannot be written is no reason to refuse a login, so failures end here. */
static void write_stderr(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(STDERR_FILENO, text, length);

		if (written <= 0)
			return;
		text += written;
		length -= (size_t)written;
	}
}

void pwlog(int priority, const char *format, ...)
{
	char text[3072], line[sizeof text + 32];
	int saved_errno = errno;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (to_stderr) {
		/* one write a line: lines of several sessions do not mix */
		snprintf(line, sizeof line, "pop3d-checkpw: %s\n", text);
		write_stderr(line, strlen(line));
	} else {
		syslog(priority, "%s", text);
	}
	errno = saved_errno;
}

void pwlog_person(const char *text)
{
	if (to_stderr)
		write_stderr(text, strlen(text));
}

struct pwlog_quoted pwlog_quote(const char *text)
{
	struct pwlog_quoted quoted = {""};

	log_quote(quoted.text, sizeof quoted.text, text, strlen(text));
	return quoted;
}
