/* lower: which octets change. */
#include "tests/unit/unit.h"

#include "lib/lower.h"

TEST(only_ascii_letters_change)
{
	for (int i = 0; i < 256; i++) {
		const char c = (char)i;
		const char *const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
		const char *const found = c != '\0' ? strchr(upper, c) : NULL;
		const char expected =
			found != NULL ? "abcdefghijklmnopqrstuvwxyz"[found - upper] : c;

		assert_int_equal(lower_of(c), expected);
	}
}

TEST(octets_after_the_length_stay)
{
	char octets[] = "A\xc4 bC\0ZZ";

	lower_octets(octets, 6);
	assert_memory_equal(octets, "a\xc4 bc\0ZZ", sizeof octets);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(only_ascii_letters_change),
	cmocka_unit_test(octets_after_the_length_stay),
};

int main(void)
{
	return UNIT_RUN("lower", tests);
}
