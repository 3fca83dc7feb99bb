/* argument: numbers and users on command lines. */
#include "tests/unit/unit.h"

#include "lib/argument.h"

TEST(numbers_are_decimal_and_within_bounds)
{
	static const char *const wrong[] = {
		"", " 5", "5 ", "-5", "+5", "0x5", "5.0", "4", "11", "18446744073709551616"};
	uint64_t number;
	int64_t seconds;

	assert_true(argument_number("5", 5, 10, &number));
	assert_int_equal(number, 5);
	assert_true(argument_seconds("10", 5, 10, &seconds));
	assert_int_equal(seconds, 10);
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_false(argument_number(wrong[i], 5, 10, &number));
		assert_false(argument_seconds(wrong[i], 5, 10, &seconds));
	}
}

TEST(users_are_numbers_and_never_root)
{
	static const char *const wrong[] = {"", ":", "0", "0:5", "5:0", "5:", ":5", "nobody",
		"5:mail", "5:6:7", "-1", "4294967295", "5:4294967295", "4294967296"};
	uid_t uid = 1;
	gid_t gid = 2;

	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(argument_user(wrong[i], &uid, &gid));
	assert_int_equal(uid, 1);
	assert_int_equal(gid, 2);
	assert_true(argument_user("5", &uid, &gid));
	assert_int_equal(uid, 5);
	assert_int_equal(gid, 5);
	assert_true(argument_user("4294967294:6", &uid, &gid));
	assert_int_equal(uid, 4294967294U);
	assert_int_equal(gid, 6);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(numbers_are_decimal_and_within_bounds),
	cmocka_unit_test(users_are_numbers_and_never_root),
};

int main(void)
{
	return UNIT_RUN("argument", tests);
}
