/* unit: helpers that all unit tests share: comparing octets, temporary directories, children.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

/* Runs the tests of one module. A test that hangs ends the program. */
#define UNIT_RUN(name, tests) (alarm(120), cmocka_run_group_tests_name(name, tests, NULL, NULL))

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* An ordinary user, for tests of permissions, which root does not need. */
#define NOBODY 65534

/* True in make check, where a test tries everything; false in make unit, where it may take a
 * sample. */
static inline bool unit_all(void)
{
	return getenv("POP3D_UNIT_ALL") != NULL;
}

/* Random numbers that are the same in every run (xorshift). */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x >> 11;
}

static inline void unit_print(const char *what, const char *octets, size_t length, size_t at)
{
	const size_t first = at > 60 ? at - 60 : 0;
	const size_t last = length - first > 160 ? first + 160 : length;

	print_error("%s, %zu octets%s: \"", what, length, first > 0 ? ", ..." : "");
	for (size_t i = first; i < last; i++) {
		const unsigned char c = (unsigned char)octets[i];

		if (c == '\r')
			print_error("\\r");
		else if (c == '\n')
			print_error("\\n");
		else if (c < ' ' || c > '~' || c == '"' || c == '\\')
			print_error("\\x%02x", c);
		else
			print_error("%c", c);
	}
	print_error("\"%s\n", last < length ? " ..." : "");
}

/* Compares octets. Prints what and the first difference if they differ. */
static inline bool unit_same(const char *sent, size_t sent_octets, const char *expected,
	size_t expected_octets, const char *got, size_t got_octets)
{
	const size_t both = expected_octets < got_octets ? expected_octets : got_octets;
	size_t at = 0;

	while (at < both && expected[at] == got[at])
		at++;
	if (at == expected_octets && at == got_octets)
		return true;
	print_error("first difference at octet %zu\n", at);
	if (sent != NULL)
		unit_print("sent", sent, sent_octets, at);
	unit_print("expected", expected, expected_octets, at);
	unit_print("got", got, got_octets, at);
	return false;
}

/* Compares octets, and on a difference also prints the input. */
#define assert_octets(sent, sent_octets, expected, expected_octets, got, got_octets)           \
	do {                                                                                   \
		if (!unit_same(sent, sent_octets, expected, expected_octets, got, got_octets)) \
			fail();                                                                \
	} while (0)

/* The same for a terminated expectation, without an input. */
#define assert_text(expected, got, got_octets)                                                 \
	assert_octets(NULL, 0, expected, strlen(expected), got, got_octets)

/* A temporary directory. */
struct unit_dir {
	char path[256];
	int fd;
};

static inline void unit_dir_make(struct unit_dir *d)
{
	const char *const base = getenv("TMPDIR");

	snprintf(d->path, sizeof d->path, "%s/unit-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(d->path));
	assert_int_equal(chmod(d->path, 0755), 0);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d->fd >= 0);
}

static inline int unit_remove(
	const char *path, const struct stat *st, int type, struct FTW *position)
{
	(void)st;
	(void)type;
	(void)position;
	return remove(path);
}

static inline void unit_dir_remove(struct unit_dir *d)
{
	close(d->fd);
	nftw(d->path, unit_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the directory. */
static inline void unit_write(int dir_fd, const char *path, const char *octets, size_t length)
{
	const int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, length), length);
	close(fd);
}

/* Reads a file below the directory; returns its length, or -1 if there is none. */
static inline ssize_t unit_read(int dir_fd, const char *path, char *octets, size_t room)
{
	const int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t used = 0;
	ssize_t length;

	if (fd < 0)
		return -1;
	while ((length = read(fd, octets + used, room - used)) > 0)
		used += (size_t)length;
	close(fd);
	return (ssize_t)used;
}

#define assert_file(dir_fd, path, expected)                                                    \
	do {                                                                                   \
		char unit_octets[4096];                                                        \
		const ssize_t unit_length =                                                    \
			unit_read(dir_fd, path, unit_octets, sizeof unit_octets);              \
                                                                                               \
		if (unit_length < 0)                                                           \
			print_error("no file %s\n", path);                                     \
		assert_true(unit_length >= 0);                                                 \
		assert_text(expected, unit_octets, (size_t)unit_length);                       \
	} while (0)

/* How many descriptors this process has open. */
static inline size_t unit_count_fds(void)
{
	DIR *const directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count - 3; /* ".", ".." and the directory itself */
}

/* Waits for a child. Returns its exit status, or 1000 plus the signal that ended it. */
static inline int unit_await(pid_t pid)
{
	int status = 0;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Runs work in a process of its own, because a process can do some things only once. The
 * result of work must be an exit status. */
static inline int unit_in_child(int (*work)(void))
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(work());
	return unit_await(pid);
}

/* Runs work with descriptor 2 open on a file. Returns how many octets it wrote there. */
static inline size_t unit_stderr_of(void (*work)(void), char *octets, size_t room)
{
	const int kept = dup(2), file = memfd_create("stderr", MFD_CLOEXEC);
	ssize_t length;

	assert_true(kept >= 0 && file >= 0);
	fflush(stderr);
	dup2(file, 2);
	work();
	dup2(kept, 2);
	close(kept);
	length = pread(file, octets, room, 0);
	close(file);
	assert_true(length >= 0);
	return (size_t)length;
}

static inline int64_t unit_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void unit_sleep_ms(long ms)
{
	const struct timespec wanted = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&wanted, NULL);
}

#endif
