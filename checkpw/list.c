/* list: see list.h. For administrators: no login runs anything of this. */
#include "checkpw/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpw/entry.h"
#include "checkpw/file.h"
#include "checkpw/text.h"

/* A line that has a login. */
struct line {
	const char *octets;
	size_t length;
	unsigned long number;
};

struct lines {
	struct line *all;
	size_t count;
};

static size_t login_length(const struct line *line)
{
	const char *const colon = memchr(line->octets, ':', line->length);

	return colon != NULL ? (size_t)(colon - line->octets) : line->length;
}

static int compare_logins(const struct line *one, const struct line *two)
{
	const size_t length_one = login_length(one), length_two = login_length(two);
	const size_t least = length_one < length_two ? length_one : length_two;
	const int order = memcmp(one->octets, two->octets, least);

	return order != 0 ? order : (length_one > length_two) - (length_one < length_two);
}

static int compare_lines(const void *left, const void *right)
{
	const struct line *const one = left, *const two = right;
	const int order = compare_logins(one, two);

	return order != 0 ? order : (one->number > two->number) - (one->number < two->number);
}

static size_t count_lines(const struct pwtext *text)
{
	size_t count = 0;

	for (size_t at = 0; at < text->length; count++)
		at += pwtext_line_length(text->octets + at, text->length - at) + 1;
	return count;
}

/* Keeps the lines that have a login, and logs those that are wrong. */
static void collect(const struct pwtext *text, struct lines *lines)
{
	static struct pwfile_entry entry;
	unsigned long number = 0;

	for (size_t at = 0; at < text->length;) {
		struct line line = {text->octets + at, 0, ++number};
		const char *why;
		enum pwfile_line kind;

		line.length = pwtext_line_length(line.octets, text->length - at);
		at += line.length + 1;
		kind = pwfile_parse_copy(line.octets, line.length, &entry, &why);
		if (kind == PWFILE_BAD)
			pwfile_log_ignored(text->path, number, why);
		else if (kind != PWFILE_NOTHING)
			lines->all[lines->count++] = line;
	}
	explicit_bzero(&entry, sizeof entry);
}

static const char *kind_of(const char *hash)
{
	static const char *const kinds[][2] = {{"$y$", "yescrypt"}, {"$gy$", "gost-yescrypt"},
		{"$7$", "scrypt"}, {"$2", "bcrypt"}, {"$6$", "sha512crypt"},
		{"$5$", "sha256crypt"}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(hash, kinds[i][0], strlen(kinds[i][0])) == 0)
			return kinds[i][1];
	return "-";
}

/* The lines of one login: the last one counts, and one that is locked locks them all. */
static void write_login(
	const struct pwtext *text, const struct line *lines, size_t count, FILE *to)
{
	static struct pwfile_entry entry;
	const char *why;
	bool is_locked = false;

	for (size_t i = 0; i < count; i++) {
		is_locked = pwfile_parse_copy(lines[i].octets, lines[i].length, &entry, &why) ==
				    PWFILE_LOCKED ||
			    is_locked;
		if (i + 1 < count)
			pwfile_log_replaced(text->path, entry.user.name, lines[i].number,
				lines[i + 1].number);
	}
	fprintf(to, "%s\t%s\t%lu\t%lu\t%s\t%s\n", entry.user.name,
		is_locked ? "locked" : kind_of(entry.hash), (unsigned long)entry.user.uid,
		(unsigned long)entry.user.gid, entry.user.home,
		entry.user.maildir[0] != '\0' ? entry.user.maildir : "-");
	explicit_bzero(&entry, sizeof entry);
}

static void write_all(const struct pwtext *text, const struct lines *lines, FILE *to)
{
	for (size_t i = 0; i < lines->count;) {
		size_t same = 1;

		while (i + same < lines->count &&
			compare_logins(&lines->all[i], &lines->all[i + same]) == 0)
			same++;
		write_login(text, &lines->all[i], same, to);
		i += same;
	}
}

enum pw_status pwlist_write(const char *path, FILE *to)
{
	static struct pwtext text;
	struct lines lines = {NULL, 0};
	enum pw_status status = pwtext_open(&text, path, PWTEXT_READ);

	if (status != PW_OK)
		return status;
	lines.all = calloc(count_lines(&text) + 1, sizeof *lines.all);
	if (lines.all == NULL) {
		status = pwtext_failed(path);
	} else {
		collect(&text, &lines);
		qsort(lines.all, lines.count, sizeof *lines.all, compare_lines);
		write_all(&text, &lines, to);
		if (fflush(to) != 0 || ferror(to))
			status = pwtext_failed("standard output");
	}
	free(lines.all);
	pwtext_close(&text);
	return status;
}
