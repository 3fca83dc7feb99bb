/* uids_write: see uids.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/uids.h"
#include "os/directory.h"
#include "os/file.h"

#define TEMPORARY_PREFIX UIDS_NAME ".tmp"

/* One name serves several processes: who comes second takes another number. */
#define TEMPORARIES 8

/* Nobody writes such a file for so long. */
#define WRITER_SECONDS 600

static bool flush(struct uids_writer *w)
{
	if (!file_write(w->fd, w->buffer, w->used))
		return false;
	w->used = 0;
	return true;
}

static bool put(struct uids_writer *w, const char *octets, size_t length)
{
	if (length > sizeof w->buffer - w->used && !flush(w))
		return false;
	memcpy(w->buffer + w->used, octets, length);
	w->used += length;
	return true;
}

/* Escapes what would not be one word of printable ASCII. Returns the length. */
static size_t escape(char *to, const char *octets, size_t length)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t at = 0;

	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)octets[i];

		if (c > ' ' && c < 0x7f && c != '%') {
			to[at++] = (char)c;
			continue;
		}
		to[at++] = '%';
		to[at++] = hex[c >> 4];
		to[at++] = hex[c & 15];
	}
	return at;
}

/* What a writer that died has left. */
static void remove_stale(int directory_fd, const char *name)
{
	struct stat st;

	if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		st.st_mtime < time(NULL) - WRITER_SECONDS)
		unlinkat(directory_fd, name, 0);
}

static bool create(struct uids_writer *w)
{
	w->fd = -1;
	for (unsigned i = 0; i < TEMPORARIES && w->fd < 0; i++) {
		snprintf(w->temporary, sizeof w->temporary, TEMPORARY_PREFIX "%u", i);
		remove_stale(w->directory_fd, w->temporary);
		w->fd = openat(w->directory_fd, w->temporary,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (w->fd < 0 && errno != EEXIST)
			return false;
	}
	return w->fd >= 0;
}

bool uids_begin(
	struct uids_writer *w, int directory_fd, const char *kind, uint64_t record_count)
{
	char line[NUMBER_DIGITS + 3 * FOREIGN_KIND_OCTETS + 2], sum[UIDS_SUM_DIGITS];
	size_t octets;

	*w = (struct uids_writer){.directory_fd = directory_fd};
	errno = EINVAL;
	if (strlen(kind) > FOREIGN_KIND_OCTETS || !create(w))
		return false;
	octets = number_write(line, record_count);
	line[octets++] = ' ';
	octets += escape(line + octets, kind, strlen(kind));
	number_write_all_hex(sum, uids_sum(line, octets));
	line[octets++] = '\n';
	/* the buffer is empty: this cannot fail */
	put(w, UIDS_MAGIC, sizeof UIDS_MAGIC - 1);
	put(w, sum, sizeof sum);
	put(w, " ", 1);
	return put(w, line, octets);
}

bool uids_put(struct uids_writer *w, const char *uid, size_t uid_octets, const char *unique,
	size_t octets)
{
	char line[UIDS_LINE_OCTETS];
	const size_t start = UIDS_SUM_DIGITS + 1;
	size_t at = start;

	at += escape(line + at, uid, uid_octets);
	line[at++] = ' ';
	at += escape(line + at, unique, octets);
	number_write_all_hex(line, uids_sum(line + start, at - start));
	line[start - 1] = ' ';
	line[at++] = '\n';
	if (put(w, line, at))
		return true;
	uids_abandon(w);
	return false;
}

void uids_abandon(struct uids_writer *w)
{
	const int error_number = errno;

	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	unlinkat(w->directory_fd, w->temporary, 0);
	errno = error_number;
}

static bool give_name(const struct uids_writer *w, bool replace)
{
	const int directory_fd = w->directory_fd;

	if (replace)
		return renameat(directory_fd, w->temporary, directory_fd, UIDS_NAME) == 0;
	return directory_rename(directory_fd, w->temporary, directory_fd, UIDS_NAME);
}

bool uids_end(struct uids_writer *w, bool replace)
{
	const int fd = w->fd;
	bool good = flush(w) && fsync(fd) == 0;

	w->fd = -1;
	if (close(fd) != 0 || !good || !give_name(w, replace)) {
		uids_abandon(w);
		return false;
	}
	return fsync(w->directory_fd) == 0;
}
