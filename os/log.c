/* log: see log.h. */
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSLOG_PATH "/dev/log"
#define WAIT_MS 3000 /* for a log that is full */
#define TAIL_OCTETS (LOG_SESSION_OCTETS + LOG_USER_OCTETS + 32)

static bool use_syslog, show_debug;
static bool is_stuck; /* the log took nothing when it was waited for last */
static int syslog_fd = -1;
static const char *program = "pop3d";
static char session[LOG_SESSION_OCTETS + 1], user[LOG_USER_OCTETS];

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

/* The C library's syslog would wait for ever for a daemon that reads nothing. */
static void open_syslog(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSLOG_PATH};

	syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (syslog_fd >= 0 &&
		connect(syslog_fd, (struct sockaddr *)&address, sizeof address) != 0)
		log_close();
}

void log_close(void)
{
	if (syslog_fd >= 0)
		close(syslog_fd);
	syslog_fd = -1;
}

static void open_as_chosen(void)
{
	log_close();
	if (use_syslog)
		open_syslog();
}

void log_open(bool force_syslog)
{
	use_syslog = force_syslog || log_stderr_is_clients();
	open_as_chosen();
}

void log_open_for_person(void)
{
	struct stat st;

	use_syslog = log_stderr_is_clients() && (fstat(2, &st) != 0 || S_ISSOCK(st.st_mode));
	open_as_chosen();
}

void log_set_program(const char *name)
{
	program = name;
}

static bool is_session(const char *id)
{
	const size_t length = strlen(id);

	return length <= LOG_SESSION_OCTETS &&
	       strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz") == length;
}

void log_set_session(const char *id)
{
	if (is_session(id))
		memcpy(session, id, strlen(id) + 1);
}

const char *log_session(void)
{
	return session;
}

void log_set_user(const char *octets, size_t length)
{
	log_quote(user, sizeof user, octets, length);
}

const char *log_user(void)
{
	return user[0] != '\0' ? user : "-";
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

bool log_stderr_is_read(void)
{
	struct stat error;

	/* a device there is the /dev/null that stands for a closed standard error */
	return !use_syslog || (isatty(0) && fstat(2, &error) == 0 && !S_ISCHR(error.st_mode));
}

/* Waits until the descriptor takes something, WAIT_MS at most. After a wait in vain, later
 * lines do not wait at all until one is taken. */
static bool log_takes(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLOUT};
	int ready;

	do
		ready = poll(&polled, 1, is_stuck ? 0 : WAIT_MS);
	while (ready < 0 && errno == EINTR);
	is_stuck = ready == 0;
	return ready > 0;
}

/* One write, so that lines of several sessions that share a log do not mix. */
static void write_stderr(const char *line, size_t length)
{
	ssize_t written;

	if (!log_takes(2))
		return;
	/* another process may have filled the socket meanwhile; send then fails with EAGAIN */
	written = send(2, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (written >= 0 || errno != ENOTSOCK)
		return;
	do
		written = write(2, line, length);
	while (written < 0 && errno == EINTR);
}

static bool send_syslog(const char *line, size_t length)
{
	if (syslog_fd < 0)
		return false;
	if (!log_takes(syslog_fd))
		return true; /* opening the socket again would not help */
	return send(syslog_fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
	       errno == EAGAIN;
}

/* What belongs to every line. */
static size_t put_tail(char *tail, const char *format)
{
	size_t length = 0;

	tail[0] = '\0';
	if (user[0] != '\0' && strstr(format, " user=") == NULL)
		length += (size_t)snprintf(tail, TAIL_OCTETS, " user=%s", user);
	if (session[0] != '\0')
		length += (size_t)snprintf(
			tail + length, TAIL_OCTETS - length, " session=%s", session);
	return length;
}

/* The daemon adds the time and the host. */
static size_t put_head(char *head, size_t capacity, int priority)
{
	int length;

	if (use_syslog)
		length = snprintf(head, capacity, "<%d>%s[%ld]: ", LOG_MAIL | priority, program,
			(long)getpid());
	else
		length = snprintf(head, capacity, "%s[%ld]: ", program, (long)getpid());
	return length < 0 ? 0 : (size_t)length;
}

void log_event(int priority, const char *format, ...)
{
	char line[LOG_LINE_OCTETS], tail[TAIL_OCTETS];
	const int saved_errno = errno;
	size_t tail_octets, room, used;
	va_list arguments;
	int length;

	if (priority == LOG_DEBUG && !show_debug)
		return;
	tail_octets = put_tail(tail, format);
	room = sizeof line - 1 - tail_octets;
	used = put_head(line, room, priority);
	va_start(arguments, format);
	length = vsnprintf(line + used, room - used, format, arguments);
	va_end(arguments);
	used += length < 0 ? 0 : (size_t)length;
	if (used >= room)
		used = room - 1;
	memcpy(line + used, tail, tail_octets);
	used += tail_octets;
	if (!use_syslog) {
		line[used++] = '\n';
		write_stderr(line, used);
	} else if (!send_syslog(line, used)) {
		log_close();
		open_syslog();
		send_syslog(line, used);
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
