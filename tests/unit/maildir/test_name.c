/* name: unique names of Maildir messages (RFC 1939 section 7, doc/MAILDIR). */
#include "tests/unit/unit.h"

#include "maildir/name.h"

TEST(unique_name_goes_up_to_the_first_colon)
{
	assert_int_equal(uid_unique_octets("1.a.b", 5), 5);
	assert_int_equal(uid_unique_octets("1.a.b:2,S", 9), 5);
	assert_int_equal(uid_unique_octets("1.a.b:2,S:x", 11), 5);
	assert_int_equal(uid_unique_octets(":2,S", 4), 0);
	assert_int_equal(uid_unique_octets("1.a:b", 3), 3);
	assert_int_equal(uid_unique_octets("", 0), 0);
}

/* What programs of Windows write, which may have no ':' in a name. */
TEST(unique_name_goes_up_to_a_separator_of_windows)
{
	assert_int_equal(uid_unique_octets("1.a.b;2,S", 9), 5);
	assert_int_equal(uid_unique_octets("1.a.b!2,", 8), 5);
	assert_int_equal(uid_unique_octets("1.a,S=5,W=6;2,S", 15), 11);
	assert_int_equal(uid_unique_octets(";2,", 3), 0);
	assert_int_equal(uid_unique_octets("1.a;2", 5), 5);
	assert_int_equal(uid_unique_octets("1.a;3,S", 7), 7);
	assert_int_equal(uid_unique_octets("2,S", 3), 3);
	/* one that got a second separator keeps the unique name that it has had since */
	assert_int_equal(uid_unique_octets("1.a;2,S:2,S", 11), 7);
}

static void is_uid(const char *unique, uint64_t shared, const char *expected)
{
	char text[UID_TEXT_OCTETS];
	const size_t octets = uid_text(text, unique, strlen(unique), shared);

	assert_int_equal(strlen(text), octets);
	assert_octets(unique, strlen(unique), expected, strlen(expected), text, octets);
}

static void is_hashed(char *text, const char *unique, size_t octets, uint64_t shared)
{
	assert_int_equal(uid_text(text, unique, octets, shared), 32);
	assert_int_equal(text[32], '\0');
	assert_int_equal(strspn(text, "0123456789abcdef"), 32);
}

TEST(unique_id_is_the_unique_name)
{
	is_uid("1130000000.M1P2.host,S=512,W=530", 0, "1130000000.M1P2.host,S=512,W=530");
	is_uid("!", 0, "!");
	is_uid("~", 0, "~");
	is_uid("0123456789012345678901234567890123456789012345678901234567890123456789", 0,
		"0123456789012345678901234567890123456789012345678901234567890123456789");
}

TEST(name_of_71_octets_is_hashed)
{
	char text[UID_TEXT_OCTETS], name[UID_NAME_OCTETS];

	memset(name, 'x', sizeof name);
	for (size_t octets = 71; octets <= sizeof name; octets++)
		is_hashed(text, name, octets, 0);
	assert_int_equal(uid_text(text, name, 70, 0), 70);
}

TEST(name_with_other_octets_than_21_to_7e_is_hashed)
{
	char text[UID_TEXT_OCTETS], name[] = "1.a.b";

	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 5; at += 2) {
			name[at] = (char)c;
			if (c >= 0x21 && c <= 0x7e)
				assert_int_equal(uid_text(text, name, 5, 0), 5);
			else
				is_hashed(text, name, 5, 0);
			memcpy(name, "1.a.b", 5);
		}
	is_hashed(text, "", 0, 0);
}

TEST(name_that_another_file_keeps_gets_the_inode)
{
	char text[UID_TEXT_OCTETS], hash[UID_TEXT_OCTETS], name[UID_NAME_OCTETS + 1];
	size_t octets;

	is_uid("1.a.b", 1, "1.a.b-i1");
	is_uid("1.a.b", 0x10f, "1.a.b-i10f");
	is_uid("1.a,S=5,W=6", UINT64_MAX, "1.a-iffffffffffffffff,S=5,W=6");
	is_uid(",S=5", 2, "-i2,S=5");
	/* the unique-id is that of the name which the file gets */
	memset(name, 'x', sizeof name);
	for (size_t length = 60; length <= UID_NAME_OCTETS - 3; length++) {
		char own[UID_NAME_OCTETS];

		octets = uid_twin_name(own, name, length, 7);
		assert_int_equal(octets, length + 3);
		assert_int_equal(uid_text(text, name, length, 7), octets <= 70 ? octets : 32);
		uid_text(hash, own, octets, 0);
		assert_string_equal(text, hash);
	}
	/* a name that has no room for the inode */
	assert_int_equal(uid_twin_name(name, name, UID_NAME_OCTETS - 2, 7), 0);
	is_hashed(text, name, UID_NAME_OCTETS - 2, 7);
	is_hashed(hash, name, UID_NAME_OCTETS - 2, 8);
	assert_string_not_equal(text, hash);
}

static void is_untwinned(const char *unique, const char *original, uint64_t inode)
{
	char name[UID_NAME_OCTETS];
	uint64_t found;
	const size_t octets = uid_untwin_name(name, unique, strlen(unique), &found);

	assert_int_equal(octets, strlen(original));
	assert_memory_equal(name, original, octets);
	if (octets > 0)
		assert_int_equal(found, inode);
}

TEST(name_with_the_inode_tells_the_name_before)
{
	is_untwinned("1.a.b-i1", "1.a.b", 1);
	is_untwinned("1.a.b-i10f", "1.a.b", 0x10f);
	is_untwinned("1.a-iffffffffffffffff,S=5,W=6", "1.a,S=5,W=6", UINT64_MAX);
	is_untwinned("-i2,S=5", ",S=5", 2);
	is_untwinned("1.a-i1-i2", "1.a-i1", 2);
	is_untwinned("1.a-i", "", 0);
	is_untwinned("1.a-iF", "", 0);
	is_untwinned("1.a-i10000000000000000", "", 0);
	is_untwinned("1.a-j5", "", 0);
	is_untwinned("i5", "", 0);
	is_untwinned("5", "", 0);
	is_untwinned("1.a,S=5-i2", "", 0);
	is_untwinned("", "", 0);
}

static bool has_only_fields(const char *unique)
{
	return uid_has_only_fields(unique, strlen(unique));
}

TEST(fields_are_told_from_other_commas)
{
	assert_true(has_only_fields("1.a"));
	assert_true(has_only_fields("1.a,S=5"));
	assert_true(has_only_fields("1.a,U=12,FMD5=ab.c"));
	assert_true(has_only_fields("1.a,S="));
	assert_false(has_only_fields("mail,001"));
	assert_false(has_only_fields("mail,"));
	assert_false(has_only_fields("mail,=5"));
	assert_false(has_only_fields("mail,S=5,001"));
	assert_false(has_only_fields("mail,S=5,"));
	assert_false(uid_has_only_fields("mail,S=", 6));
}

static int compare_texts(const void *a, const void *b)
{
	return memcmp(a, b, UID_TEXT_OCTETS);
}

TEST(hashes_of_different_names_differ)
{
	enum { NAMES = 20000 };
	char(*const texts)[UID_TEXT_OCTETS] = calloc(NAMES, UID_TEXT_OCTETS);
	char name[100];

	assert_non_null(texts);
	for (int i = 0; i < NAMES; i++) {
		const int octets = snprintf(name, sizeof name, "%080d", i);

		is_hashed(texts[i], name, (size_t)octets, 0);
	}
	qsort(texts, NAMES, UID_TEXT_OCTETS, compare_texts);
	for (int i = 1; i < NAMES; i++)
		assert_string_not_equal(texts[i - 1], texts[i]);
	free(texts);
}

TEST(hash_is_the_same_for_ever)
{
	is_uid("with a blank", 0, "f0610e33838628788959ec0c2bf7f878");
}

static void is_time(const char *unique, uint64_t seconds, uint32_t microseconds)
{
	const struct uid_time time = uid_delivery_time(unique, strlen(unique));

	if (time.seconds != seconds || time.microseconds != microseconds)
		print_error("name: %s\n", unique);
	assert_int_equal(time.seconds, seconds);
	assert_int_equal(time.microseconds, microseconds);
}

TEST(delivery_time_is_seconds_and_microseconds)
{
	is_time("1130000000.M123456P7V0001I2_0.host,S=1", 1130000000, 123456);
	is_time("1130000000.P7M5.host", 1130000000, 5);
	is_time("1130000000.7.host", 1130000000, 0);
	is_time("0.M1.host", 0, 1);
	is_time("0001.M000001Q1.host", 1, 1);
	is_time("1.M2", 1, 2);
	is_time("1.", 1, 0);
}

TEST(microseconds_stand_between_the_first_two_dots_only)
{
	is_time("5.1.M77", 5, 0);
	is_time("5..M77", 5, 0);
	is_time("5.host,M=3", 5, 0);
	is_time("5.MM3.host", 5, 3);
	is_time("5.MaxM4.host", 5, 4);
	is_time("5.M.7", 5, 0);
	is_time("5.m7.host", 5, 0);
	is_time("5.M-7.host", 5, 0);
}

TEST(name_without_a_time_is_of_time_zero)
{
	is_time("", 0, 0);
	is_time("5", 0, 0);
	is_time("msg.42", 0, 0);
	is_time(".5", 0, 0);
	is_time("-5.M1.h", 0, 0);
	is_time("+5.M1.h", 0, 0);
	is_time(" 5.M1.h", 0, 0);
	is_time("5x.M1.h", 0, 0);
	is_time("5,S=3", 0, 0);
	is_time("0x10.M1.h", 0, 0);
}

TEST(time_that_overflows_is_the_latest)
{
	is_time("4294967297.M4294967294.h", 4294967297, 4294967294);
	is_time("1.M4294967295.h", 1, UINT32_MAX);
	is_time("1.M4294967296.h", 1, UINT32_MAX);
	is_time("1.M4294967297.h", 1, UINT32_MAX);
	is_time("1.M18446744073709551617.h", 1, UINT32_MAX);
	is_time("18446744073709551615.M1.h", UINT64_MAX, 1);
	is_time("18446744073709551616.M1.h", UINT64_MAX, 1);
	is_time("99999999999999999999999999999999999999.M1.h", UINT64_MAX, 1);
}

TEST(delivery_time_reads_no_further_than_its_octets)
{
	assert_int_equal(uid_delivery_time("123.M45", 2).seconds, 0);
	assert_int_equal(uid_delivery_time("123.M45", 4).seconds, 123);
	assert_int_equal(uid_delivery_time("123.M45", 5).microseconds, 0);
	assert_int_equal(uid_delivery_time("123.M45", 6).microseconds, 4);
}

static void has_size(const char *unique, bool expected, uint64_t octets)
{
	uint64_t size = 7;
	const bool found = uid_size_field(unique, strlen(unique), 'W', &size);

	if (found != expected || (expected && size != octets))
		print_error("name: %s\n", unique);
	assert_int_equal(found, expected);
	if (expected)
		assert_int_equal(size, octets);
}

TEST(size_field_is_read)
{
	has_size("1.M1P1.host,W=530", true, 530);
	has_size("1.M1P1.host,S=512,W=530", true, 530);
	has_size("1.M1P1.host,W=530,S=512", true, 530);
	has_size("1.a.b,W=0", true, 0);
	has_size("1.a.b,W=00012", true, 12);
	has_size("1.a.b,W=9", true, 9);
	has_size(",W=1", true, 1);
	has_size("1.a.b,W=4294967297", true, 4294967297);
	has_size("1.a.b,W=17592186044416", true, UID_SIZE_MOST);
}

/* No sum of sizes can wrap, and no large size can appear as a small one. */
TEST(size_field_that_no_message_can_have_is_none)
{
	has_size("1.a.b,W=17592186044417", false, 0);
	has_size("1.a.b,W=9223372036854775808", false, 0);
	has_size("1.a.b,W=18446744073709551615", false, 0);
	has_size("1.a.b,W=18446744073709551616", false, 0);
	has_size("1.a.b,W=18446744073709551617", false, 0);
	has_size("1.a.b,W=100000000000000000000000000000000000000,S=5", false, 0);
}

TEST(size_field_that_is_no_number_is_none)
{
	static const char *const names[] = {"", "W=5", ",W=", ",W", "1.a.b,W=", "1.a.b,W=,S=3",
		"1.a.b,W=12x", "1.a.b,W=x12", "1.a.b,W=-1", "1.a.b,W=+1", "1.a.b,W= 1",
		"1.a.b,W=1 ", "1.a.b,W=0x10", "1.a.b,w=5", "1.a.b,S=5", "1.a.b,VW=5",
		"1.a.b,W5", "1.a.bW=5", "1.a.b.W=5", "1.a.b,W=1.5", "1.a.b,S=W=5"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		has_size(names[i], false, 0);
}

TEST(size_field_after_a_broken_one_is_read)
{
	has_size("1.a.b,W=x,W=5", true, 5);
	has_size("1.a.b,W=,W=5", true, 5);
	has_size("1.a.b,W=5,W=6", true, 5);
}

TEST(size_field_in_the_info_part_is_not_seen)
{
	const char *const name = "1.a.b:2,W=5,W=5";
	uint64_t size;

	assert_false(uid_size_field(name, uid_unique_octets(name, strlen(name)), 'W', &size));
}

TEST(size_field_reads_no_further_than_its_octets)
{
	uint64_t size = 0;

	assert_true(uid_size_field(",W=123", 5, 'W', &size));
	assert_int_equal(size, 12);
	assert_false(uid_size_field(",W=123", 3, 'W', &size));
	assert_true(uid_size_field("x,S=123,W=9", 11, 'S', &size));
	assert_int_equal(size, 123);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(unique_name_goes_up_to_the_first_colon),
	cmocka_unit_test(unique_name_goes_up_to_a_separator_of_windows),
	cmocka_unit_test(unique_id_is_the_unique_name),
	cmocka_unit_test(name_of_71_octets_is_hashed),
	cmocka_unit_test(name_with_other_octets_than_21_to_7e_is_hashed),
	cmocka_unit_test(name_that_another_file_keeps_gets_the_inode),
	cmocka_unit_test(name_with_the_inode_tells_the_name_before),
	cmocka_unit_test(fields_are_told_from_other_commas),
	cmocka_unit_test(hashes_of_different_names_differ),
	cmocka_unit_test(hash_is_the_same_for_ever),
	cmocka_unit_test(delivery_time_is_seconds_and_microseconds),
	cmocka_unit_test(microseconds_stand_between_the_first_two_dots_only),
	cmocka_unit_test(name_without_a_time_is_of_time_zero),
	cmocka_unit_test(time_that_overflows_is_the_latest),
	cmocka_unit_test(delivery_time_reads_no_further_than_its_octets),
	cmocka_unit_test(size_field_is_read),
	cmocka_unit_test(size_field_that_no_message_can_have_is_none),
	cmocka_unit_test(size_field_that_is_no_number_is_none),
	cmocka_unit_test(size_field_after_a_broken_one_is_read),
	cmocka_unit_test(size_field_in_the_info_part_is_not_seen),
	cmocka_unit_test(size_field_reads_no_further_than_its_octets),
};

int main(void)
{
	return UNIT_RUN("uid", tests);
}
