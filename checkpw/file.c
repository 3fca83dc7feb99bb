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

enum { FIELD_LOGIN, FIELD_HASH, FIELD_UID, FIELD_GID, FIELD_HOME, FIELD_MAILDIR, FIELD_COUNT };

struct line_reader {
	int fd;
	unsigned long number; /* of the line returned last */
	size_t start, end;    /* what of data is not consumed yet */
	bool at_eof;
	char data[PWFILE_LINE_MAX + 1]; /* with room for the newline */
};

enum line_kind { LINE_WHOLE, LINE_TOO_LONG, LINE_END, LINE_ERROR };

static bool has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

bool pwfile_login_is_valid(const char *login)
{
	size_t length = strlen(login);

	/* a blank or # in front would make the line a comment, or look like one */
	return length > 0 && length <= PWUSER_NAME_MAX && strchr(login, ':') == NULL &&
	       login[0] != '#' && login[0] != ' ' && !has_control(login, length);
}

/* Kinds that are still dear to guess. DES, MD5, NT and the bcrypt with the sign bug are not
 * here. */
static bool hash_is_strong(const char *hash)
{
	static const char *const kinds[] = {
		"$y$", "$gy$", "$7$", "$2b$", "$2y$", "$2a$", "$6$", "$5$"};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(hash, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* Decimal digits only, and never (uid_t)-1, which means "leave as it is" to the kernel. */
static bool parse_id(const char *text, unsigned *id)
{
	unsigned long long value = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 10 || text[digits] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	*id = (unsigned)value;
	return value < 0xffffffffULL;
}

static bool copy_field(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* Cuts line at its colons; 0 when there are more fields than there can be. */
static size_t split_fields(char *line, char *field[FIELD_COUNT])
{
	size_t count = 0;

	for (char *rest = line; rest != NULL;) {
		if (count == FIELD_COUNT)
			return 0;
		field[count++] = strsep(&rest, ":");
	}
	return count;
}

static const char *fill_entry(
	char *field[FIELD_COUNT], size_t count, struct pwfile_entry *entry)
{
	if (!pwfile_login_is_valid(field[FIELD_LOGIN]))
		return "no login that can be used";
	if (!parse_id(field[FIELD_UID], &entry->user.uid))
		return "the uid is not a number";
	if (!parse_id(field[FIELD_GID], &entry->user.gid))
		return "the gid is not a number";
	if (entry->user.uid == 0)
		return "uid 0 is never served";
	if (field[FIELD_HOME][0] != '/')
		return "the home is not an absolute path";
	if (!copy_field(entry->user.name, sizeof entry->user.name, field[FIELD_LOGIN]) ||
		!copy_field(entry->hash, sizeof entry->hash, field[FIELD_HASH]) ||
		!copy_field(entry->user.home, sizeof entry->user.home, field[FIELD_HOME]) ||
		!copy_field(entry->user.maildir, sizeof entry->user.maildir,
			count > FIELD_MAILDIR ? field[FIELD_MAILDIR] : ""))
		return "a field is too long";
	return NULL;
}

enum pwfile_line pwfile_parse(
	char *line, size_t length, struct pwfile_entry *entry, const char **why)
{
	char *field[FIELD_COUNT];
	size_t count;

	explicit_bzero(entry, sizeof *entry);
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	if (line[strspn(line, " \t")] == '#' || strspn(line, " \t") == length)
		return PWFILE_NOTHING;
	*why = "it holds a control character";
	if (has_control(line, length))
		return PWFILE_BAD;
	count = split_fields(line, field);
	*why = "it is not login:hash:uid:gid:home or login:hash:uid:gid:home:maildir";
	if (count <= FIELD_HOME)
		return PWFILE_BAD;
	*why = fill_entry(field, count, entry);
	if (*why != NULL)
		return PWFILE_BAD;
	if (entry->hash[0] == '!' || entry->hash[0] == '*')
		return PWFILE_LOCKED;
	*why = "the hash is empty or of a kind too weak to be accepted";
	return hash_is_strong(entry->hash) ? PWFILE_ENTRY : PWFILE_BAD;
}

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

static void report_bad_line(
	const char *path, unsigned long number, const char *why, unsigned long *bad_lines)
{
	if (++*bad_lines <= BAD_LINES_LOGGED)
		log_event(LOG_WARNING, "checkpw-line-ignored file=%s line=%lu problem=\"%s\"",
			quote(path).text, number, why);
}

/* A further line of a login: the one before it does not count any more. */
static void report_earlier_line(
	const char *path, const char *login, unsigned long earlier, unsigned long number)
{
	log_event(LOG_WARNING, "checkpw-line-replaced file=%s line=%lu by=%lu user=%s",
		quote(path).text, earlier, number, quote(login).text);
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
		if (parsed == PWFILE_BAD)
			report_bad_line(path, reader->number, why, &bad_lines);
		if (parsed != PWFILE_ENTRY && parsed != PWFILE_LOCKED)
			continue;
		if (parsed == PWFILE_ENTRY && found->any_hash[0] == '\0')
			memcpy(found->any_hash, entry.hash, sizeof entry.hash);
		if (is_locked || strcmp(entry.user.name, login) != 0)
			continue;
		is_locked = parsed == PWFILE_LOCKED;
		if (found_in != 0)
			report_earlier_line(path, login, found_in, reader->number);
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
	log_event(LOG_ERR, "checkpw-file-unusable file=%s problem=\"%s\"", quote(path).text,
		strerror(errno));
	return PW_TEMPORARY;
}

static bool lasts(int error)
{
	return error != EINTR && error != EMFILE && error != ENFILE && error != ENOMEM &&
	       error != EIO && error != ESTALE && error != EAGAIN;
}

static const char *why_unsafe(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to neither root nor the user that runs this";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "its group or others can write it";
	return NULL;
}

/* O_NONBLOCK: a fifo in place of the file must not hang the login. */
static enum pw_status open_file(const char *path, int *fd)
{
	struct stat st;
	const char *why;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0) {
		enum pw_status status = lasts(errno) ? PW_MISCONFIGURED : PW_TEMPORARY;

		log_event(LOG_ERR, "checkpw-file-unusable file=%s problem=\"%s\"",
			quote(path).text, strerror(errno));
		return status;
	}
	why = fstat(*fd, &st) == 0 ? why_unsafe(&st) : strerror(errno);
	if (why == NULL)
		return PW_OK;
	log_event(
		LOG_ERR, "checkpw-file-unusable file=%s problem=\"%s\"", quote(path).text, why);
	close(*fd);
	return PW_MISCONFIGURED;
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
