/* file: all octets are read and written, however few a call takes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/syscall.h>

#include "os/file.h"

/* Every second call is interrupted; the others take three octets at most. */
static bool in_pieces;
static unsigned calls;
static int failure; /* errno of all calls, or 0 */

static bool is_hindered(size_t *length)
{
	if (failure != 0) {
		errno = failure;
		return true;
	}
	if (!in_pieces)
		return false;
	errno = EINTR;
	*length = *length < 3 ? *length : 3;
	return calls++ % 2 == 0;
}

ssize_t pread(int fd, void *octets, size_t length, off_t offset)
{
	return is_hindered(&length) ? -1 : syscall(SYS_pread64, fd, octets, length, offset);
}

ssize_t write(int fd, const void *octets, size_t length)
{
	return is_hindered(&length) ? -1 : syscall(SYS_write, fd, octets, length);
}

static const char text[] = "octets that no single call takes";

static int temporary(void)
{
	const int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

TEST(pieces_are_put_together)
{
	const int fd = temporary();
	char got[sizeof text];
	bool written;
	ssize_t length;

	in_pieces = true;
	written = file_write(fd, text, sizeof text - 1);
	length = file_read_at(fd, got, sizeof got, 0);
	in_pieces = false;
	assert_true(written);
	assert_int_equal(length, sizeof text - 1);
	assert_text(text, got, (size_t)length);
	file_close(fd);
}

TEST(reading_ends_with_what_was_wanted_or_the_file)
{
	const int fd = temporary();
	char got[sizeof text];

	assert_true(file_write(fd, text, sizeof text - 1));
	assert_int_equal(file_read_at(fd, got, 6, 7), 6);
	assert_text("that n", got, 6);
	assert_int_equal(file_read_at(fd, got, sizeof got, sizeof text - 6), 5);
	assert_text("takes", got, 5);
	assert_int_equal(file_read_at(fd, got, sizeof got, 1000), 0);
	file_close(fd);
}

TEST(failures_are_told)
{
	const int fd = temporary();
	char got[1];
	bool written;
	ssize_t length;

	failure = EIO;
	written = file_write(fd, text, sizeof text);
	length = file_read_at(fd, got, 1, 0);
	failure = 0;
	assert_false(written);
	assert_int_equal(length, -1);
	assert_int_equal(errno, EIO);
	file_close(fd);
}

TEST(closing_keeps_errno)
{
	const int fd = temporary();

	errno = ENOENT;
	file_close(fd);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	errno = ENOENT;
	file_close(fd); /* which fails with EBADF */
	assert_int_equal(errno, ENOENT);
}

/* A file of /proc says that it is empty: it grows while it is read. */
TEST(a_file_is_read_whole_even_if_it_grows)
{
	struct file_octets octets;
	struct stat st;

	assert_true(file_read("/proc/self/status", &octets, &st));
	assert_int_equal(st.st_size, 0);
	assert_true(octets.length > 100);
	assert_memory_equal(octets.data, "Name:\t", 6);
	assert_int_equal(octets.data[octets.length - 1], '\n');
	file_forget(&octets);
	assert_null(octets.data);
}

TEST(files_of_every_size_up_to_the_largest)
{
	static const size_t sizes[] = {
		0, 1, 4096, FILE_MOST_OCTETS - 1, FILE_MOST_OCTETS, FILE_MOST_OCTETS + 1};
	static char written[FILE_MOST_OCTETS + 1];

	memset(written, 'x', sizeof written);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		char path[] = "/tmp/pop3d-unit-XXXXXX";
		const int fd = mkstemp(path);
		const bool fits = sizes[i] <= FILE_MOST_OCTETS;
		struct file_octets octets;
		struct stat st;

		assert_true(fd >= 0 && file_write(fd, written, sizes[i]));
		errno = 0;
		assert_int_equal(file_read(path, &octets, &st), fits);
		assert_int_equal(errno, fits ? errno : EFBIG);
		assert_int_equal(octets.length, fits ? sizes[i] : 0);
		if (fits)
			assert_memory_equal(octets.data, written, sizes[i]);
		file_forget(&octets);
		file_close(fd);
		unlink(path);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(pieces_are_put_together),
	cmocka_unit_test(reading_ends_with_what_was_wanted_or_the_file),
	cmocka_unit_test(failures_are_told),
	cmocka_unit_test(closing_keeps_errno),
	cmocka_unit_test(a_file_is_read_whole_even_if_it_grows),
	cmocka_unit_test(files_of_every_size_up_to_the_largest),
};

int main(void)
{
	return UNIT_RUN("file", tests);
}
