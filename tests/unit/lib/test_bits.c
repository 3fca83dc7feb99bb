/* bits: sets of every size around the length of a word, and the words beside them. */
#include "tests/unit/unit.h"

#include "lib/bits.h"

#define GUARD 0x5a5a5a5a5a5a5a5aU

static const size_t sizes[] = {0, 1, 63, 64, 65, 127, 128};

TEST(words_hold_the_numbers_and_no_more)
{
	static const size_t words[] = {0, 1, 1, 1, 2, 2, 2};

	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		assert_int_equal(bits_words(sizes[i]), words[i]);
	assert_int_equal(bits_words(SIZE_MAX), SIZE_MAX / 64 + 1);
}

TEST(each_number_is_added_and_removed_alone)
{
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		uint64_t words[4] = {0};
		struct bits b;

		bits_start(&b, words, sizes[i]);
		for (size_t n = 0; n < sizes[i]; n++) {
			bits_add(&b, n);
			bits_add(&b, n);
			assert_int_equal(b.count, 1);
			for (size_t other = 0; other < sizes[i] + 70; other++)
				assert_int_equal(bits_has(&b, other), other == n);
			bits_remove(&b, n);
			bits_remove(&b, n);
			assert_int_equal(b.count, 0);
			assert_false(bits_has(&b, n));
		}
	}
}

TEST(nothing_beside_the_words_is_written)
{
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		const size_t used = bits_words(sizes[i]);
		uint64_t words[8];
		struct bits b;

		for (size_t j = 0; j < COUNT_OF(words); j++)
			words[j] = j >= 1 && j <= used ? 0 : GUARD;
		bits_start(&b, words + 1, sizes[i]);
		for (size_t n = 0; n < sizes[i] + 3; n++)
			bits_add(&b, n);
		assert_int_equal(b.count, sizes[i]);
		bits_clear(&b);
		assert_int_equal(b.count, 0);
		assert_true(words[0] == GUARD);
		for (size_t j = 1; j < COUNT_OF(words); j++)
			assert_true(words[j] == (j <= used ? 0 : GUARD));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(words_hold_the_numbers_and_no_more),
	cmocka_unit_test(each_number_is_added_and_removed_alone),
	cmocka_unit_test(nothing_beside_the_words_is_written),
};

int main(void)
{
	return UNIT_RUN("bits", tests);
}
