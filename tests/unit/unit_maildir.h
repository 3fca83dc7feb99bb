/* unit_maildir: gives each test a Maildir of its own, and plays the other program that
 * changes it. */
#ifndef UNIT_MAILDIR_H
#define UNIT_MAILDIR_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "maildir.h"
#include "maildir/body.h"
#include "session/send.h"

static struct unit_dir box; /* The Maildir, with new, cur and tmp. */
static struct maildir m;
static bool is_open;
static const char *folder; /* For deleted messages. */

static inline int maildir_setup(void **state)
{
	static const char *const names[] = {"new", "cur", "tmp"};

	(void)state;
	unit_dir_make(&box);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(mkdirat(box.fd, names[i], 0755), 0);
	return 0;
}

static inline void close_box(void)
{
	if (is_open)
		maildir_close(&m);
	is_open = false;
}

static inline int maildir_teardown(void **state)
{
	(void)state;
	if (geteuid() != getuid())
		assert_int_equal(seteuid(getuid()), 0);
	close_box();
	folder = NULL;
	fchmodat(box.fd, "new", 0755, 0);
	fchmodat(box.fd, "cur", 0755, 0);
	unit_dir_remove(&box);
	return 0;
}

static inline void put(const char *path, const char *text)
{
	unit_write(box.fd, path, text, strlen(text));
}

static inline void move(const char *from, const char *to)
{
	assert_int_equal(renameat(box.fd, from, box.fd, to), 0);
}

static inline void erase(const char *path)
{
	assert_int_equal(unlinkat(box.fd, path, 0), 0);
}

static inline bool exists(const char *path)
{
	struct stat st;

	return fstatat(box.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

#define assert_exists(path)                                                                    \
	do {                                                                                   \
		if (!exists(path))                                                             \
			print_error("no file %s\n", path);                                     \
		assert_true(exists(path));                                                     \
	} while (0)

#define assert_gone(path)                                                                      \
	do {                                                                                   \
		if (exists(path))                                                              \
			print_error("there is a file %s\n", path);                             \
		assert_false(exists(path));                                                    \
	} while (0)

static inline void put_fifo(const char *path)
{
	assert_int_equal(mkfifoat(box.fd, path, 0644), 0);
}

static inline void put_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int octets =
		snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", box.path, path);

	assert_in_range(octets, 1, sizeof address.sun_path - 1);
	assert_int_equal(
		bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
	close(fd);
}

/* Gives a file or directory times of so many seconds ago. The time of change is now; of a
 * directory it is past when a tick of the clock is. */
static inline void age(const char *path, time_t access_seconds, time_t change_seconds)
{
	const time_t now = time(NULL);
	const struct timespec times[2] = {
		{.tv_sec = now - access_seconds}, {.tv_sec = now - change_seconds}};

	assert_int_equal(utimensat(box.fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
	if (strchr(path, '/') == NULL)
		usleep(60000);
}

static inline enum maildir_problem try_open_with(bool lock, bool verify_sizes)
{
	const struct maildir_wish wish = {
		.path = box.path, .lock = lock, .verify_sizes = verify_sizes, .folder = folder};
	const char *failed_path = NULL;
	const enum maildir_problem problem = maildir_open(&m, &wish, &failed_path);

	is_open = problem == MAILDIR_READY;
	if (!is_open || maildir_load(&m))
		return problem;
	return maildir_problem_of(errno);
}

static inline void open_box(void)
{
	close_box();
	assert_int_equal(try_open_with(false, false), MAILDIR_READY);
}

/* Two messages of one unique name, of which another program, after the login, removes the
 * second and marks the first as seen. */
static inline void open_twins_that_change(void)
{
	put("cur/1.a:2,", "one\n");
	age("cur/1.a:2,", 10, 10);
	put("cur/1.a:2,S", "two\n");
	open_box();
	erase("cur/1.a:2,S");
	move("cur/1.a:2,", "cur/1.a:2,S");
}

/* The message of that number, counted from 1. */
static inline struct message *message(size_t number)
{
	static struct message looked_at[8]; /* Several buffers, because one statement can use
					       several names. */
	static size_t calls;
	struct message *const found = &looked_at[calls++ % 8];

	assert_in_range(number, 1, m.snapshot.count);
	assert_true(maildir_get(&m, number - 1, found));
	return found;
}

static inline void is_named(size_t number, enum place place, const char *name)
{
	assert_string_equal(message(number)->name, name);
	assert_int_equal(message(number)->place, place);
}

static inline void has_contents(size_t number, const char *expected)
{
	struct message found;
	const int fd = maildir_open_message(&m, number - 1, &found);
	char octets[4096];
	ssize_t length;

	if (fd < 0)
		print_error("message %zu: %s\n", number, strerror(errno));
	assert_true(fd >= 0);
	length = read(fd, octets, sizeof octets);
	close(fd);
	assert_true(length >= 0);
	assert_text(expected, octets, (size_t)length);
}

/* Opening fails with this problem. */
static inline void has_problem(size_t number, int error_number)
{
	struct message found;

	errno = 0;
	assert_int_equal(maildir_open_message(&m, number - 1, &found), -1);
	if (errno != error_number)
		print_error("expected %s, got %s\n", strerror(error_number), strerror(errno));
	assert_int_equal(errno, error_number);
}

static inline void is_uid(size_t number, const char *expected)
{
	char text[UID_TEXT_OCTETS];
	const struct message *const wanted = message(number);

	uid_text(text, wanted->name, wanted->unique_octets,
		wanted->is_second ? wanted->inode : 0);
	assert_string_equal(text, expected);
}

/* The unique-id of a message, as UIDL makes it. */
static inline void uid_of(size_t number, char text[UID_TEXT_OCTETS])
{
	struct unique unique;

	assert_true(maildir_get_unique(&m, number - 1, &unique));
	uid_text(text, unique.octets, unique.length, unique.shared);
}

/* The name that the second of two files with one unique name gets, between start and end. */
static inline const char *own_name(const char *path, const char *start, const char *end)
{
	static char name[256];
	struct stat st;

	assert_int_equal(fstatat(box.fd, path, &st, 0), 0);
	snprintf(name, sizeof name, "%s-i%llx%s", start, (unsigned long long)st.st_ino, end);
	return name;
}

/* Root may do everything, so the test becomes another user until it ends. */
static inline void be_nobody(void)
{
	if (getuid() != 0)
		return;
	assert_int_equal(seteuid(NOBODY), 0);
}

#define MAILDIR_TEST(name)                                                                     \
	cmocka_unit_test_setup_teardown(name, maildir_setup, maildir_teardown)

#endif
