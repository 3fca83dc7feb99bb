/* address: each address has one textual form; and the rules of --trusted-proxy. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>

#include "lib/address.h"

/* Parses a text in an allocation of exactly its length. */
static bool parse(const char *text, size_t length, struct address *a)
{
	char *const exact = malloc(length + !length);
	bool good;

	memcpy(exact, text, length);
	good = address_parse(exact, length, a);
	free(exact);
	return good;
}

static void is_written(const char *text, const char *expected)
{
	struct address a;
	char written[ADDRESS_TEXT_OCTETS];

	if (!parse(text, strlen(text), &a))
		print_error("refused: %s\n", text);
	assert_true(parse(text, strlen(text), &a));
	address_write(&a, written);
	assert_text(expected, written, strlen(written));
}

TEST(v4_addresses)
{
	is_written("0.0.0.0", "0.0.0.0");
	is_written("255.255.255.255", "255.255.255.255");
	is_written("192.0.2.10", "192.0.2.10");
	is_written("10.9.99.100", "10.9.99.100");
}

TEST(no_v4_addresses)
{
	static const char *const bad[] = {"", ".", "1", "1.2.3", "1.2.3.", "1.2.3.4.",
		".1.2.3.4", "1..2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04", "00.0.0.0",
		"1.2.3.00", "256.1.1.1", "1.1.1.256", "1.1.1.1000",
		"1.1.1.99999999999999999999", "-1.2.3.4", "+1.2.3.4", " 1.2.3.4", "1.2.3.4 ",
		"1.2.3.4\n", "0x1.2.3.4", "1.2.3.a", "a.b.c.d", "1,2,3,4", "1.2.3.4/8"};
	struct address a;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(parse(bad[i], strlen(bad[i]), &a));
	assert_false(parse("1.2.3.4\0", 8, &a));
}

TEST(v6_addresses_as_rfc_5952_writes_them)
{
	is_written("::", "::");
	is_written("::1", "::1");
	is_written("1::", "1::");
	is_written("2001:DB8::1", "2001:db8::1");
	is_written("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1");
	is_written("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	is_written("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	is_written("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	is_written("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
	is_written("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8");
	is_written("1:0:0:0:0:0:0:0", "1::");
	is_written("0:0:0:0:0:0:0:1", "::1");
	is_written("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	is_written("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
	is_written("1:2:3:4:5:6:192.0.2.33", "1:2:3:4:5:6:c000:221");
	is_written("::192.0.2.33", "::c000:221");
}

TEST(mapped_v4_addresses_are_v4)
{
	is_written("::ffff:192.0.2.1", "192.0.2.1");
	is_written("::FFFF:c000:0201", "192.0.2.1");
	is_written("0:0:0:0:0:ffff:0:0", "0.0.0.0");
	is_written("::fffe:c000:201", "::fffe:c000:201");
	is_written("::1:ffff:c000:201", "::1:ffff:c000:201");
}

TEST(no_v6_addresses)
{
	static const char *const bad[] = {":", ":::", "::::", "1", "1:", ":1", "1:2", "1::2::3",
		":1::2", "1::2:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8", "12345::", "::00001", "::g", "fe80::1%eth0", "[::1]",
		" ::1", "::1 ", "::1\n", "::1.2.3", "::1.2.3.4.5", "::01.2.3.4", "::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "::1.2.3.256", "::ffff:1.2.3.4/96",
		"::1/128", "1.2.3.4:80", "::a.2.3.4", "::.1.2.3"};
	struct address a;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (parse(bad[i], strlen(bad[i]), &a))
			print_error("taken: %s\n", bad[i]);
		assert_false(parse(bad[i], strlen(bad[i]), &a));
	}
	assert_false(parse("::1\0", 4, &a));
}

/* inet_pton and inet_ntop of the C library serve as the model. */
static void same_as_library(const char *text, size_t length)
{
	char terminated[80], written[ADDRESS_TEXT_OCTETS], library[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	struct address a;
	const int family = memchr(text, ':', length) != NULL ? AF_INET6 : AF_INET;

	memcpy(terminated, text, length);
	terminated[length] = '\0';
	if (inet_pton(family, terminated, octets) != 1) {
		if (parse(text, length, &a))
			print_error("only we take: %s\n", terminated);
		assert_false(parse(text, length, &a));
		return;
	}
	if (!parse(text, length, &a))
		print_error("only the library takes: %s\n", terminated);
	assert_true(parse(text, length, &a));
	address_write(&a, written);
	assert_true(strlen(written) < INET6_ADDRSTRLEN);
	if (family == AF_INET6 && memcmp(octets, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
		assert_int_equal(a.length, 4);
		inet_ntop(AF_INET, octets + 12, library, sizeof library);
	} else {
		assert_int_equal(a.length, family == AF_INET ? 4 : 16);
		assert_memory_equal(a.octets, octets, a.length);
		inet_ntop(family, octets, library, sizeof library);
		if (family == AF_INET6 && strchr(library, '.') != NULL)
			return; /* inet_ntop writes ::/96 with dots, but RFC 5952 does not. */
	}
	assert_text(library, written, strlen(written));
}

TEST(all_is_read_and_written_as_by_the_library)
{
	static const char *const pieces[] = {":", "::", ":", "::", ".", "0", "1", "00", "ffff",
		"a0B", "0000", "12345", "10", "255", "256", "1.2.3.4", "0:0", "/", "g", "01"};
	uint64_t random = 4291;

	for (unsigned run = 0; run < 300000; run++) {
		char text[80];
		size_t length = 0;

		for (uint64_t n = unit_random(&random) % 17; n > 0; n--) {
			const char *const piece = pieces[unit_random(&random) %
							 (n % 2 == 0 ? 4 : COUNT_OF(pieces))];

			if (length + strlen(piece) > 60)
				break;
			memcpy(text + length, piece, strlen(piece));
			length += strlen(piece);
		}
		same_as_library(text, length);
	}
}

TEST(random_addresses_are_written_as_by_the_library)
{
	uint64_t random = 5952;

	for (unsigned run = 0; run < 300000; run++) {
		unsigned char octets[16] = {0};
		char text[INET6_ADDRSTRLEN];
		const uint64_t zeros = unit_random(&random);

		for (size_t i = 0; i < 16; i++)
			if ((zeros >> i / 2 & 1) != 0 && (zeros >> (8 + i) & 1) != 0)
				octets[i] = (unsigned char)unit_random(&random);
		inet_ntop(run % 2 == 0 ? AF_INET6 : AF_INET, octets, text, sizeof text);
		same_as_library(text, strlen(text));
	}
}

static bool matches(const char *address, const char *rule)
{
	struct address_rule parsed;

	assert_true(address_rule_parse(rule, &parsed));
	return address_rules_match(&parsed, 1, address);
}

TEST(rules_for_v4)
{
	assert_true(matches("10.1.2.3", "10.0.0.0/8"));
	assert_false(matches("11.1.2.3", "10.0.0.0/8"));
	assert_true(matches("192.0.2.127", "192.0.2.0/25"));
	assert_false(matches("192.0.2.128", "192.0.2.0/25"));
	assert_true(matches("192.0.2.7", "192.0.2.7"));
	assert_true(matches("192.0.2.7", "192.0.2.7/32"));
	assert_false(matches("192.0.2.6", "192.0.2.7/32"));
	assert_true(matches("192.0.2.6", "192.0.2.6/31"));
	assert_true(matches("192.0.2.7", "192.0.2.6/31"));
	assert_true(matches("255.255.255.255", "0.0.0.0/0"));
	assert_true(matches("127.0.0.1", "0.0.0.0/1"));
	assert_false(matches("128.0.0.1", "0.0.0.0/1"));
}

TEST(rules_for_v6)
{
	assert_true(matches("2001:db8::1", "2001:db8::/32"));
	assert_false(matches("2001:db9::1", "2001:db8::/32"));
	assert_true(matches("::1", "::1"));
	assert_true(matches("0:0:0:0:0:0:0:1", "::1/128"));
	assert_false(matches("::2", "::1"));
	assert_true(matches("2001:db8:0:7fff::", "2001:db8::/49"));
	assert_false(matches("2001:db8:0:8000::", "2001:db8::/49"));
	assert_true(matches("fe80::1", "::/0"));
}

TEST(rules_of_one_family_do_not_match_the_other)
{
	assert_false(matches("192.0.2.1", "::/0"));
	assert_false(matches("::ffff:192.0.2.1", "::/0"));
	assert_false(matches("::1", "0.0.0.0/0"));
	assert_false(matches("::", "0.0.0.0/0"));
}

TEST(mapped_addresses_match_as_v4)
{
	assert_true(matches("::ffff:10.1.2.3", "10.0.0.0/8"));
	assert_true(matches("10.1.2.3", "::ffff:10.0.0.0/104"));
	assert_false(matches("11.1.2.3", "::ffff:10.0.0.0/104"));
	assert_true(matches("10.1.2.3", "::ffff:0:0/96"));
	assert_true(matches("10.1.2.3", "::ffff:10.1.2.3"));
	assert_true(matches("10.1.2.3", "::ffff:a01:203/128"));
}

TEST(rules_that_are_not_clear_are_refused)
{
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ", "10.0.0.0/ 8",
		"10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/4294967304", "10.0.0.1/8",
		"10.0.0.0/6", "10/8", "::/129", "::1/127", "2001:db8::1/64", "::ffff:0:0/95",
		"::ffff:10.0.0.0/8", "::ffff:10.0.0.1/104", "localhost", "*", "10.0.0.*",
		"[::1]/128"};
	struct address_rule rule;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (address_rule_parse(bad[i], &rule))
			print_error("taken: %s\n", bad[i]);
		assert_false(address_rule_parse(bad[i], &rule));
	}
	assert_false(matches("", "0.0.0.0/0"));
	assert_false(matches("10.0.0.1 ", "0.0.0.0/0"));
}

/* Every length is compared with a comparison bit by bit. */
TEST(rules_of_every_length)
{
	uint64_t random = 4632;

	for (unsigned run = 0; run < 100000; run++) {
		const size_t length = run % 2 == 0 ? 4 : 16;
		unsigned char one[16], other[16];
		struct address_rule rule;
		struct address a;
		bool same = true;

		for (size_t i = 0; i < 16; i++)
			one[i] = other[i] = (unsigned char)unit_random(&random);
		other[unit_random(&random) % 16] ^=
			(unsigned char)(1 << unit_random(&random) % 8);
		rule.bits = (unsigned)(unit_random(&random) % (length * 8 + 1));
		rule.address = address_of(one, length);
		a = address_of(other, length);
		for (size_t bit = 0; bit < rule.bits; bit++)
			same = same &&
			       ((one[bit / 8] ^ other[bit / 8]) >> (7 - bit % 8) & 1) == 0;
		assert_int_equal(address_rule_matches(&rule, &a), same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4_addresses),
		cmocka_unit_test(no_v4_addresses),
		cmocka_unit_test(v6_addresses_as_rfc_5952_writes_them),
		cmocka_unit_test(mapped_v4_addresses_are_v4),
		cmocka_unit_test(no_v6_addresses),
		cmocka_unit_test(all_is_read_and_written_as_by_the_library),
		cmocka_unit_test(random_addresses_are_written_as_by_the_library),
		cmocka_unit_test(rules_for_v4),
		cmocka_unit_test(rules_for_v6),
		cmocka_unit_test(rules_of_one_family_do_not_match_the_other),
		cmocka_unit_test(mapped_addresses_match_as_v4),
		cmocka_unit_test(rules_that_are_not_clear_are_refused),
		cmocka_unit_test(rules_of_every_length),
	};

	return UNIT_RUN("address", tests);
}
