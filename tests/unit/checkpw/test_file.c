/* file: the lines of the password file, one by one, and that no line can do harm. The library
 * of pop3d does not contain file.c, so this test includes it and what it needs, and counts its
 * log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/log.h"

static void count_line(int priority, const char *format, ...);

#define log_event count_line
#include "checkpw/entry.c"
#include "checkpw/file.c"
#include "checkpw/mail.c"
#include "checkpw/name.c"

#define HASH "$6$salt$x"

static unsigned lines_logged;

/* Named apart from that of the library, which other tests in it need. */
static void count_line(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
	lines_logged++;
}

struct quoted quote(const char *text)
{
	struct quoted quoted = {""};

	snprintf(quoted.text, sizeof quoted.text, "%.300s", text);
	return quoted;
}

/* The line is at the very end of an allocation, so that the sanitizers see a read beyond it. */
static enum pwfile_line parse(const char *octets, size_t length, struct pwfile_entry *entry)
{
	const char *why = NULL;
	char *line = malloc(length + 1);
	enum pwfile_line kind;

	assert_non_null(line);
	memcpy(line, octets, length);
	kind = pwfile_parse(line, length, entry, &why);
	if (kind == PWFILE_BAD)
		assert_non_null(why);
	free(line);
	return kind;
}

struct line_case {
	const char *line;
	enum pwfile_line kind;
};

static void check_cases(const struct line_case *cases, size_t count)
{
	struct pwfile_entry entry;

	for (size_t i = 0; i < count; i++) {
		enum pwfile_line kind = parse(cases[i].line, strlen(cases[i].line), &entry);

		if (kind != cases[i].kind)
			fail_msg("\"%s\": expected %d, got %d", cases[i].line,
				(int)cases[i].kind, (int)kind);
	}
}

static void parse_tells_the_kinds_of_lines_apart(void **state)
{
	static const struct line_case cases[] = {
		{"", PWFILE_NOTHING},
		{"\r", PWFILE_NOTHING},
		{" \t ", PWFILE_NOTHING},
		{"#a:" HASH ":1:1:/", PWFILE_NOTHING},
		{"\t # a", PWFILE_NOTHING},
		{"a:" HASH ":1:1:/", PWFILE_ENTRY},
		{"a:" HASH ":1:0:/\r", PWFILE_ENTRY},
		{"a:" HASH ":4294967294:4294967294:/:", PWFILE_ENTRY},
		{"a b#@\xff:" HASH ":0001:1:/ :m", PWFILE_ENTRY},
		{"a:!:1:1:/", PWFILE_LOCKED},
		{"a:*" HASH ":1:1:/", PWFILE_LOCKED},
		{"a:" HASH ":1:1:/:m:", PWFILE_BAD},
		{"a:" HASH ":1:1", PWFILE_BAD},
		{"a:" HASH ":1:1:", PWFILE_BAD},
		{"a:" HASH ":1:1:x", PWFILE_BAD},
		{"a:" HASH ":0:1:/", PWFILE_BAD},
		{"a:" HASH ":4294967295:1:/", PWFILE_BAD},
		{"a:" HASH ":4294967297:1:/", PWFILE_BAD},
		{"a:" HASH ":00000000001:1:/", PWFILE_BAD},
		{"a:" HASH ":-1:1:/", PWFILE_BAD},
		{"a:" HASH ":1: 1:/", PWFILE_BAD},
		{"a::1:1:/", PWFILE_BAD},
		{"a:x:1:1:/", PWFILE_BAD},
		{"a:$1$salt$x:1:1:/", PWFILE_BAD},
		{":" HASH ":1:1:/", PWFILE_BAD},
		{" a:" HASH ":1:1:/", PWFILE_BAD},
		{"a:" HASH ":1:1:/\r\r", PWFILE_BAD},
		{"a:" HASH ":1:1:/\x7f", PWFILE_BAD},
	};

	(void)state;
	check_cases(cases, sizeof cases / sizeof *cases);
}

static void parse_knows_lines_and_names_of_dovecot(void **state)
{
	static const struct line_case cases[] = {
		{"a:" HASH ":1:1:gecos:/:", PWFILE_ENTRY},
		{"a:" HASH ":1:1::/:/bin/sh:", PWFILE_ENTRY},
		{"a:" HASH ":1:1::/::userdb_quota_rule=*:bytes=1", PWFILE_ENTRY},
		{"a:" HASH ":1:1::/::userdb_a=b  userdb_mail=maildir:~/m:LAYOUT=fs",
			PWFILE_ENTRY},
		{"a:" HASH ":1:1::/::userdb_mail=mbox:~/m", PWFILE_BAD},
		{"a:" HASH ":1:1::/::allow_nets=192.0.2.0/24", PWFILE_BAD},
		{"a:" HASH ":1:1::/::userdb_a=b nologin", PWFILE_BAD},
		{"a:" HASH ":::::", PWFILE_BAD},
		{"a:" HASH ":1:1::x:", PWFILE_BAD},
		{"a:!" HASH ":1:1::/:", PWFILE_LOCKED},
		{"a:{CRYPT}" HASH ":1:1:/", PWFILE_ENTRY},
		{"a:{crypt}$2y$05$x:1:1:/", PWFILE_ENTRY},
		{"a:{CRYPT}!:1:1:/", PWFILE_LOCKED},
		{"a:{CRYPT}$1$salt$x:1:1:/", PWFILE_BAD},
		{"a:{CRYPT}:1:1:/", PWFILE_BAD},
		{"a:{SHA512-CRYPT}" HASH ":1:1:/", PWFILE_ENTRY},
		{"a:{SHA512-CRYPT}$5$salt$x:1:1:/", PWFILE_BAD},
		{"a:{SHA512-CRYPT}*:1:1:/", PWFILE_LOCKED},
		{"a:{SHA256-CRYPT}$5$salt$x:1:1:/", PWFILE_ENTRY},
		{"a:{SHA256-CRYPT}" HASH ":1:1:/", PWFILE_BAD},
		{"a:{BLF-CRYPT}$2y$05$x:1:1::/:/bin/sh", PWFILE_ENTRY},
		{"a:{BLF-CRYPT}" HASH ":1:1:/", PWFILE_BAD},
		{"a:{PLAIN}secret:1:1:/", PWFILE_BAD},
		{"a:{plain}" HASH ":1:1:/", PWFILE_BAD},
		{"a:{SHA512-CRYPT.b64}JDYk:1:1:/", PWFILE_BAD},
		{"a:{SSHA512}x:1:1:/", PWFILE_BAD},
		{"a:{" HASH ":1:1:/", PWFILE_BAD},
	};

	(void)state;
	check_cases(cases, sizeof cases / sizeof *cases);
}

static void parse_fills_every_field(void **state)
{
	static const char line[] = "joe:" HASH ":12:34:/home/joe:in box\r";
	struct pwfile_entry entry;

	(void)state;
	assert_int_equal(parse(line, sizeof line - 1, &entry), PWFILE_ENTRY);
	assert_string_equal(entry.user.name, "joe");
	assert_string_equal(entry.hash, HASH);
	assert_int_equal(entry.user.uid, 12);
	assert_int_equal(entry.user.gid, 34);
	assert_string_equal(entry.user.home, "/home/joe");
	assert_string_equal(entry.user.maildir, "in box");
	assert_string_equal(entry.user.shell, "");
	assert_false(entry.user.host_account);
}

static void parse_fills_the_fields_of_passwd_lines(void **state)
{
	static const char line[] = "joe:{SHA512-CRYPT}" HASH ":12:34:Joe,:/home/joe:/bin/ksh"
				   ":userdb_x=1 userdb_mail=maildir:%h/in:INDEX=/x";
	struct pwfile_entry entry;

	(void)state;
	assert_int_equal(parse(line, sizeof line - 1, &entry), PWFILE_ENTRY);
	assert_string_equal(entry.user.name, "joe");
	assert_string_equal(entry.hash, HASH);
	assert_int_equal(entry.user.uid, 12);
	assert_int_equal(entry.user.gid, 34);
	assert_string_equal(entry.user.home, "/home/joe");
	assert_string_equal(entry.user.maildir, "in");
	assert_string_equal(entry.user.shell, "/bin/ksh");
}

static void parse_copy_leaves_the_line_and_bounds_it(void **state)
{
	static const char good[] = "joe:" HASH ":12:34:/home/joe";
	static char line[PWFILE_LINE_MAX + 1];
	struct pwfile_entry entry;
	const char *why;

	(void)state;
	memset(line, '#', sizeof line);
	assert_int_equal(
		pwfile_parse_copy(line, PWFILE_LINE_MAX, &entry, &why), PWFILE_NOTHING);
	assert_int_equal(
		pwfile_parse_copy(line, PWFILE_LINE_MAX + 1, &entry, &why), PWFILE_BAD);
	assert_string_equal(why, "it is too long");
	assert_int_equal(line[PWFILE_LINE_MAX], '#');
	assert_int_equal(pwfile_parse_copy(good, sizeof good - 1, &entry, &why), PWFILE_ENTRY);
	assert_string_equal(entry.user.home, "/home/joe");
}

static void why_names_a_password_in_clear_text(void **state)
{
	char line[] = "joe:{PLAIN}secret:12:34:/home/joe";
	struct pwfile_entry entry;
	const char *why;

	(void)state;
	assert_int_equal(pwfile_parse(line, sizeof line - 1, &entry, &why), PWFILE_BAD);
	assert_non_null(strstr(why, "clear text"));
	assert_string_equal(entry.hash, "");
}

/* Every change of one octet of a good line, and every line cut short. */
static void parse_survives_damaged_lines(void **state)
{
	static const char good[] = "joe:" HASH ":12:34:/home/joe:box";
	struct pwfile_entry entry;
	char line[sizeof good];

	(void)state;
	for (size_t at = 0; at < sizeof good - 1; at++) {
		for (int octet = 0; octet < 256; octet++) {
			memcpy(line, good, sizeof good);
			line[at] = (char)octet;
			parse(line, sizeof good - 1, &entry);
			assert_true(strlen(entry.user.name) <= PWUSER_NAME_MAX);
		}
		parse(good, at, &entry);
	}
}

static enum pw_status find_in(
	const char *octets, size_t length, const char *login, struct pwfile_found *found)
{
	char path[] = "/tmp/pop3d-unit.XXXXXX";
	int fd = mkstemp(path);
	enum pw_status status;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, length), (ssize_t)length);
	close(fd);
	lines_logged = 0;
	status = pwfile_find(path, login, found);
	unlink(path);
	return status;
}

/* The entry begins and ends at every position around the end of the buffer, with and without
 * LF. */
static void find_takes_entries_across_the_end_of_the_buffer(void **state)
{
	static const char entry[] = "joe:" HASH ":12:34:/home/joe:box\n";
	static char file[2 * PWFILE_LINE_MAX + sizeof entry];
	static struct pwfile_found found;
	const size_t length = sizeof entry - 1;

	(void)state;
	memset(file, '\n', sizeof file);
	for (size_t at = PWFILE_LINE_MAX - 2 * length; at < PWFILE_LINE_MAX + length; at++) {
		memcpy(file + at, entry, length);
		for (size_t cut = 0; cut < 2; cut++) {
			assert_int_equal(
				find_in(file, at + length - cut, "joe", &found), PW_OK);
			assert_true(found.known);
			assert_string_equal(found.entry.user.maildir, "box");
			assert_string_equal(found.any_hash, HASH);
			assert_int_equal(lines_logged, 0);
		}
		memset(file, '\n', sizeof file);
	}
}

/* One long line that contains an entry, at every position where a buffer can end. */
static void find_never_takes_the_rest_of_a_long_line(void **state)
{
	static const char entry[] = "joe:" HASH ":12:34:/home/joe:box";
	static char file[4 * PWFILE_LINE_MAX];
	static struct pwfile_found found;

	(void)state;
	for (size_t at = 1; at<3 * PWFILE_LINE_MAX; at += at % 3000> 2900 ? 1 : 97) {
		memset(file, 'x', sizeof file);
		memcpy(file + at, entry, sizeof entry - 1);
		assert_int_equal(find_in(file, sizeof file, "joe", &found), PW_OK);
		assert_false(found.known);
		assert_int_equal(found.any_hash[0], '\0');
		assert_int_equal(lines_logged, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_tells_the_kinds_of_lines_apart),
		cmocka_unit_test(parse_knows_lines_and_names_of_dovecot),
		cmocka_unit_test(parse_fills_every_field),
		cmocka_unit_test(parse_fills_the_fields_of_passwd_lines),
		cmocka_unit_test(parse_copy_leaves_the_line_and_bounds_it),
		cmocka_unit_test(why_names_a_password_in_clear_text),
		cmocka_unit_test(parse_survives_damaged_lines),
		cmocka_unit_test(find_takes_entries_across_the_end_of_the_buffer),
		cmocka_unit_test(find_never_takes_the_rest_of_a_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
