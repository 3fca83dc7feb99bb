/* watch: what is said of a session that works, waits, is stopped, or has no client any more. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "auth/watch.h"

static void wait_ms(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* A child that waits, or one that always does something; it runs when this returns. */
static pid_t start(bool busy)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0)
		if (!busy)
			pause();
	wait_ms(50);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

TEST(client_that_is_gone_gives_a_session_the_idle_time_at_most)
{
	const pid_t pid = start(false);
	struct watch w;

	watch_start(&w, pid, 200);
	assert_int_equal(watch_look(&w), WATCH_GOOD);
	watch_lose_client(&w);
	assert_int_equal(watch_look(&w), WATCH_GOOD);
	wait_ms(300);
	assert_int_equal(watch_look(&w), WATCH_CLIENT_GONE);
	end(pid);
}

TEST(session_that_works_may_finish_without_a_client)
{
	const pid_t pid = start(true);
	struct watch w;

	watch_start(&w, pid, 200);
	watch_lose_client(&w);
	for (int i = 0; i < 4; i++) {
		wait_ms(150);
		assert_int_equal(watch_look(&w), WATCH_GOOD);
	}
	kill(pid, SIGSTOP);
	wait_ms(300);
	(void)watch_look(&w);
	wait_ms(300);
	assert_int_equal(watch_look(&w), WATCH_CLIENT_GONE);
	end(pid);
}

TEST(session_with_a_client_may_be_idle_a_little_longer_than_it_says)
{
	const pid_t pid = start(false);
	struct watch w;

	watch_start(&w, pid, 100);
	wait_ms(200);
	assert_int_equal(watch_look(&w), WATCH_GOOD);
	w.moved_ms -= WATCH_SLACK_MS;
	assert_int_equal(watch_look(&w), WATCH_STALLED);
	end(pid);
}

TEST(session_without_an_idle_timeout_is_watched_only_without_a_client)
{
	const pid_t pid = start(false);
	struct watch w;

	watch_start(&w, pid, -1);
	w.moved_ms -= 10 * WATCH_GONE_MS;
	assert_int_equal(watch_look(&w), WATCH_GOOD);
	assert_true(watch_next_ms(&w) < 0);
	watch_lose_client(&w);
	assert_int_equal(watch_look(&w), WATCH_CLIENT_GONE);
	assert_true(watch_next_ms(&w) > 0);
	end(pid);
}

TEST(nothing_is_found_of_a_process_that_is_not_there)
{
	const pid_t pid = start(false);
	struct watch w;

	end(pid);
	watch_start(&w, pid, 1);
	watch_lose_client(&w);
	wait_ms(50);
	assert_int_equal(watch_look(&w), WATCH_GOOD);
	assert_true(watch_next_ms(&w) < 0);
}

TEST(session_has_moved_if_it_used_processor_time_since_the_last_look)
{
	const pid_t idle = start(false), busy = start(true);
	bool has_moved = false;
	struct watch w;

	watch_start(&w, idle, 1000);
	wait_ms(50);
	assert_false(watch_has_moved(&w));
	watch_start(&w, busy, 1000);
	/* on a machine with much to do, it may wait for a processor */
	for (int i = 0; i < 100 && !has_moved; i++) {
		wait_ms(100);
		has_moved = watch_has_moved(&w);
	}
	assert_true(has_moved);
	end(idle);
	end(busy);
	assert_false(watch_has_moved(&w));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(client_that_is_gone_gives_a_session_the_idle_time_at_most),
	cmocka_unit_test(session_that_works_may_finish_without_a_client),
	cmocka_unit_test(session_with_a_client_may_be_idle_a_little_longer_than_it_says),
	cmocka_unit_test(session_without_an_idle_timeout_is_watched_only_without_a_client),
	cmocka_unit_test(session_has_moved_if_it_used_processor_time_since_the_last_look),
	cmocka_unit_test(nothing_is_found_of_a_process_that_is_not_there),
};

int main(void)
{
	return UNIT_RUN("watch", tests);
}
