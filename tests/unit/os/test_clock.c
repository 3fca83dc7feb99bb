/* clock: time-outs for poll. */
#include "tests/unit/unit.h"

#include <limits.h>
#include <poll.h>

#include "os/clock.h"

TEST(time_goes_on)
{
	const int64_t start_ms = clock_now_ms();

	unit_sleep_ms(20);
	assert_in_range(clock_now_ms() - start_ms, 19, 3000);
}

TEST(no_deadline_is_no_limit)
{
	assert_int_equal(clock_poll_timeout(-1), -1);
	assert_int_equal(clock_poll_timeout(INT64_MIN), -1);
}

TEST(deadline_that_passed_does_not_wait)
{
	assert_int_equal(clock_poll_timeout(0), 0);
	assert_int_equal(clock_poll_timeout(clock_now_ms()), 0);
	assert_int_equal(clock_poll_timeout(clock_now_ms() - 1000), 0);
}

TEST(deadline_ahead_is_waited_for_and_not_much_longer)
{
	const int timeout_ms = clock_poll_timeout(clock_now_ms() + 500);

	assert_in_range(timeout_ms, 1, 501);
	assert_true(timeout_ms > 300);
}

/* Rounding down would make the last millisecond a busy loop. */
TEST(poll_wakes_when_the_deadline_has_passed)
{
	for (int i = 0; i < 20; i++) {
		const int64_t deadline_ms = clock_now_ms() + 3;

		poll(NULL, 0, clock_poll_timeout(deadline_ms));
		assert_true(clock_now_ms() >= deadline_ms);
	}
}

TEST(far_deadline_fits_an_int)
{
	assert_int_equal(clock_poll_timeout(INT64_MAX), INT_MAX);
	assert_int_equal(clock_poll_timeout(clock_now_ms() + INT_MAX + 10000LL), INT_MAX);
	assert_in_range(clock_poll_timeout(clock_now_ms() + INT_MAX), INT_MAX - 5000, INT_MAX);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(time_goes_on),
	cmocka_unit_test(no_deadline_is_no_limit),
	cmocka_unit_test(deadline_that_passed_does_not_wait),
	cmocka_unit_test(deadline_ahead_is_waited_for_and_not_much_longer),
	cmocka_unit_test(poll_wakes_when_the_deadline_has_passed),
	cmocka_unit_test(far_deadline_fits_an_int),
};

int main(void)
{
	return UNIT_RUN("clock", tests);
}
