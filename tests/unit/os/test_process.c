/* process: pop3d undoes what a superserver left set: signals, descriptors, limits. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "os/process.h"

/* These tests change the whole process. Each runs in a process of its own and exits with the
 * number of the first failure. */

static bool is_default(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

static bool is_ignored(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static const int often_ignored[] = {
	SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2};

static bool nothing_is_blocked(void)
{
	sigset_t blocked;

	if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0)
		return false;
	for (int i = 1; i < 32; i++)
		if (sigismember(&blocked, i) == 1)
			return false;
	return true;
}

static void inherit_a_mess(void)
{
	sigset_t all;

	for (size_t i = 0; i < COUNT_OF(often_ignored); i++)
		signal(often_ignored[i], SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	umask(0);
}

static int reset_after_a_mess(void)
{
	inherit_a_mess();
	if (!process_reset())
		return 1;
	for (size_t i = 0; i < COUNT_OF(often_ignored); i++)
		if (!is_default(often_ignored[i]))
			return 2;
	if (!is_ignored(SIGPIPE))
		return 3;
	if (!nothing_is_blocked())
		return 4;
	return umask(0) == 077 ? 0 : 5;
}

TEST(reset_undoes_signals_masks_and_umask)
{
	assert_int_equal(unit_in_child(reset_after_a_mess), 0);
}

static int wait_for_a_child_after_reset(void)
{
	pid_t pid;
	int status;

	inherit_a_mess();
	process_reset();
	pid = fork();
	if (pid == 0)
		_exit(7);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return WEXITSTATUS(status) == 7 ? 0 : 2;
}

TEST(children_can_be_waited_for_though_sigchld_was_ignored)
{
	assert_int_equal(unit_in_child(wait_for_a_child_after_reset), 0);
}

static int default_all_signals(void)
{
	inherit_a_mess();
	signal(SIGPIPE, SIG_IGN);
	process_default_signals();
	for (size_t i = 0; i < COUNT_OF(often_ignored); i++)
		if (!is_default(often_ignored[i]))
			return 1;
	if (!is_default(SIGPIPE))
		return 2;
	return nothing_is_blocked() ? 0 : 3;
}

TEST(await_tells_how_a_child_ended)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	assert_true(pid > 0);
	assert_int_equal(WEXITSTATUS(process_await(pid)), 3);
	assert_int_equal(process_await(pid), 0);
	assert_int_equal(process_await(0), 0);
	assert_int_equal(process_await(-1), 0);
}

TEST(child_starts_with_default_signals_and_none_blocked)
{
	assert_int_equal(unit_in_child(default_all_signals), 0);
}

static int reset_with_stderr_closed(void)
{
	struct stat st, null;

	close(2);
	if (!process_reset())
		return 1;
	if (fstat(2, &st) != 0 || stat("/dev/null", &null) != 0)
		return 2;
	if (st.st_rdev != null.st_rdev || !S_ISCHR(st.st_mode))
		return 3;
	/* The next file that somebody opens must not get descriptor 2. */
	return open("/dev/null", O_RDONLY) > 2 ? 0 : 4;
}

TEST(standard_error_that_was_closed_becomes_dev_null)
{
	assert_int_equal(unit_in_child(reset_with_stderr_closed), 0);
}

static int reset_without_descriptor_0(void)
{
	close(0);
	return !process_reset() && errno == EBADF ? 0 : 1;
}

static int reset_without_descriptor_1(void)
{
	close(1);
	return !process_reset() && errno == EBADF ? 0 : 1;
}

static int reset_without_any(void)
{
	close(0);
	close(1);
	close(2);
	return !process_reset() && errno == EBADF ? 0 : 1;
}

TEST(connection_must_be_open)
{
	assert_int_equal(unit_in_child(reset_without_descriptor_0), 0);
	assert_int_equal(unit_in_child(reset_without_descriptor_1), 0);
	assert_int_equal(unit_in_child(reset_without_any), 0);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Opens some descriptors, closes all but the given ones, and checks. */
static int close_all_but(int first, int last)
{
	static const int fds[] = {3, 4, 5, 7, 10, 63, 64, 200};

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (dup2(0, fds[i]) != fds[i])
			return 1;
	for (int fd = first; fd <= last; fd++)
		if (dup2(0, fd) != fd)
			return 2;
	process_close_others(first, last);
	for (int fd = 0; fd < 256; fd++)
		if (is_open(fd) != (fd <= 2 || (fd >= first && fd <= last)))
			return 3;
	return 0;
}

static int close_all(void)
{
	return close_all_but(1, 0);
}

static int close_all_but_3(void)
{
	return close_all_but(3, 3);
}

static int close_all_but_7(void)
{
	return close_all_but(7, 7);
}

static int close_all_but_8_to_10(void)
{
	return close_all_but(8, 10);
}

static int close_all_but_200(void)
{
	return close_all_but(200, 200);
}

TEST(all_descriptors_above_2_are_closed_but_those_kept)
{
	assert_int_equal(unit_in_child(close_all), 0);
	assert_int_equal(unit_in_child(close_all_but_3), 0);
	assert_int_equal(unit_in_child(close_all_but_7), 0);
	assert_int_equal(unit_in_child(close_all_but_8_to_10), 0);
	assert_int_equal(unit_in_child(close_all_but_200), 0);
}

static int take_low_descriptors(void)
{
	process_close_others(1, 0);
	if (!process_take_low_descriptors())
		return 1;
	for (int fd = 3; fd < PROCESS_LOWEST_FREE; fd++)
		if (fcntl(fd, F_GETFD) != FD_CLOEXEC)
			return 2;
	return open("/dev/null", O_RDONLY) == PROCESS_LOWEST_FREE ? 0 : 3;
}

TEST(descriptors_with_a_meaning_to_checkers_are_taken)
{
	assert_int_equal(unit_in_child(take_low_descriptors), 0);
}

/* Finding programs. */

static struct unit_dir first, second;
static char path[1024];

static void put_program(const struct unit_dir *d, const char *name, mode_t mode)
{
	unit_write(d->fd, name, "#!/bin/sh\n", 10);
	assert_int_equal(fchmodat(d->fd, name, mode, 0), 0);
}

static int setup(void **state)
{
	char directories[600];

	(void)state;
	unit_dir_make(&first);
	unit_dir_make(&second);
	put_program(&first, "one", 0755);
	put_program(&second, "one", 0755);
	put_program(&first, "two", 0644);
	put_program(&second, "two", 0755);
	snprintf(directories, sizeof directories, "/nowhere:%s:%s", first.path, second.path);
	return setenv("PATH", directories, 1);
}

static int teardown(void **state)
{
	(void)state;
	unit_dir_remove(&first);
	unit_dir_remove(&second);
	return setenv("PATH", PROCESS_DEFAULT_PATH, 1);
}

/* The file of that name in the directory; NULL means no directory, only the name. */
static void finds(const char *name, const struct unit_dir *d)
{
	char expected[600];

	snprintf(expected, sizeof expected, "%s%s%s", d != NULL ? d->path : "",
		d != NULL ? "/" : "", name);
	assert_ptr_equal(process_find_program(name, path, sizeof path), path);
	assert_string_equal(path, expected);
}

TEST(program_is_the_first_executable_one_of_path)
{
	finds("one", &first);
	finds("two", &second);
	finds("three", NULL);
}

TEST(program_with_a_slash_is_not_looked_for)
{
	finds("./one", NULL);
	finds("/bin/one", NULL);
	finds("x/one", NULL);
}

/* An empty part would mean the current directory, which anybody may have chosen. */
TEST(current_directory_is_not_searched)
{
	char directories[600];
	const int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(fchdir(first.fd), 0);
	snprintf(directories, sizeof directories, ":%s:", second.path);
	assert_int_equal(setenv("PATH", directories, 1), 0);
	finds("one", &second);
	assert_int_equal(setenv("PATH", "", 1), 0);
	finds("one", NULL);
	assert_int_equal(setenv("PATH", "::", 1), 0);
	finds("one", NULL);
	assert_int_equal(fchdir(here), 0);
	close(here);
}

TEST(without_path_there_is_a_default)
{
	assert_int_equal(unsetenv("PATH"), 0);
	process_find_program("sh", path, sizeof path);
	assert_true(strcmp(path, "/usr/bin/sh") == 0 || strcmp(path, "/bin/sh") == 0);
}

TEST(path_that_is_too_long_is_cut_and_not_overrun)
{
	char *const directories = malloc(6000);
	char small[32];

	assert_non_null(directories);
	memset(directories, 'd', 5000);
	snprintf(directories + 5000, 1000, ":%s", first.path);
	assert_int_equal(setenv("PATH", directories, 1), 0);
	finds("one", &first);
	memset(small, '#', sizeof small);
	process_find_program("a-name-of-more-than-16-octets", small, 16);
	assert_string_equal(small, "a-name-of-more-");
	assert_int_equal(small[16], '#');
	free(directories);
}

#define PATH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(reset_undoes_signals_masks_and_umask),
	cmocka_unit_test(children_can_be_waited_for_though_sigchld_was_ignored),
	cmocka_unit_test(await_tells_how_a_child_ended),
	cmocka_unit_test(child_starts_with_default_signals_and_none_blocked),
	cmocka_unit_test(standard_error_that_was_closed_becomes_dev_null),
	cmocka_unit_test(connection_must_be_open),
	cmocka_unit_test(all_descriptors_above_2_are_closed_but_those_kept),
	cmocka_unit_test(descriptors_with_a_meaning_to_checkers_are_taken),
	PATH_TEST(program_is_the_first_executable_one_of_path),
	PATH_TEST(program_with_a_slash_is_not_looked_for),
	PATH_TEST(current_directory_is_not_searched),
	PATH_TEST(without_path_there_is_a_default),
	PATH_TEST(path_that_is_too_long_is_cut_and_not_overrun),
};

int main(void)
{
	return UNIT_RUN("process", tests);
}
