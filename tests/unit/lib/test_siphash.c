/* siphash: the values that its authors published. */
#include "tests/unit/unit.h"

#include "lib/siphash.h"

static const uint64_t key[2] = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

TEST(published_values)
{
	static const uint64_t expected[] = {0x726fdb47dd0e0e31U, 0x74f839c593dc67fdU,
		0x0d6c8009d9a94f5aU, 0x85676696d7fb7e2dU, 0xcf2794e0277187b7U,
		0x18765564cd99a68dU, 0xcbc9466e58fee3ceU, 0xab0200f58b01d137U,
		0x93f5f5799a932462U, 0x9e0082df0ba9e4b0U, 0x7a5dbbc594ddb9f3U,
		0xf4b32f46226bada7U, 0x751e8fbc860ee5fbU, 0x14ea5627c0843d90U,
		0xf723ca908e7af2eeU, 0xa129ca6149be45e5U};
	unsigned char octets[16];

	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (unsigned char)i;
	for (size_t length = 0; length < COUNT_OF(expected); length++)
		assert_true(siphash(key, octets, length) == expected[length]);
}

TEST(each_octet_and_each_bit_of_the_key_counts)
{
	const uint64_t other[2] = {key[0] ^ 1, key[1]}, another[2] = {key[0], key[1] ^ 1};

	assert_true(siphash(key, "abcdefghi", 9) != siphash(key, "abcdefghj", 9));
	assert_true(siphash(key, "abc", 3) != siphash(key, "abc\0", 4));
	assert_true(siphash(key, "abc", 3) != siphash(other, "abc", 3));
	assert_true(siphash(key, "abc", 3) != siphash(another, "abc", 3));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(published_values),
	cmocka_unit_test(each_octet_and_each_bit_of_the_key_counts),
};

int main(void)
{
	return UNIT_RUN("siphash", tests);
}
