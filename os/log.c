/* log: see log.h. */
#include "os/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool use_syslog, show_debug;

bool log_stderr_is_clients(void)
{
	struct stat error, other;

	if (fstat(2, &error) != 0)
		return true;
	if (isatty(2))
		return false;
	for (int fd = 0; fd <= 1; fd++)
		if (fstat(fd, &other) == 0 && other.st_dev == error.st_dev &&
			other.st_ino == error.st_ino)
			return true;
	return false;
}

void log_open(bool force_syslog)
{
	use_syslog = force_syslog || log_stderr_is_clients();
	if (use_syslog)
		openlog("pop3d", LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_show_debug(void)
{
	show_debug = true;
}

bool log_shows_debug(void)
{
	return show_debug;
}

bool log_to_syslog(void)
{
	return use_syslog;
}

/* One write, so that lines of several sessions that share a log do not mix. */
static void write_stderr(const char *line, size_t length)
{
	ssize_t written;

	do
		written = write(2, line, length);
	while (written < 0 && errno == EINTR);
}

void log_event(int priority, const char *format, ...)
{
	char line[LOG_LINE_OCTETS];
	const size_t capacity = sizeof line - 1;
	int start, length;
	size_t total;
	va_list arguments;
	int saved_errno = errno;

	if (priority == LOG_DEBUG && !show_debug)
		return;
	start = use_syslog ? 0 : snprintf(line, capacity, "pop3d[%ld]: ", (long)getpid());
	if (start < 0)
		start = 0;
	va_start(arguments, format);
	length = vsnprintf(line + start, capacity - (size_t)start, format, arguments);
	va_end(arguments);
	total = length < 0 ? 0 : (size_t)start + (size_t)length;
	if (total >= capacity)
		total = capacity - 1;
	if (total > 0 && use_syslog) {
		syslog(priority, "%s", line);
	} else if (total > 0) {
		line[total++] = '\n';
		write_stderr(line, total);
	}
	errno = saved_errno;
}

static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static bool all_plain(const char *octets, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_plain((unsigned char)octets[i]))
			return false;
	return length > 0;
}

const char *log_quote(char *text, size_t capacity, const char *octets, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	const bool plain = all_plain(octets, length);
	const size_t room = capacity - 6; /* two quotes, "..." and the terminator */
	size_t used = 0, i;

	if (!plain)
		text[used++] = '"';
	for (i = 0; i < length && used + 4 <= room; i++) {
		const unsigned char c = (unsigned char)octets[i];

		if (is_plain(c) || c == ' ' || c == '=') {
			text[used++] = (char)c;
		} else {
			text[used++] = '\\';
			text[used++] = 'x';
			text[used++] = hex[c >> 4];
			text[used++] = hex[c & 15];
		}
	}
	if (i < length) {
		memcpy(text + used, "...", 3);
		used += 3;
	}
	if (!plain)
		text[used++] = '"';
	text[used] = '\0';
	return text;
}
