/* edit: see edit.h.
 *
 * For administrators: no login runs anything of this. The lines that are not changed are copied
 * as they are, also comments and lines that no login can use. */
#include "checkpw/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpw/entry.h"
#include "checkpw/file.h"
#include "checkpw/quote.h"
#include "checkpw/text.h"
#include "os/log.h"

/* The lines of a login: where the last one begins, and how many there are. */
struct pwlines {
	size_t count, last_at, last_length; /* without the end of the line */
};

/* Is this a line of the login, whatever stands after it? */
static bool is_line_of(const char *line, size_t length, const char *login)
{
	const size_t login_length = strlen(login);

	return length > login_length && memcmp(line, login, login_length) == 0 &&
	       line[login_length] == ':';
}

static struct pwlines find_lines(const struct pwtext *text, const char *login)
{
	struct pwlines found = {0, 0, 0};

	for (size_t at = 0; at < text->length;) {
		const size_t length = pwtext_line_length(text->octets + at, text->length - at);

		if (is_line_of(text->octets + at, length, login)) {
			found.count++;
			found.last_at = at;
			found.last_length = length;
		}
		at += length + 1;
	}
	return found;
}

/* The place of a field in a line, by its number; as many colons stop before it. */
static bool find_field(
	const char *line, size_t length, unsigned number, size_t *start, size_t *end)
{
	*start = 0;
	for (; number > 0; number--) {
		const char *const colon = memchr(line + *start, ':', length - *start);

		if (colon == NULL)
			return false;
		*start = (size_t)(colon - line) + 1;
	}
	*end = *start + strcspn(line + *start, ":");
	return true;
}

static bool replace_field(char *line, size_t size, unsigned number, const char *value)
{
	const size_t length = strlen(line);
	const size_t value_length = value != NULL ? strlen(value) : 0;
	size_t start, end;

	if (value == NULL)
		return true;
	if (!find_field(line, length, number, &start, &end) ||
		length - (end - start) + value_length >= size)
		return false;
	memmove(line + start + value_length, line + end, length - end + 1);
	memcpy(line + start, value, value_length);
	return true;
}

static unsigned count_colons(const char *line)
{
	unsigned count = 0;

	for (; *line != '\0'; line++)
		count += *line == ':';
	return count;
}

/* Would a login find what was asked for in it? Otherwise says why not. */
static const char *judge_line(const char *line)
{
	static struct pwfile_entry entry;
	const char *why;
	const enum pwfile_line kind = pwfile_parse_copy(line, strlen(line), &entry, &why);

	explicit_bzero(&entry, sizeof entry);
	return kind == PWFILE_ENTRY ? NULL : why;
}

/* Writes the line that the login is to have, terminated, without its end. Returns NULL, or what
 * is wrong. */
static const char *make_line(const struct pwtext *text, const struct pwlines *found,
	const struct pwedit_line *wanted, char *line, size_t size)
{
	unsigned home_field;
	size_t length;

	if (found->count == 0) {
		if (wanted->uid == NULL || wanted->gid == NULL || wanted->home == NULL)
			return "it is new, and has neither --as nor --home";
		if ((size_t)snprintf(line, size, "%s:%s:%s:%s:%s", wanted->login, wanted->hash,
			    wanted->uid, wanted->gid, wanted->home) >= size)
			return "the line would be too long";
		return judge_line(line);
	}
	length = found->last_length;
	if (length > 0 && text->octets[found->last_at + length - 1] == '\r')
		length--;
	if (length >= size)
		return "its line is too long";
	memcpy(line, text->octets + found->last_at, length);
	line[length] = '\0';
	home_field = count_colons(line) >= 6 ? 5 : 4;
	if (!replace_field(line, size, home_field, wanted->home) ||
		!replace_field(line, size, 3, wanted->gid) ||
		!replace_field(line, size, 2, wanted->uid) ||
		!replace_field(line, size, 1, wanted->hash))
		return "its line has too few fields, or would be too long";
	return judge_line(line);
}

struct change {
	const char *login;
	struct pwlines found;
	const char *line; /* in place of the last one of the login, or at the end; or NULL */
};

static bool put(FILE *to, const char *octets, size_t length)
{
	return fwrite(octets, 1, length, to) == length;
}

static bool put_line(FILE *to, const char *octets, size_t length, bool has_cr)
{
	return put(to, octets, length) && put(to, has_cr ? "\r\n" : "\n", has_cr ? 2 : 1);
}

/* All lines but those of the login, and the new one. A last line without an end gets one. */
static bool put_changed(FILE *to, const struct pwtext *text, const struct change *change)
{
	const size_t new_length = change->line != NULL ? strlen(change->line) : 0;
	bool has_cr = false, is_put = true;

	for (size_t at = 0; is_put && at < text->length;) {
		const char *const line = text->octets + at;
		const size_t length = pwtext_line_length(line, text->length - at);

		has_cr = length > 0 && line[length - 1] == '\r';
		if (!is_line_of(line, length, change->login))
			is_put = put_line(to, line, length, false);
		else if (change->line != NULL && at == change->found.last_at)
			is_put = put_line(to, change->line, new_length, has_cr);
		at += length + 1;
	}
	if (is_put && change->line != NULL && change->found.count == 0)
		is_put = put_line(to, change->line, new_length, has_cr);
	return is_put;
}

/* Owner first: changing it takes away bits of the mode. */
static bool put_file(int fd, const struct pwtext *text, const struct change *change)
{
	FILE *to = fdopen(fd, "w");
	bool is_put;

	if (to == NULL) {
		close(fd);
		return false;
	}
	is_put = fchown(fd, text->st.st_uid, text->st.st_gid) == 0 &&
		 fchmod(fd, text->st.st_mode & 07777) == 0 && put_changed(to, text, change) &&
		 fflush(to) == 0 && fsync(fd) == 0;
	return fclose(to) == 0 && is_put;
}

static bool sync_directory(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const bool is_synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return is_synced;
}

static enum pw_status replace_file(const struct pwtext *text, const struct change *change)
{
	static char path[PATH_MAX + 32];
	const int length = snprintf(path, sizeof path, "%s.new.XXXXXX", text->path);
	sigset_t all, saved;
	bool is_done = false;
	int fd = -1, error;

	/* a signal must not leave half of a file with hashes beside the real one */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved);
	signal(SIGXFSZ, SIG_IGN); /* a limit is an error of write(2) like any other */
	if (length > 0 && (size_t)length < sizeof path)
		fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0) {
		is_done = put_file(fd, text, change) && rename(path, text->path) == 0;
		error = errno;
		if (!is_done)
			unlink(path);
		errno = error;
	}
	is_done = is_done && sync_directory(text->directory);
	error = errno;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	errno = error;
	return is_done ? PW_OK : pwtext_failed(text->path);
}

static enum pw_status refuse(const char *path, const char *login, const char *problem)
{
	log_event(LOG_ERR, "checkpw-not-changed file=%s user=%s problem=\"%s\"",
		quote(path).text, quote(login).text, problem);
	return PW_REFUSED;
}

/* wanted is NULL for --delete. */
static enum pw_status change_text(
	const struct pwtext *text, const char *login, const struct pwedit_line *wanted)
{
	static char line[PWFILE_LINE_MAX + 2];
	struct change change = {.login = login, .found = find_lines(text, login)};
	const char *problem = NULL;
	enum pw_status status;

	if (wanted == NULL && change.found.count == 0)
		return refuse(text->path, login, "it has no such login");
	if (wanted != NULL) {
		problem = make_line(text, &change.found, wanted, line, sizeof line);
		change.line = line;
	}
	if (problem != NULL)
		status = refuse(text->path, login, problem);
	else
		status = replace_file(text, &change);
	explicit_bzero(line, sizeof line);
	if (status == PW_OK && change.found.count > 1)
		log_event(LOG_WARNING, "checkpw-lines-removed file=%s user=%s lines=%zu",
			quote(text->path).text, quote(login).text,
			change.found.count - (wanted != NULL));
	return status;
}

static enum pw_status change_file(
	const char *path, const char *login, const struct pwedit_line *wanted)
{
	static struct pwtext text;
	enum pw_status status =
		pwtext_open(&text, path, wanted != NULL ? PWTEXT_MAKE : PWTEXT_CHANGE);

	if (status != PW_OK)
		return status;
	status = change_text(&text, login, wanted);
	pwtext_close(&text);
	return status;
}

enum pw_status pwedit_set(const char *path, const struct pwedit_line *line)
{
	return change_file(path, line->login, line);
}

enum pw_status pwedit_delete(const char *path, const char *login)
{
	return change_file(path, login, NULL);
}

enum pw_status pwedit_find(const char *path, const char *login, bool *is_known)
{
	static struct pwtext text;
	enum pw_status status;

	*is_known = false;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return PW_OK;
	status = pwtext_open(&text, path, PWTEXT_READ);
	if (status != PW_OK)
		return status;
	*is_known = find_lines(&text, login).count > 0;
	pwtext_close(&text);
	return PW_OK;
}
