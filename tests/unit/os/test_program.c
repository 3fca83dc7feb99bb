/* program: the path of the file that a process runs from, however it was executed. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "os/program.h"

/* Executes this program by the given path, in a process of its own, to run the last test here,
 * and returns what it wrote. */
static void path_of_process(const char *path, char *told, size_t octets)
{
	char *const arguments[] = {(char *)(size_t) "test_program", NULL};
	int ends[2];
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("TELL_PATH_TO", "1", 1);
		dup2(ends[1], 1);
		execv(path, arguments);
		_exit(1);
	}
	close(ends[1]);
	got = read(ends[0], told, octets - 1);
	assert_true(got >= 0);
	told[got] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The constructor answers path_of_process before cmocka begins. */
__attribute__((constructor)) static void tell_path(void)
{
	char path[1024];

	if (getenv("TELL_PATH_TO") == NULL)
		return;
	if (!program_own_path(path, sizeof path))
		_exit(1);
	_exit(write(1, path, strlen(path)) < 0);
}

static void own_path(char *path, size_t octets)
{
	const ssize_t got = readlink("/proc/self/exe", path, octets - 1);

	assert_true(got > 0);
	path[got] = '\0';
}

TEST(an_absolute_path_is_told_as_it_is)
{
	char own[1024], told[1024];

	own_path(own, sizeof own);
	path_of_process(own, told, sizeof told);
	assert_string_equal(told, own);
}

TEST(the_directory_of_the_file_counts_and_not_that_of_a_link_to_it)
{
	char own[1024], told[1024], link[] = "/tmp/pop3d-unit-program-XXXXXX";

	own_path(own, sizeof own);
	assert_non_null(mkdtemp(link));
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(symlink(own, link), 0);
	path_of_process(link, told, sizeof told);
	assert_int_equal(unlink(link), 0);
	assert_string_equal(told, own);
}

TEST(a_relative_path_is_made_absolute)
{
	char own[1024], told[1024], here[1024];
	const char *name;

	own_path(own, sizeof own);
	name = strrchr(own, '/') + 1;
	assert_non_null(getcwd(here, sizeof here));
	own[name - own - 1] = '\0';
	assert_int_equal(chdir(own), 0);
	path_of_process(name, told, sizeof told);
	assert_int_equal(chdir(here), 0);
	own[name - own - 1] = '/';
	assert_string_equal(told, own);
}

TEST(a_path_that_does_not_fit_is_refused)
{
	char own[1024], path[1024];
	size_t length;

	own_path(own, sizeof own);
	length = strlen(own);
	assert_false(program_own_path(path, 4));
	assert_true(program_own_path(path, length + 1));
	assert_string_equal(path, own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absolute_path_is_told_as_it_is),
		cmocka_unit_test(the_directory_of_the_file_counts_and_not_that_of_a_link_to_it),
		cmocka_unit_test(a_relative_path_is_made_absolute),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
