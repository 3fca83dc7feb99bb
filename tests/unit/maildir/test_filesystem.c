/* maildir: what depends on the file system beneath: coarse times, and other hosts (doc/INDEX,
 * doc/MAILDIR). fstat, fstatfs and the clock are this file's own. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "tests/unit/unit_maildir.h"

static bool whole_seconds;   /* the file system keeps no fractions of seconds */
static time_t seconds_later; /* how late it is by this test's clock */
static long magic;           /* of the file system, or 0: the real one */

/* What a client of NFS keeps of the directories while it does not ask the server. */
static bool keeps_times;
static struct stat kept[4];
static size_t kept_count;

typedef long system_call(long number, ...);

long syscall(long number, ...)
{
	static system_call *real;
	long value[5];
	va_list arguments;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(arguments, number);
	for (size_t i = 0; i < COUNT_OF(value); i++)
		value[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_statx && (value[2] & AT_STATX_FORCE_SYNC) != 0)
		kept_count = 0;
	return real(number, value[0], value[1], value[2], value[3], value[4]);
}

/* Puts what is kept of this file into *st, and keeps it otherwise. */
static void answer_from_kept(struct stat *st)
{
	for (size_t i = 0; i < kept_count; i++)
		if (kept[i].st_ino == st->st_ino) {
			*st = kept[i];
			return;
		}
	assert_true(kept_count < COUNT_OF(kept));
	kept[kept_count++] = *st;
}

int fstat(int fd, struct stat *st)
{
	const int result = (int)syscall(SYS_fstat, fd, st);

	if (result == 0 && keeps_times && S_ISDIR(st->st_mode))
		answer_from_kept(st);
	if (result == 0 && whole_seconds)
		st->st_mtim.tv_nsec = st->st_ctim.tv_nsec = 0;
	return result;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	const int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += seconds_later;
	return result;
}

int fstatfs(int fd, struct statfs *fs)
{
	const int result = (int)syscall(SYS_fstatfs, fd, fs);

	if (result == 0 && magic != 0)
		fs->f_type = magic;
	return result;
}

static int reset(void **state)
{
	whole_seconds = false;
	magic = 0;
	seconds_later = 0;
	keeps_times = false;
	kept_count = 0;
	return maildir_teardown(state);
}

static bool is_final(void)
{
	open_box();
	return m.seen[PLACE_NEW].is_final && m.seen[PLACE_CUR].is_final;
}

static void set_back(void)
{
	age("new", 3600, 3600);
	age("cur", 3600, 3600);
}

/* A program sets the time of modification back: where times are whole seconds, the next change
 * within the second would have both times again. */
TEST(time_that_was_set_back_is_not_final_where_times_are_whole_seconds)
{
	put("cur/1.a,W=3:2,", "a\n");
	set_back();
	assert_true(is_final());
	whole_seconds = true;
	assert_false(is_final());
	seconds_later = 4;
	assert_true(is_final());
}

/* Another host's clock may be late: its fractions say nothing. */
TEST(time_of_another_host_is_final_after_seconds_only)
{
	put("cur/1.a,W=3:2,", "a\n");
	set_back();
	magic = 0x6969;
	assert_false(is_final());
	assert_true(m.is_remote);
	seconds_later = 4;
	assert_true(is_final());
}

TEST(time_that_is_young_is_not_final)
{
	put("cur/1.a,W=3:2,", "a\n");
	age("cur", 3600, 1);
	assert_false(is_final());
	age("cur", 3600, -3600);
	assert_false(is_final());
}

static void open_with_index(void)
{
	const struct maildir_wish wish = {.path = box.path, .index = true};
	const char *failed_path;

	close_box();
	assert_int_equal(maildir_open(&m, &wish, &failed_path), MAILDIR_READY);
	is_open = true;
	assert_true(maildir_load(&m));
}

/* A maildrop with an index of its listing, which the next session uses. */
static void make_index(int messages)
{
	char name[256];

	for (int i = 0; i < messages; i++) {
		snprintf(
			name, sizeof name, "cur/%d.M%dP1.%0200d,W=3:2,S", 1000000000 + i, i, i);
		put(name, "a\n");
	}
	set_back();
	open_with_index();
	maildir_save(&m);
}

static void break_index(void)
{
	const int fd = openat(box.fd, "pop3d/index", O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
}

TEST(index_on_a_network_file_system_needs_its_file_no_more)
{
	static const long network[] = {0x6969, 0x65735546, (long)0xfe534d42, 0x01021997};
	struct message found;

	make_index(300);
	seconds_later = 4;
	for (size_t i = 0; i < COUNT_OF(network); i++) {
		magic = network[i];
		open_with_index();
		assert_int_equal(m.index_use, INDEX_LISTING);
		assert_int_equal(m.index.fd, -1);
	}
	break_index();
	for (size_t i = 0; i < 300; i++)
		assert_true(maildir_get(&m, i, &found));
	assert_false(maildir_is_broken(&m));
	has_contents(300, "a\n");
}

TEST(index_of_this_host_is_read_as_it_is_needed)
{
	struct message found;

	make_index(300);
	open_with_index();
	assert_int_equal(m.index_use, INDEX_LISTING);
	assert_true(m.index.fd >= 0);
	break_index();
	assert_false(maildir_get(&m, 299, &found));
	assert_true(maildir_is_broken(&m));
	assert_gone("pop3d/index");
}

/* Every page is checked at login, so that nothing can break later. */
TEST(damaged_index_on_a_network_file_system_is_not_used)
{
	int fd;

	make_index(300);
	seconds_later = 4;
	fd = openat(box.fd, "pop3d/index", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, 40000), 6);
	close(fd);
	magic = 0x6969;
	open_with_index();
	assert_int_equal(m.index_use, INDEX_USELESS);
	assert_int_equal(m.snapshot.count, 300);
	has_contents(300, "a\n");
}

TEST(index_too_large_to_be_read_whole_ends_the_session_when_it_breaks)
{
	struct message found;

	make_index(4200);
	seconds_later = 4;
	magic = 0x6969;
	open_with_index();
	assert_int_equal(m.index_use, INDEX_LISTING);
	assert_true(m.index.fd >= 0);
	break_index();
	assert_false(maildir_get(&m, 4199, &found));
	assert_true(maildir_is_broken(&m));
}

/* The host would answer from what it keeps, for half a minute and more. */
TEST(directories_of_a_network_file_system_are_looked_at_on_their_server)
{
	make_index(300);
	seconds_later = 4;
	magic = 0x6969;
	keeps_times = true;
	open_with_index();
	assert_int_equal(m.index_use, INDEX_LISTING);
	put("new/2.b,W=3", "b\n");
	open_with_index();
	assert_int_equal(m.snapshot.count, 301);
}

/* Two hosts may both get the lock of a directory: there the file is what is locked. */
TEST(lock_needs_its_file_on_a_network_file_system)
{
	assert_int_equal(fchmod(box.fd, 0555), 0);
	be_nobody();
	assert_int_equal(try_open_with(true, false), MAILDIR_READY);
	close_box();
	magic = 0x6969;
	assert_int_equal(try_open_with(true, false), MAILDIR_UNUSABLE);
	assert_int_equal(errno, EACCES);
}

#define WITH_FILESYSTEM(name) cmocka_unit_test_setup_teardown(name, maildir_setup, reset)

static const struct CMUnitTest tests[] = {
	WITH_FILESYSTEM(time_that_was_set_back_is_not_final_where_times_are_whole_seconds),
	WITH_FILESYSTEM(time_of_another_host_is_final_after_seconds_only),
	WITH_FILESYSTEM(time_that_is_young_is_not_final),
	WITH_FILESYSTEM(index_on_a_network_file_system_needs_its_file_no_more),
	WITH_FILESYSTEM(index_of_this_host_is_read_as_it_is_needed),
	WITH_FILESYSTEM(damaged_index_on_a_network_file_system_is_not_used),
	WITH_FILESYSTEM(index_too_large_to_be_read_whole_ends_the_session_when_it_breaks),
	WITH_FILESYSTEM(directories_of_a_network_file_system_are_looked_at_on_their_server),
	WITH_FILESYSTEM(lock_needs_its_file_on_a_network_file_system),
};

int main(void)
{
	return UNIT_RUN("maildir_filesystem", tests);
}
