/* handover: what a session tells the monitor, and what it does if the checker prevents that. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "os/clock.h"
#include "os/handover.h"

/* Each test runs in a process of its own, with its own connection on descriptor 1. The parent
 * holds the connection as the monitor does. */
static int connection[2], status[2];
static enum handover_form form;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, connection), 0);
	assert_int_equal(pipe2(status, O_CLOEXEC), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		close(connection[i]);
		close(status[i]);
	}
	return 0;
}

/* True if the monitor sees the mark. */
static int look(void)
{
	return dup2(connection[0], 1) == 1 && handover_connection_is_marked();
}

/* What the monitor finds in the pipe. */
static size_t read_status(char *octets, size_t room)
{
	assert_int_equal(fcntl(status[0], F_SETFL, O_NONBLOCK), 0);
	{
		const ssize_t length = read(status[0], octets, room);

		return length < 0 ? 0 : (size_t)length;
	}
}

static int announce(int fd)
{
	if (dup2(connection[0], 1) != 1)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	handover_finish(handover_announce(fd, form));
	return fcntl(HANDOVER_FD, F_GETFD) < 0 ? 0 : 2;
}

static int announce_on_pipe(void)
{
	return dup2(status[1], HANDOVER_FD) == HANDOVER_FD ? announce(HANDOVER_FD) : 3;
}

TEST(session_says_so_and_which_process_it_is_and_closes)
{
	struct handover message[2];

	assert_int_equal(unit_in_child(announce_on_pipe), 0);
	assert_int_equal(read_status((char *)message, sizeof message), 5);
	assert_int_equal(message[0].runs, HANDOVER_SESSION_RUNS);
	assert_true(message[0].pid > 0 && message[0].pid != getpid());
	assert_int_equal(unit_in_child(look), 0);
}

TEST(session_tells_a_monitor_of_the_first_version_one_octet)
{
	char octets[8];

	form = HANDOVER_OCTET;
	assert_int_equal(unit_in_child(announce_on_pipe), 0);
	form = HANDOVER_WHOLE;
	assert_int_equal(read_status(octets, sizeof octets), 1);
	assert_int_equal(octets[0], HANDOVER_SESSION_RUNS);
	assert_int_equal(unit_in_child(look), 0);
}

/* The session goes on when the monitor has read the message and closed its end, and if that
 * takes long without it. */
static int64_t wait_of_session(long monitor_ms)
{
	int ends[2];
	struct handover message;
	int64_t begin_ms;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		const struct timespec pause = {monitor_ms / 1000, monitor_ms % 1000 * 1000000};

		close(ends[1]);
		if (read(ends[0], &message, sizeof message) < 0)
			_exit(1);
		nanosleep(&pause, NULL);
		_exit(0);
	}
	close(ends[0]);
	begin_ms = clock_now_ms();
	handover_finish(handover_announce(ends[1], HANDOVER_WHOLE));
	begin_ms = clock_now_ms() - begin_ms;
	assert_true(fcntl(ends[1], F_GETFD) < 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return begin_ms;
}

TEST(session_waits_until_the_monitor_has_taken_the_message)
{
	const int64_t waited_ms = wait_of_session(300);

	assert_true(waited_ms >= 250 && waited_ms < HANDOVER_WAIT_MS);
	assert_true(wait_of_session(0) < 250);
	assert_in_range(wait_of_session(60000), HANDOVER_WAIT_MS - 50, HANDOVER_WAIT_MS + 2000);
}

static int announce_on_nothing(void)
{
	close(HANDOVER_FD);
	return announce(HANDOVER_FD);
}

TEST(session_whose_checker_closed_the_descriptor_marks_the_connection)
{
	assert_int_equal(unit_in_child(look), 0);
	assert_int_equal(unit_in_child(announce_on_nothing), 0);
	assert_int_equal(unit_in_child(look), 1);
}

static int announce_on_pipe_without_reader(void)
{
	int ends[2];

	if (pipe(ends) != 0 || dup2(ends[1], HANDOVER_FD) != HANDOVER_FD)
		return 3;
	close(ends[0]);
	return announce(HANDOVER_FD);
}

TEST(session_that_cannot_write_marks_the_connection)
{
	assert_int_equal(unit_in_child(announce_on_pipe_without_reader), 0);
	assert_int_equal(unit_in_child(look), 1);
}

static int file_of_the_checker;

static int announce_on_a_file(void)
{
	if (dup2(file_of_the_checker, HANDOVER_FD) != HANDOVER_FD)
		return 3;
	return announce(HANDOVER_FD);
}

TEST(file_that_the_checker_opened_there_is_not_written_to)
{
	file_of_the_checker = memfd_create("database", MFD_CLOEXEC);
	assert_true(file_of_the_checker >= 0);
	assert_int_equal(unit_in_child(announce_on_a_file), 0);
	assert_int_equal(lseek(file_of_the_checker, 0, SEEK_END), 0);
	assert_int_equal(unit_in_child(look), 1);
	close(file_of_the_checker);
}

static int announce_to_nobody(void)
{
	if (dup2(status[1], HANDOVER_FD) != HANDOVER_FD || dup2(connection[0], 1) != 1)
		return 1;
	handover_finish(handover_announce(-1, form));
	return fcntl(HANDOVER_FD, F_GETFD) >= 0 ? 0 : 2;
}

TEST(session_without_a_monitor_says_nothing)
{
	char octets[8];

	assert_int_equal(unit_in_child(announce_to_nobody), 0);
	assert_int_equal(read_status(octets, sizeof octets), 0);
	assert_int_equal(unit_in_child(look), 0);
}

#define HANDOVER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	HANDOVER_TEST(session_says_so_and_which_process_it_is_and_closes),
	HANDOVER_TEST(session_tells_a_monitor_of_the_first_version_one_octet),
	HANDOVER_TEST(session_waits_until_the_monitor_has_taken_the_message),
	HANDOVER_TEST(session_whose_checker_closed_the_descriptor_marks_the_connection),
	HANDOVER_TEST(session_that_cannot_write_marks_the_connection),
	HANDOVER_TEST(file_that_the_checker_opened_there_is_not_written_to),
	HANDOVER_TEST(session_without_a_monitor_says_nothing),
};

int main(void)
{
	return UNIT_RUN("announce", tests);
}
