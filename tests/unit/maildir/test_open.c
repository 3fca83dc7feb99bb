/* maildir: Maildirs that cannot be opened, and the lock. */
#include "tests/unit/unit.h"

#include <signal.h>

#include "tests/unit/unit_maildir.h"

/* Opening fails with the problem, names the path, and leaves no descriptor open. */
static void fails(const char *path, enum maildir_problem problem, int error_number,
	const char *expected_path)
{
	const struct maildir_wish wish = {.path = path, .lock = true};
	const char *failed_path = NULL;
	const size_t fds = unit_count_fds();
	const enum maildir_problem got = maildir_open(&m, &wish, &failed_path);
	const int got_errno = errno;

	assert_int_equal(got, problem);
	if (got_errno != error_number)
		print_error("got: %s\n", strerror(got_errno));
	assert_int_equal(got_errno, error_number);
	assert_string_equal(failed_path, expected_path);
	assert_int_equal(unit_count_fds(), fds);
}

TEST(maildir_that_is_missing_is_unusable)
{
	char path[300];

	snprintf(path, sizeof path, "%s/nowhere", box.path);
	fails(path, MAILDIR_UNUSABLE, ENOENT, path);
	put("file", "");
	snprintf(path, sizeof path, "%s/file", box.path);
	fails(path, MAILDIR_UNUSABLE, ENOTDIR, path);
	fails("", MAILDIR_UNUSABLE, ENOENT, "");
}

TEST(maildir_without_new_or_cur_is_unusable)
{
	assert_int_equal(unlinkat(box.fd, "cur", AT_REMOVEDIR), 0);
	fails(box.path, MAILDIR_UNUSABLE, ENOENT, "cur");
	put("cur", "a file\n");
	fails(box.path, MAILDIR_UNUSABLE, ENOTDIR, "cur");
	assert_int_equal(unlinkat(box.fd, "new", AT_REMOVEDIR), 0);
	fails(box.path, MAILDIR_UNUSABLE, ENOENT, "new");
	put_fifo("new");
	fails(box.path, MAILDIR_UNUSABLE, ENOTDIR, "new");
}

TEST(maildir_without_permission_is_unusable)
{
	assert_int_equal(fchmodat(box.fd, "new", 0, 0), 0);
	assert_int_equal(fchmod(box.fd, 0777), 0);
	be_nobody();
	fails(box.path, MAILDIR_UNUSABLE, EACCES, "new");
}

TEST(maildir_needs_no_tmp)
{
	assert_int_equal(unlinkat(box.fd, "tmp", AT_REMOVEDIR), 0);
	put("new/1.a", "a\n");
	open_box();
	assert_int_equal(m.snapshot.count, 1);
}

/* With ever lower limits of descriptors, opening fails at one place after another. */
static int open_with_few_descriptors(void)
{
	const struct maildir_wish wish = {.path = box.path, .lock = true};
	const size_t fds = unit_count_fds();
	const char *failed_path;
	int failures = 0;

	for (rlim_t more = 0; more < 12; more++) {
		struct rlimit limit = {0, 0};
		enum maildir_problem problem;
		int next = dup(0);

		close(next);
		limit.rlim_cur = limit.rlim_max = (rlim_t)next + more;
		/* Only the soft limit is lowered, so that it can be raised again. */
		limit.rlim_max = 64;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 100;
		problem = maildir_open(&m, &wish, &failed_path);
		limit.rlim_cur = 64;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 101;
		if (problem == MAILDIR_READY) {
			maildir_close(&m);
			return unit_count_fds() == fds ? failures : 103;
		}
		if (problem != MAILDIR_TEMPORARY || errno != EMFILE)
			return 104;
		if (unit_count_fds() != fds)
			return 105;
		failures++;
	}
	return 106;
}

TEST(lack_of_descriptors_is_temporary_and_leaves_none_open)
{
	/* The Maildir, the lock, new and cur are needed, and it must be known whether there are
	 * unique ids of another server; the rest is optional. */
	assert_int_equal(unit_in_child(open_with_few_descriptors), 5);
}

/* The lock. */

TEST(second_session_is_told_that_the_maildrop_is_in_use)
{
	struct maildir other;
	const struct maildir_wish wish = {.path = box.path, .lock = true};
	const char *failed_path;
	const size_t fds = unit_count_fds();

	put("new/1.a", "a\n");
	assert_int_equal(try_open_with(true, false), MAILDIR_READY);
	assert_int_equal(maildir_open(&other, &wish, &failed_path), MAILDIR_IN_USE);
	has_contents(1, "a\n");
	assert_int_equal(maildir_open(&other, &wish, &failed_path), MAILDIR_IN_USE);
	close_box();
	assert_int_equal(unit_count_fds(), fds);
	assert_int_equal(maildir_open(&other, &wish, &failed_path), MAILDIR_READY);
	maildir_close(&other);
}

TEST(without_the_wish_there_is_no_lock)
{
	struct maildir other;
	const struct maildir_wish wish = {.path = box.path};
	const char *failed_path;

	open_box();
	assert_int_equal(maildir_open(&other, &wish, &failed_path), MAILDIR_READY);
	maildir_close(&other);
	assert_gone("pop3d.lock");
	close_box();
	assert_int_equal(try_open_with(true, false), MAILDIR_READY);
	assert_int_equal(maildir_open(&other, &wish, &failed_path), MAILDIR_READY);
	maildir_close(&other);
}

TEST(lock_dies_with_its_process)
{
	int ready[2];
	char octet;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (try_open_with(true, false) != MAILDIR_READY || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(2);
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	assert_int_equal(try_open_with(true, false), MAILDIR_IN_USE);
	kill(pid, SIGKILL);
	assert_int_equal(unit_await(pid), 1000 + SIGKILL);
	assert_int_equal(try_open_with(true, false), MAILDIR_READY);
	close(ready[0]);
	close(ready[1]);
}

TEST(lock_never_follows_a_link)
{
	assert_int_equal(symlinkat("elsewhere", box.fd, "pop3d.lock"), 0);
	assert_int_equal(try_open_with(true, false), MAILDIR_UNUSABLE);
	assert_gone("elsewhere");
}

/* A second close must not close a descriptor that others have opened since. */
TEST(maildir_closed_is_as_never_opened)
{
	int fds[8];

	assert_int_equal(try_open_with(true, false), MAILDIR_READY);
	maildir_close(&m);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = dup(2);
	maildir_close(&m);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		assert_int_equal(close(fds[i]), 0);
	is_open = false;
	assert_int_equal(unlinkat(box.fd, "cur", AT_REMOVEDIR), 0);
	assert_int_equal(try_open_with(true, false), MAILDIR_UNUSABLE);
	fds[0] = dup(2);
	maildir_close(&m);
	assert_int_equal(close(fds[0]), 0);
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(maildir_that_is_missing_is_unusable),
	MAILDIR_TEST(maildir_without_new_or_cur_is_unusable),
	MAILDIR_TEST(maildir_without_permission_is_unusable),
	MAILDIR_TEST(maildir_needs_no_tmp),
	MAILDIR_TEST(lack_of_descriptors_is_temporary_and_leaves_none_open),
	MAILDIR_TEST(second_session_is_told_that_the_maildrop_is_in_use),
	MAILDIR_TEST(without_the_wish_there_is_no_lock),
	MAILDIR_TEST(lock_dies_with_its_process),
	MAILDIR_TEST(lock_never_follows_a_link),
	MAILDIR_TEST(maildir_closed_is_as_never_opened),
};

int main(void)
{
	return UNIT_RUN("maildir_open", tests);
}
