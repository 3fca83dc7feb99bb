/* checker: how a checkpassword program starts (descriptors, environment, signals), and what
 * it reports. The checkers are small shell scripts. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "auth/checker.h"
#include "os/handover.h"
#include "os/process.h"

static struct unit_dir dir; /* The current directory of every checker in this file. */
static struct invocation s;
static struct settings o;
static const struct peer p = {.protocol = "TCP", .remote_ip = "192.0.2.1"};
static struct checker c;
static bool logs_stderr;

static int setup(void **state)
{
	(void)state;
	unit_dir_make(&dir);
	logs_stderr = false;
	o = (struct settings){.asked = {.idle_seconds = 600, .host = "mail"},
		.found = {.client_ip = "192.0.2.1"}};
	c = (struct checker){.status_fd = -1, .stderr_fd = -1};
	if (getuid() == 0)
		assert_int_equal(chmod(dir.path, 0777), 0);
	return fchdir(dir.fd);
}

static int teardown(void **state)
{
	(void)state;
	checker_close(&c);
	unit_dir_remove(&dir);
	return chdir("/");
}

static struct request request_of(enum mechanism kind, const char *login, const char *password)
{
	struct request request = {.kind = (uint16_t)kind,
		.login_octets = (uint16_t)strlen(login),
		.password_octets = (uint16_t)strlen(password)};

	memcpy(request.octets, login, strlen(login));
	memcpy(request.octets + strlen(login), password, strlen(password));
	return request;
}

static void prepare(char **checker)
{
	o.asked.checker = checker;
	for (o.asked.checker_count = 0; checker[o.asked.checker_count] != NULL;)
		o.asked.checker_count++;
	assert_true(invocation_make(&s, &o, &p));
}

static void start_prepared(const struct request *request, const char *timestamp)
{
	assert_true(checker_start(&c, &s, request, timestamp, logs_stderr));
	assert_true(c.pid > 0);
	assert_true(c.status_fd > 2);
	assert_int_equal(c.stderr_fd > 2, logs_stderr);
}

/* Starts a shell with the script, for joe with the password sesame. */
static void start(const char *script)
{
	static char text[2048];
	static char *shell[] = {"/bin/sh", "-c", text, NULL};
	const struct request request = request_of(MECHANISM_USER, "joe", "sesame");

	snprintf(text, sizeof text, "%s", script);
	prepare(shell);
	start_prepared(&request, "<1.2@mail>");
}

/* Waits for octets on a descriptor of the checker. Returns their count, 0 at the end. */
static size_t hear(int fd, char *octets, size_t room)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	ssize_t length;

	assert_int_equal(poll(&polled, 1, 10000), 1);
	length = read(fd, octets, room);
	assert_true(length >= 0);
	return (size_t)length;
}

TEST(credentials_are_login_nul_password_nul_timestamp_nul)
{
	start("cat <&3 >got");
	assert_int_equal(unit_await(c.pid), 0);
	{
		char got[600];
		const ssize_t length = unit_read(dir.fd, "got", got, sizeof got);

		assert_octets(NULL, 0, "joe\0sesame\0<1.2@mail>", 22, got, (size_t)length);
	}
}

TEST(credentials_of_512_octets_arrive_whole)
{
	static char *shell[] = {"/bin/sh", "-c", "cat <&3 >got", NULL};
	char login[201], password[201], timestamp[110], expected[512], got[600];
	struct request request;

	memset(login, '\xff', 200);
	memset(password, ' ', 200);
	memset(timestamp, 't', 109);
	login[200] = password[200] = timestamp[109] = '\0';
	request = request_of(MECHANISM_APOP, login, password);
	memcpy(expected, login, 201);
	memcpy(expected + 201, password, 201);
	memcpy(expected + 402, timestamp, 110);
	prepare(shell);
	start_prepared(&request, timestamp);
	assert_int_equal(unit_await(c.pid), 0);
	assert_int_equal(unit_read(dir.fd, "got", got, sizeof got), 512);
	assert_octets(NULL, 0, expected, 512, got, 512);
}

/* A long token is written completely before the checker reads. */
TEST(longest_credentials_arrive_whole)
{
	static char *shell[] = {"/bin/sh", "-c", "cat <&3 >got", NULL};
	static struct request request;
	char *const got = malloc(2 * REQUEST_OCTETS);

	assert_non_null(got);
	request = request_of(MECHANISM_OAUTHBEARER, "joe", "");
	request.password_octets = REQUEST_OCTETS - 3;
	memset(request.octets + 3, 't', REQUEST_OCTETS - 3);
	prepare(shell);
	start_prepared(&request, "");
	assert_int_equal(unit_await(c.pid), 0);
	assert_int_equal(unit_read(dir.fd, "got", got, 2 * REQUEST_OCTETS), REQUEST_OCTETS + 3);
	assert_memory_equal(got, "joe\0ttt", 7);
	assert_memory_equal(got + 4, request.octets + 3, REQUEST_OCTETS - 3);
	assert_memory_equal(got + REQUEST_OCTETS + 1, "\0\0", 2);
	free(got);
}

TEST(checker_knows_the_mechanism)
{
	static char *shell[] = {"/bin/sh", "-c", "echo $AUTH_MECHANISM >>got", NULL};
	static const enum mechanism mechanisms[] = {MECHANISM_USER, MECHANISM_OAUTHBEARER,
		MECHANISM_APOP, MECHANISM_CRAM_MD5, MECHANISM_USER};

	prepare(shell);
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
		const struct request request = request_of(mechanisms[i], "joe", "x");

		start_prepared(&request, "");
		assert_int_equal(unit_await(c.pid), 0);
		checker_close(&c);
	}
	assert_file(dir.fd, "got", "USER\nOAUTHBEARER\nAPOP\nCRAM-MD5\nUSER\n");
}

TEST(checker_gets_the_environment_that_was_built)
{
	static char *env[] = {"/bin/sh", "-c", "exec /usr/bin/env >got", NULL};
	const struct request request = request_of(MECHANISM_USER, "joe", "x");
	char expected[2000];

	assert_int_equal(setenv("LD_LIBRARY_PATH", "/nowhere", 1), 0);
	assert_int_equal(setenv("MAILDIR", "/nowhere", 1), 0);
	prepare(env);
	start_prepared(&request, "");
	assert_int_equal(unit_await(c.pid), 0);
	assert_int_equal(unsetenv("LD_LIBRARY_PATH"), 0);
	assert_int_equal(unsetenv("MAILDIR"), 0);
	{
		const ssize_t length = unit_read(dir.fd, "got", expected, sizeof expected - 1);

		assert_true(length > 0);
		expected[length] = '\0';
	}
	assert_null(strstr(expected, "nowhere"));
	assert_non_null(strstr(expected, "PROTO=TCP\n"));
	assert_non_null(strstr(expected, "TCPREMOTEIP=192.0.2.1\n"));
	assert_non_null(strstr(expected, "SERVICE=pop3\n"));
	assert_non_null(strstr(expected, "AUTH_MECHANISM=USER\n"));
}

TEST(checker_gets_the_session_as_its_arguments)
{
	start("shift; echo \"$*\" >got");
	assert_int_equal(unit_await(c.pid), 0);
	assert_file(dir.fd, "got",
		"--hostname=mail --idle-timeout=600 --status-fd=7 --client-ip=192.0.2.1 "
		"--offer=0 --language=en --appended -- Maildir\n");
}

/* Lists the descriptors of the shell without opening one. */
#define LIST_DESCRIPTORS                                                                       \
	"n=0; while [ $n -lt 64 ]; do [ -e /proc/$$/fd/$n ] && all=\"$all$n \"; "              \
	"n=$((n + 1)); done; echo \"$all\" >got"

TEST(checker_has_descriptors_0_1_2_3_and_7_only)
{
	start(LIST_DESCRIPTORS);
	assert_int_equal(unit_await(c.pid), 0);
	assert_file(dir.fd, "got", "0 1 2 3 7 \n");
}

TEST(descriptor_7_cannot_be_read_and_descriptor_3_not_written)
{
	start("exec 2>/dev/null; read x <&7 && exit 1; echo x >&3 && exit 2; exit 0");
	assert_int_equal(unit_await(c.pid), 0);
}

TEST(descriptor_3_ends_after_the_credentials)
{
	/* If a write end stayed open, this would wait for ever. */
	start("cat <&3 >/dev/null; cat <&3 >/dev/null; exit 9");
	assert_int_equal(unit_await(c.pid), 9);
}

static void with_own_signals(bool blocked)
{
	sigset_t set;

	signal(SIGPIPE, blocked ? SIG_IGN : SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* The bits of the first 31 signals in a line of /proc/PID/status. */
static unsigned signals_of(const char *status, const char *name)
{
	const char *const line = strstr(status, name);

	assert_non_null(line);
	return (unsigned)strtoull(line + strlen(name), NULL, 16) & 0x7fffffff;
}

TEST(checker_starts_with_default_signals)
{
	char got[4000];
	ssize_t length;

	with_own_signals(true);
	start("cat /proc/self/status >got");
	assert_int_equal(unit_await(c.pid), 0);
	with_own_signals(false);
	length = unit_read(dir.fd, "got", got, sizeof got - 1);
	assert_true(length > 0);
	got[length] = '\0';
	assert_int_equal(signals_of(got, "SigBlk:"), 0);
	assert_int_equal(signals_of(got, "SigIgn:"), 0);
}

TEST(octet_of_the_session_comes_through)
{
	char octets[8];

	start("printf L >&7");
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), 1);
	assert_int_equal(octets[0], HANDOVER_SESSION_RUNS);
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), 0);
	assert_int_equal(unit_await(c.pid), 0);
}

TEST(status_ends_with_a_checker_that_says_nothing)
{
	char octets[8];

	start("exit 1");
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), 0);
	assert_int_equal(unit_await(c.pid), 1);
}

TEST(checker_that_closes_all_descriptors_does_no_harm)
{
	char octets[8];

	start("exec 3<&- 7>&- 2>&- 1>&- 0<&-; exec sleep 20");
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), 0);
	assert_true(checker_kill(&c, SIGKILL));
	assert_int_equal(unit_await(c.pid), 1000 + SIGKILL);
}

TEST(checker_that_never_reads_holds_nobody_up)
{
	const int64_t start_ms = unit_now_ms();

	start("exec sleep 20");
	assert_in_range(unit_now_ms() - start_ms, 0, 5000);
	assert_true(checker_kill(&c, SIGKILL));
	assert_int_equal(unit_await(c.pid), 1000 + SIGKILL);
}

TEST(standard_error_is_relayed_where_asked_for)
{
	char octets[64];
	size_t length;

	logs_stderr = true;
	start("echo oops >&2; exit 111");
	length = hear(c.stderr_fd, octets, sizeof octets);
	assert_text("oops\n", octets, length);
	assert_int_equal(hear(c.stderr_fd, octets, sizeof octets), 0);
	assert_int_equal(unit_await(c.pid), 111);
}

static void complain(void)
{
	start("echo oops >&2; exit 111");
	unit_await(c.pid);
}

TEST(standard_error_is_inherited_else)
{
	char octets[64];

	assert_text("oops\n", octets, unit_stderr_of(complain, octets, sizeof octets));
}

/* If a program cannot be run, the errno is reported. */
static void cannot_be_run(char *program, int error_number)
{
	char *checker[] = {program, NULL};
	const struct request request = request_of(MECHANISM_USER, "joe", "x");
	char octets[64];
	int got;

	prepare(checker);
	start_prepared(&request, "");
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), sizeof got);
	memcpy(&got, octets, sizeof got);
	if (got != error_number)
		print_error("%s: %s\n", program, strerror(got));
	assert_int_equal(got, error_number);
	assert_int_equal(hear(c.status_fd, octets, sizeof octets), 0);
	assert_int_equal(unit_await(c.pid), 126);
	checker_close(&c);
}

static void put_script(const char *name, const char *text, mode_t mode)
{
	unit_write(dir.fd, name, text, strlen(text));
	assert_int_equal(fchmodat(dir.fd, name, mode, 0), 0);
}

TEST(program_that_cannot_be_run_is_told_with_its_errno)
{
	cannot_be_run("/no/such/program", ENOENT);
	cannot_be_run("no-such-program", ENOENT);
	cannot_be_run("/", EACCES);
	cannot_be_run("/dev/null/x", ENOTDIR);
	put_script("plain", "#!/bin/sh\n", 0644);
	cannot_be_run("./plain", EACCES);
	put_script("no-interpreter", "#!/no/such/shell\n", 0755);
	cannot_be_run("./no-interpreter", ENOENT);
	put_script("garbage",
		"\x7f"
		"ELF",
		0755);
	cannot_be_run("./garbage", ENOEXEC);
}

TEST(script_is_a_checker_as_well)
{
	char *checker[] = {"./script", "argument", NULL};
	const struct request request = request_of(MECHANISM_USER, "joe", "x");

	put_script(
		"script", "#!/bin/sh\ncat <&3 >/dev/null\necho \"$1 $3\" >got\nexit 3\n", 0755);
	prepare(checker);
	start_prepared(&request, "");
	assert_int_equal(unit_await(c.pid), 3);
	assert_file(dir.fd, "got", "argument --session\n");
}

/* Killing. */

TEST(what_the_checker_started_is_killed_with_it)
{
	char octets[64];
	pid_t grandchild;
	int tries = 0;

	logs_stderr = true;
	start("sleep 100 & echo $! >&2; wait");
	octets[hear(c.stderr_fd, octets, sizeof octets - 1)] = '\0';
	grandchild = (pid_t)strtol(octets, NULL, 10);
	assert_true(grandchild > 1);
	assert_int_equal(getpgid(grandchild), c.pid);
	assert_true(checker_kill(&c, SIGKILL));
	assert_int_equal(unit_await(c.pid), 1000 + SIGKILL);
	/* Nobody waits for this process, so the end of its pipe shows its death. */
	assert_int_equal(hear(c.stderr_fd, octets, sizeof octets), 0);
	while (kill(grandchild, 0) == 0 && tries++ < 100)
		unit_sleep_ms(5);
}

TEST(checker_has_a_process_group_before_start_returns)
{
	for (int i = 0; i < 20; i++) {
		start("exec sleep 20");
		assert_true(c.has_group);
		assert_int_equal(getpgid(c.pid), c.pid);
		assert_true(checker_kill(&c, SIGTERM));
		assert_int_equal(unit_await(c.pid), 1000 + SIGTERM);
		checker_close(&c);
	}
}

TEST(killing_what_is_gone_is_told)
{
	start("exit 0");
	assert_int_equal(unit_await(c.pid), 0);
	errno = 0;
	assert_false(checker_kill(&c, SIGKILL));
	assert_int_equal(errno, ESRCH);
}

/* This process starts a checker and dies. The checker holds the write end. */
static int start_and_die(void)
{
	char octet;

	start("printf x >&7; exec sleep 100");
	return read(c.status_fd, &octet, 1) == 1 ? 0 : 1;
}

TEST(checker_dies_with_the_monitor)
{
	int ends[2];
	char octet;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(unit_in_child(start_and_die), 0);
	close(ends[1]);
	{
		struct pollfd polled = {.fd = ends[0], .events = POLLIN};

		assert_int_equal(poll(&polled, 1, 10000), 1);
	}
	assert_int_equal(read(ends[0], &octet, 1), 0);
	close(ends[0]);
}

TEST(terminal_keeps_its_foreground_group)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), kept = dup(0);
	int terminal;

	assert_true(master >= 0 && kept >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(dup2(terminal, 0), 0);
	start("exec sleep 20");
	assert_int_equal(dup2(kept, 0), 0);
	assert_false(c.has_group);
	assert_int_equal(getpgid(c.pid), getpgid(0));
	assert_true(checker_kill(&c, SIGKILL));
	assert_int_equal(unit_await(c.pid), 1000 + SIGKILL);
	close(kept);
	close(terminal);
	close(master);
}

/* Failures. */

static int start_with_few_descriptors(void)
{
	static char *checker[] = {"/bin/true", NULL};
	const struct request request = request_of(MECHANISM_USER, "joe", "x");
	const size_t fds = unit_count_fds();
	const int next = dup(0);
	int failures = 0;

	close(next);
	prepare(checker);
	for (rlim_t more = 0; more < 8; more++) {
		struct rlimit limit = {.rlim_cur = (rlim_t)next + more, .rlim_max = 100};
		bool started;
		int error_number;

		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 100;
		errno = 0;
		started = checker_start(&c, &s, &request, "", true);
		error_number = errno;
		limit.rlim_cur = 100;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 101;
		if (started) {
			checker_close(&c);
			unit_await(c.pid);
			return unit_count_fds() == fds ? failures : 102;
		}
		if (error_number != EMFILE || unit_count_fds() != fds)
			return 103;
		failures++;
	}
	return 104;
}

TEST(lack_of_descriptors_is_told_and_leaves_none_open)
{
	assert_int_equal(unit_in_child(start_with_few_descriptors), 6);
}

TEST(closing_leaves_no_descriptor_open)
{
	const size_t fds = unit_count_fds();

	logs_stderr = true;
	start("exit 0");
	assert_int_equal(unit_count_fds(), fds + 2);
	assert_int_equal(unit_await(c.pid), 0);
	checker_close(&c);
	checker_close(&c);
	assert_int_equal(unit_count_fds(), fds);
}

TEST(descriptors_of_one_checker_are_not_inherited_by_the_next)
{
	struct checker first;

	logs_stderr = true;
	start("exec sleep 20");
	first = c;
	start(LIST_DESCRIPTORS);
	assert_int_equal(unit_await(c.pid), 0);
	assert_file(dir.fd, "got", "0 1 2 3 7 \n");
	assert_true(checker_kill(&first, SIGKILL));
	assert_int_equal(unit_await(first.pid), 1000 + SIGKILL);
	checker_close(&first);
}

#define CHECKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	CHECKER_TEST(credentials_are_login_nul_password_nul_timestamp_nul),
	CHECKER_TEST(credentials_of_512_octets_arrive_whole),
	CHECKER_TEST(longest_credentials_arrive_whole),
	CHECKER_TEST(checker_knows_the_mechanism),
	CHECKER_TEST(checker_gets_the_environment_that_was_built),
	CHECKER_TEST(checker_gets_the_session_as_its_arguments),
	CHECKER_TEST(checker_has_descriptors_0_1_2_3_and_7_only),
	CHECKER_TEST(descriptor_7_cannot_be_read_and_descriptor_3_not_written),
	CHECKER_TEST(descriptor_3_ends_after_the_credentials),
	CHECKER_TEST(checker_starts_with_default_signals),
	CHECKER_TEST(octet_of_the_session_comes_through),
	CHECKER_TEST(status_ends_with_a_checker_that_says_nothing),
	CHECKER_TEST(checker_that_closes_all_descriptors_does_no_harm),
	CHECKER_TEST(checker_that_never_reads_holds_nobody_up),
	CHECKER_TEST(standard_error_is_relayed_where_asked_for),
	CHECKER_TEST(standard_error_is_inherited_else),
	CHECKER_TEST(program_that_cannot_be_run_is_told_with_its_errno),
	CHECKER_TEST(script_is_a_checker_as_well),
	CHECKER_TEST(what_the_checker_started_is_killed_with_it),
	CHECKER_TEST(checker_has_a_process_group_before_start_returns),
	CHECKER_TEST(killing_what_is_gone_is_told),
	CHECKER_TEST(checker_dies_with_the_monitor),
	CHECKER_TEST(terminal_keeps_its_foreground_group),
	CHECKER_TEST(lack_of_descriptors_is_told_and_leaves_none_open),
	CHECKER_TEST(closing_leaves_no_descriptor_open),
	CHECKER_TEST(descriptors_of_one_checker_are_not_inherited_by_the_next),
};

/* Descriptors as the monitor has them. The terminal of the test is never the client's. */
int main(void)
{
	const int null_fd = open("/dev/null", O_RDWR);

	dup2(null_fd, 0);
	process_close_others(1, 0);
	if (!process_take_low_descriptors())
		return 1;
	return UNIT_RUN("checker", tests);
}
