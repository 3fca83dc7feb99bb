/* wire: when waiting ends: idle time, deadline, and the other descriptor that is watched. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/time.h>

#include "os/clock.h"
#include "tests/unit/unit_lines.h"

static void ends_in_time(enum wire_end expected, int64_t after_ms)
{
	const int64_t start_ms = unit_now_ms();

	ends(expected);
	assert_in_range(unit_now_ms() - start_ms, after_ms - 2, after_ms + 3000);
}

TEST(idle_client_times_out)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		ends_in_time(WIRE_TIMEOUT, SHORT_MS);
		link_close(&l);
	}
}

TEST(deadline_ends_the_conversation_before_the_idle_time)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.deadline_ms = clock_now_ms() + SHORT_MS;
		ends_in_time(WIRE_TIMEOUT, SHORT_MS);
		link_close(&l);
	}
}

TEST(idle_time_ends_the_conversation_before_the_deadline)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		w.deadline_ms = clock_now_ms() + LONG_MS;
		ends_in_time(WIRE_TIMEOUT, SHORT_MS);
		link_close(&l);
	}
}

/* Sends an octet now and then, never a line end, until it is ended. */
static pid_t dawdle(void)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (;;) {
		if (write(l.to_server, "x", 1) != 1)
			_exit(0);
		unit_sleep_ms(SHORT_MS / 6);
	}
}

TEST(octets_without_a_line_end_do_not_reset_the_idle_time)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		pid_t pid;

		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		pid = dawdle();
		ends_in_time(WIRE_TIMEOUT, SHORT_MS);
		kill(pid, SIGKILL);
		assert_int_equal(unit_await(pid), 1000 + SIGKILL);
		link_close(&l);
	}
}

TEST(each_command_resets_the_idle_time)
{
	const int64_t start_ms = unit_now_ms();
	const pid_t pid = (begin(&ways[0]), fork());

	if (pid == 0) {
		for (int i = 0; i < 6; i++) {
			unit_sleep_ms(80);
			if (write(l.to_server, "NOOP\r\n", 6) != 6)
				_exit(1);
		}
		_exit(0);
	}
	w.idle_ms = 400;
	for (int i = 0; i < 6; i++)
		reads_line("NOOP");
	assert_true(unit_now_ms() - start_ms > 400);
	assert_int_equal(unit_await(pid), 0);
	link_close(&l);
}

TEST(deadline_ends_a_conversation_with_a_client_that_never_stops)
{
	const int64_t start_ms = unit_now_ms();
	struct span line;
	pid_t pid;

	link_open(&l, LINK_SOCKET);
	wire_open(&w, l.in_fd, l.out_fd, WIRE_EXACT, 20000);
	w.deadline_ms = clock_now_ms() + 100;
	pid = fork();
	if (pid == 0) {
		char octets[4096];

		alarm(5);
		for (size_t i = 0; i < sizeof octets; i += 8)
			memcpy(octets + i, "CAPA\r\n\r\n", 8);
		close(l.in_fd);
		while (write(l.to_server, octets, sizeof octets) > 0)
			;
		_exit(0);
	}
	close(l.to_server);
	while (wire_read_line(&w, &line) == WIRE_LINE && unit_now_ms() - start_ms < 1500)
		;
	kill(pid, SIGKILL);
	unit_await(pid);
	close(l.in_fd);
	assert_in_range(unit_now_ms() - start_ms, 90, 1400);
	assert_int_equal(w.end, WIRE_TIMEOUT);
}

TEST(hang_up_of_the_watched_socket_ends_the_wait)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		int ends_of_watch[2];

		begin(&ways[i]);
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_of_watch),
			0);
		w.watch_fd = ends_of_watch[0];
		w.idle_ms = SHORT_MS;
		SAY("NOOP\r\n");
		/* What the other descriptor says is for somebody else and ends nothing. */
		assert_int_equal(write(ends_of_watch[1], "x", 1), 1);
		reads_line("NOOP");
		close(ends_of_watch[1]);
		ends(WIRE_ORPHAN);
		close(ends_of_watch[0]);
		link_close(&l);
	}
}

TEST(octets_on_the_watched_socket_do_not_end_the_wait)
{
	int ends_of_watch[2];

	begin(&ways[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends_of_watch), 0);
	w.watch_fd = ends_of_watch[0];
	w.idle_ms = SHORT_MS;
	assert_int_equal(write(ends_of_watch[1], "x", 1), 1);
	ends_in_time(WIRE_TIMEOUT, SHORT_MS);
	close(ends_of_watch[0]);
	close(ends_of_watch[1]);
	link_close(&l);
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
}

TEST(signals_do_not_end_a_wait)
{
	const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm}, old;

	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		begin(&ways[i]);
		w.idle_ms = SHORT_MS;
		assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
		ends_in_time(WIRE_TIMEOUT, SHORT_MS);
		assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
		link_close(&l);
	}
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	alarm(120);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(idle_client_times_out),
	cmocka_unit_test(deadline_ends_the_conversation_before_the_idle_time),
	cmocka_unit_test(idle_time_ends_the_conversation_before_the_deadline),
	cmocka_unit_test(octets_without_a_line_end_do_not_reset_the_idle_time),
	cmocka_unit_test(each_command_resets_the_idle_time),
	cmocka_unit_test(deadline_ends_a_conversation_with_a_client_that_never_stops),
	cmocka_unit_test(hang_up_of_the_watched_socket_ends_the_wait),
	cmocka_unit_test(octets_on_the_watched_socket_do_not_end_the_wait),
	cmocka_unit_test(signals_do_not_end_a_wait),
};

int main(void)
{
	return UNIT_RUN("wire_time", tests);
}
