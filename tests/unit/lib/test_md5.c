/* Tests of md5 with the examples of RFC 1321. */
#include "tests/unit/unit.h"

#include "lib/md5.h"

static void has_digest(const char *octets, size_t length, const char *expected)
{
	char digits[MD5_DIGITS];

	md5_digits(digits, octets, length);
	assert_memory_equal(digits, expected, sizeof digits);
}

TEST(md5_of_the_suite_in_rfc_1321)
{
	static const struct {
		const char *octets, *digest;
	} suite[] = {{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"a", "0cc175b9c0f1b6a831c399e269772661"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
		{"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
			"d174ab98d277d9f5a5611c2c9f419d9f"},
		{"1234567890123456789012345678901234567890123456789012345678901234567890"
		 "1234567890",
			"57edf4a22be3c955ac49da2e2107b67a"}};

	for (size_t i = 0; i < COUNT_OF(suite); i++)
		has_digest(suite[i].octets, strlen(suite[i].octets), suite[i].digest);
}

/* The padding takes one block or two. */
TEST(md5_of_lengths_around_a_block)
{
	char octets[128];

	memset(octets, 'x', sizeof octets);
	has_digest(octets, 55, "04364420e25c512fd958a70738aa8f72");
	has_digest(octets, 56, "668a72d5ba17f08e62dabcafad6db14b");
	has_digest(octets, 64, "c1bb4f81d892b2d57947682aeb252456");
	has_digest(octets, 119, "ab347a5f68c8a443cfcddc633f12c24f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_of_the_suite_in_rfc_1321),
		cmocka_unit_test(md5_of_lengths_around_a_block),
	};

	return UNIT_RUN("md5", tests);
}
