/* file: reads the password file of pop3d-checkpw.
 *
 * RUNS AS ROOT. The file is the administrator's: it is trusted to say who is who once its owner
 * and mode say that nobody else wrote it, but not to be free of mistakes. A bad line costs its
 * own user the login and nobody else. The whole file is read at every login, so that neither
 * the place of an entry nor its absence shows in the time taken. */
#include "checkpw/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpw/quote.h"
#include "os/log.h"

#define BAD_LINES_LOGGED 8

struct line_reader {
	int fd;
	unsigned long number; /* of the line returned last */
	size_t start, end;    /* what of data is not consumed yet */
	bool at_eof;
	char data[PWFILE_LINE_MAX + 1]; /* with room for the newline */
};

enum line_kind { LINE_WHOLE, LINE_TOO_LONG, LINE_END, LINE_ERROR };

/* Reads more octets after those that are left over. */
static bool fill_reader(struct line_reader *reader)
{
	ssize_t got;

	memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	do
		got = read(reader->fd, reader->data + reader->end,
			sizeof reader->data - reader->end);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	reader->at_eof = got == 0;
	reader->end += (size_t)got;
	return true;
}

/* The next line without its newline. One that does not fit is consumed to its end, never cut.
 */
static enum line_kind next_line(struct line_reader *reader, char **line, size_t *length)
{
	enum line_kind kind = LINE_WHOLE;

	for (;;) {
		char *begin = reader->data + reader->start;
		size_t left = reader->end - reader->start;
		char *newline = memchr(begin, '\n', left);

		if (newline == NULL && !reader->at_eof) {
			if (left == sizeof reader->data) {
				kind = LINE_TOO_LONG;
				reader->start = reader->end;
			}
			if (!fill_reader(reader))
				return LINE_ERROR;
			continue;
		}
		if (newline == NULL && left == 0 && kind == LINE_WHOLE)
			return LINE_END;
		*line = begin;
		*length = newline != NULL ? (size_t)(newline - begin) : left;
		reader->start += *length + (newline != NULL);
		reader->number++;
		return kind;
	}
}

enum pw_status pwfile_unusable(const char *path, const char *problem, enum pw_status status)
{
	log_event(LOG_ERR, "checkpw-file-unusable file=%s problem=\"%s\"", quote(path).text,
		problem);
	return status;
}

void pwfile_log_ignored(const char *path, unsigned long line, const char *problem)
{
	log_event(LOG_WARNING, "checkpw-line-ignored file=%s line=%lu problem=\"%s\"",
		quote(path).text, line, problem);
}

void pwfile_log_replaced(
	const char *path, const char *login, unsigned long line, unsigned long later)
{
	log_event(LOG_WARNING, "checkpw-line-replaced file=%s line=%lu by=%lu user=%s",
		quote(path).text, line, later, quote(login).text);
}

/* The last entry of a login counts, as new ones are appended; but a locked one locks the login
 * wherever it is. */
static enum pw_status scan_lines(struct line_reader *reader, const char *path,
	const char *login, struct pwfile_found *found)
{
	static struct pwfile_entry entry;
	unsigned long bad_lines = 0;
	unsigned long found_in = 0;
	bool is_locked = false;
	enum line_kind kind;
	size_t length;
	char *line;

	while ((kind = next_line(reader, &line, &length)) <= LINE_TOO_LONG) {
		const char *why = "it is too long";
		enum pwfile_line parsed = PWFILE_BAD;

		if (kind == LINE_WHOLE)
			parsed = pwfile_parse(line, length, &entry, &why);
		if (parsed == PWFILE_BAD && ++bad_lines <= BAD_LINES_LOGGED)
			pwfile_log_ignored(path, reader->number, why);
		if (parsed != PWFILE_ENTRY && parsed != PWFILE_LOCKED)
			continue;
		if (parsed == PWFILE_ENTRY && found->any_hash[0] == '\0')
			memcpy(found->any_hash, entry.hash, sizeof entry.hash);
		if (is_locked || strcmp(entry.user.name, login) != 0)
			continue;
		is_locked = parsed == PWFILE_LOCKED;
		if (found_in != 0)
			pwfile_log_replaced(path, login, found_in, reader->number);
		found_in = reader->number;
		found->known = parsed == PWFILE_ENTRY;
		found->entry = entry;
	}
	explicit_bzero(&entry, sizeof entry);
	if (bad_lines > BAD_LINES_LOGGED)
		log_event(LOG_WARNING, "checkpw-lines-ignored file=%s lines=%lu",
			quote(path).text, bad_lines);
	if (kind == LINE_END)
		return PW_OK;
	return pwfile_unusable(path, strerror(errno), PW_TEMPORARY);
}

static bool lasts(int error)
{
	return error != EINTR && error != EMFILE && error != ENFILE && error != ENOMEM &&
	       error != EIO && error != ESTALE && error != EAGAIN;
}

const char *pwfile_why_unsafe(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to neither root nor the user that runs this";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "its group or others can write it";
	return NULL;
}

/* Hashes can be guessed at leisure by whoever can read them. A group may have been made for it.
 */
static void warn_of_readers(const char *path, const struct stat *st)
{
	if ((st->st_mode & S_IROTH) != 0)
		log_event(LOG_WARNING,
			"checkpw-file-readable file=%s problem=\"every user can read the "
			"hashes\" "
			"help=\"chmod o-r\"",
			quote(path).text);
}

/* O_NONBLOCK: a fifo in place of the file must not hang the login. */
static enum pw_status open_file(const char *path, int *fd)
{
	struct stat st;
	const char *why;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0)
		return pwfile_unusable(
			path, strerror(errno), lasts(errno) ? PW_MISCONFIGURED : PW_TEMPORARY);
	why = fstat(*fd, &st) == 0 ? pwfile_why_unsafe(&st) : strerror(errno);
	if (why == NULL) {
		warn_of_readers(path, &st);
		return PW_OK;
	}
	close(*fd);
	return pwfile_unusable(path, why, PW_MISCONFIGURED);
}

enum pw_status pwfile_find(const char *path, const char *login, struct pwfile_found *found)
{
	static struct line_reader reader;
	enum pw_status status;

	explicit_bzero(found, sizeof *found);
	explicit_bzero(&reader, sizeof reader);
	status = open_file(path, &reader.fd);
	if (status != PW_OK)
		return status;
	status = scan_lines(&reader, path, login, found);
	close(reader.fd);
	explicit_bzero(&reader, sizeof reader);
	return status;
}
