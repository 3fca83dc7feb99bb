/* number: decimal numbers. */
#include "tests/unit/unit.h"

#include "lib/number.h"

TEST(numbers_are_decimal_without_a_limit)
{
	static const struct {
		uint64_t number;
		const char *text;
	} known[] = {{0, "0"}, {9, "9"}, {10, "10"}, {4294967297, "4294967297"},
		{UINT64_MAX, "18446744073709551615"}};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		char digits[NUMBER_DIGITS];
		const size_t length = number_write(digits, known[i].number);
		uint64_t again = 0;

		assert_text(known[i].text, digits, length);
		assert_true(number_parse(digits, length, &again));
		assert_int_equal(again, known[i].number);
	}
}

TEST(larger_numbers_are_the_largest)
{
	static const char *const larger[] = {"18446744073709551616", "99999999999999999999999"};

	for (size_t i = 0; i < COUNT_OF(larger); i++) {
		uint64_t number = 0;

		assert_true(number_parse(larger[i], strlen(larger[i]), &number));
		assert_true(number == UINT64_MAX);
	}
}

TEST(octets_that_are_no_number_leave_it_alone)
{
	static const char *const wrong[] = {"", " ", "1 ", " 1", "+1", "-1", "1a", "0x1", "1."};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		uint64_t number = 7;

		assert_false(number_parse(wrong[i], strlen(wrong[i]), &number));
		assert_int_equal(number, 7);
	}
}

TEST(digits_at_the_start_are_taken)
{
	static const struct {
		const char *text;
		size_t digits;
		uint64_t number;
	} known[] = {{"", 0, 0}, {"x1", 0, 0}, {"12.M3", 2, 12}, {"007,", 3, 7},
		{"9999999999999999999x", 19, 9999999999999999999U},
		{"18446744073709551615", 20, UINT64_MAX},
		{"18446744073709551616:", 20, UINT64_MAX},
		{"0000000000000000000000000000000012", 34, 12},
		{"99999999999999999999999999", 26, UINT64_MAX}};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		uint64_t number = 7;

		assert_int_equal(number_take(known[i].text, strlen(known[i].text), &number),
			known[i].digits);
		assert_true(number == known[i].number);
	}
	for (size_t length = 0; length < 4; length++) {
		uint64_t number;

		assert_int_equal(number_take("1234", length, &number), length);
	}
}

TEST(hexadecimal_digits_are_as_many_as_needed_or_all)
{
	static const struct {
		uint64_t number;
		const char *digits, *all;
	} numbers[] = {
		{0, "0", "0000000000000000"},
		{15, "f", "000000000000000f"},
		{16, "10", "0000000000000010"},
		{0xabc, "abc", "0000000000000abc"},
		{0x0fedcba987654321, "fedcba987654321", "0fedcba987654321"},
		{UINT64_MAX, "ffffffffffffffff", "ffffffffffffffff"},
	};

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		char digits[NUMBER_HEX_DIGITS], all[NUMBER_HEX_DIGITS];
		const size_t octets = number_write_hex(digits, numbers[i].number);

		assert_text(numbers[i].digits, digits, octets);
		number_write_all_hex(all, numbers[i].number);
		assert_text(numbers[i].all, all, sizeof all);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(numbers_are_decimal_without_a_limit),
	cmocka_unit_test(larger_numbers_are_the_largest),
	cmocka_unit_test(octets_that_are_no_number_leave_it_alone),
	cmocka_unit_test(digits_at_the_start_are_taken),
	cmocka_unit_test(hexadecimal_digits_are_as_many_as_needed_or_all),
};

int main(void)
{
	return UNIT_RUN("number", tests);
}
