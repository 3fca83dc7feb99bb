/* base64 and utf8: what RFC 4648, RFC 5034 section 4 and RFC 3629 allow, and nothing else. */
#include "tests/unit/unit.h"

#include "lib/base64.h"
#include "lib/utf8.h"

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Decodes a text in an allocation of exactly its length, so that a sanitizer sees a read
 * beyond it. */
static enum base64_result decode(
	const char *text, size_t length, char *octets, size_t room, size_t *decoded)
{
	char *const exact = malloc(length + !length);
	enum base64_result result;

	assert_non_null(exact);
	memcpy(exact, text, length);
	result = base64_decode(exact, length, octets, room, decoded);
	free(exact);
	return result;
}

static void is_bad(const char *text)
{
	char octets[64];
	size_t decoded;

	if (decode(text, strlen(text), octets, sizeof octets, &decoded) != BASE64_BAD)
		print_error("taken: %s\n", text);
	assert_int_equal(
		decode(text, strlen(text), octets, sizeof octets, &decoded), BASE64_BAD);
	assert_int_equal(decoded, 0);
}

static void is_code_of(const char *text, const char *octets, size_t length)
{
	char encoded[1000], back[1000];
	size_t decoded;

	base64_encode(octets, length, encoded);
	assert_text(text, encoded, strlen(encoded));
	assert_int_equal(strlen(text), BASE64_OCTETS(length));
	assert_int_equal(decode(text, strlen(text), back, sizeof back, &decoded), BASE64_GOOD);
	assert_octets(text, strlen(text), octets, length, back, decoded);
}

TEST(examples_of_rfc_4648_section_10)
{
	is_code_of("", "", 0);
	is_code_of("Zg==", "f", 1);
	is_code_of("Zm8=", "fo", 2);
	is_code_of("Zm9v", "foo", 3);
	is_code_of("Zm9vYg==", "foob", 4);
	is_code_of("Zm9vYmE=", "fooba", 5);
	is_code_of("Zm9vYmFy", "foobar", 6);
}

TEST(all_octets_and_the_two_signs)
{
	is_code_of("+/+/", "\xfb\xff\xbf", 3);
	is_code_of("AAAA", "\0\0\0", 3);
	is_code_of("/////w==", "\xff\xff\xff\xff", 4);
}

TEST(padding_anywhere_but_at_the_end_is_refused)
{
	static const char *const bad[] = {"=", "==", "===", "====", "=AAA", "AAA=BBB",
		"AAA=BBBB", "A===", "A=AA", "AA=A",
		"=A==", "AA==AA==", "AAAA=", "AAAA==", "AAAA====", "AAA==", "AA===", "Zm9v=m9v",
		"Zg==Zg==", "Zg=", "Zg", "Z", "Zm8", "Zm9vY", "Zm9vYg", "Zm9vYmE",
		"Zm9v=", "AAA=AAAA"};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		is_bad(bad[i]);
}

TEST(white_space_and_line_ends_are_foreign)
{
	static const char *const bad[] = {"Zm9v Zg==", " Zm9", "Zm9 ", "Zm9\n", "\nZm9",
		"Zm9v\r\n", "Zm9v\r\nZm9v", "Zm\t9", "Zm9v\n", "    ", "Z-_v", "Zm9v*m9v"};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		is_bad(bad[i]);
}

TEST(every_octet_in_every_place)
{
	char text[8], octets[6];
	size_t decoded;

	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < 8; at++) {
			const bool known =
				c != 0 && memchr(alphabet, (int)c, sizeof alphabet - 1) != NULL;

			memcpy(text, "AAAAAAAA", 8);
			text[at] = (char)c;
			assert_int_equal(decode(text, 8, octets, 6, &decoded),
				known || (c == '=' && at == 7) ? BASE64_GOOD : BASE64_BAD);
		}
}

TEST(bits_after_the_end_must_be_zero)
{
	char octets[3];
	size_t decoded;

	for (unsigned i = 0; i < 64 * 64; i++) {
		const char text[] = {alphabet[i >> 6], alphabet[i & 63], '=', '='};

		assert_int_equal(decode(text, 4, octets, 3, &decoded),
			(i & 15) == 0 ? BASE64_GOOD : BASE64_BAD);
		if ((i & 15) == 0)
			assert_int_equal((unsigned char)octets[0], i >> 4);
	}
	for (unsigned i = 0; i < 64 * 64 * 64; i++) {
		const char text[] = {
			alphabet[i >> 12], alphabet[i >> 6 & 63], alphabet[i & 63], '='};

		assert_int_equal(decode(text, 4, octets, 3, &decoded),
			(i & 3) == 0 ? BASE64_GOOD : BASE64_BAD);
	}
}

TEST(no_octet_is_written_beyond_the_room)
{
	char octets[40], text[64];
	size_t decoded;

	for (size_t length = 0; length <= 30; length++) {
		char source[30];

		memset(source, 'x', sizeof source);
		base64_encode(source, length, text);
		for (size_t room = 0; room <= 32; room++) {
			memset(octets, '#', sizeof octets);
			assert_int_equal(decode(text, strlen(text), octets, room, &decoded),
				length <= room ? BASE64_GOOD : BASE64_TOO_LONG);
			assert_int_equal(decoded, length <= room ? length : 0);
			for (size_t i = length <= room ? length : 0; i < sizeof octets; i++)
				assert_int_equal(octets[i], '#');
		}
	}
}

TEST(what_is_encoded_is_decoded)
{
	uint64_t random = 4648;
	char octets[300] = {0}, text[BASE64_OCTETS(300) + 1], back[300];
	size_t decoded;

	for (size_t length = 0; length <= sizeof octets; length++) {
		for (size_t i = 0; i < length; i++)
			octets[i] = (char)unit_random(&random);
		base64_encode(octets, length, text);
		assert_int_equal(strlen(text), BASE64_OCTETS(length));
		assert_int_equal(
			decode(text, strlen(text), back, length, &decoded), BASE64_GOOD);
		assert_octets(text, strlen(text), octets, length, back, decoded);
	}
}

/* A text is valid if, and only if, its octets encode to it. */
TEST(no_two_texts_for_the_same_octets)
{
	static const char some[] = "ABab01+/==== \n-*";
	uint64_t random = 1;
	char text[33] = "", octets[24], again[33];

	for (unsigned run = 0; run < 300000; run++) {
		const size_t length = unit_random(&random) % 4 * 4;
		size_t decoded;

		for (size_t i = 0; i < length; i++)
			text[i] = some[unit_random(&random) % (i + 3 < length ? 8 : 16)];
		if (decode(text, length, octets, sizeof octets, &decoded) != BASE64_GOOD)
			continue;
		base64_encode(octets, decoded, again);
		assert_octets(text, length, text, length, again, strlen(again));
	}
}

static size_t encode_utf8(uint32_t point, char *octets)
{
	if (point < 0x80) {
		octets[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		octets[0] = (char)(0xc0 | point >> 6);
		octets[1] = (char)(0x80 | (point & 63));
		return 2;
	}
	if (point < 0x10000) {
		octets[0] = (char)(0xe0 | point >> 12);
		octets[1] = (char)(0x80 | (point >> 6 & 63));
		octets[2] = (char)(0x80 | (point & 63));
		return 3;
	}
	octets[0] = (char)(0xf0 | point >> 18);
	octets[1] = (char)(0x80 | (point >> 12 & 63));
	octets[2] = (char)(0x80 | (point >> 6 & 63));
	octets[3] = (char)(0x80 | (point & 63));
	return 4;
}

TEST(every_character_is_utf8_but_no_surrogate)
{
	char octets[8];

	for (uint32_t point = 0; point <= 0x10ffff; point++) {
		const size_t length = encode_utf8(point, octets);
		const bool surrogate = point >= 0xd800 && point <= 0xdfff;

		assert_int_equal(utf8_is_valid(octets, length), !surrogate);
		for (size_t part = 1; part < length; part++)
			assert_false(utf8_is_valid(octets, part));
	}
	for (uint32_t point = 0x110000; point < 0x200000; point += 61)
		assert_false(utf8_is_valid(octets, encode_utf8(point, octets)));
}

/* All sequences of one to three octets are compared with the shortest forms of all
 * characters. */
TEST(overlong_forms_and_stray_octets_are_no_utf8)
{
	static unsigned char good[1 << 21]; /* One bit for each sequence of three octets. */
	uint32_t count = 0;
	char octets[4];

	for (uint32_t point = 0; point <= 0xffff; point++) {
		const size_t length = encode_utf8(point, octets);

		if (length < 3 || (point >= 0xd800 && point <= 0xdfff))
			continue;
		const uint32_t at = (uint32_t)(unsigned char)octets[0] << 16 |
				    (uint32_t)(unsigned char)octets[1] << 8 |
				    (unsigned char)octets[2];

		good[at >> 3] |= (unsigned char)(1 << (at & 7));
	}
	for (uint32_t at = 0; at < 1 << 24; at++) {
		octets[0] = (char)(at >> 16);
		octets[1] = (char)(at >> 8 & 0xff);
		octets[2] = (char)(at & 0xff);
		if (at >> 16 < 0xe0)
			continue;
		count += utf8_is_valid(octets, 3);
		assert_int_equal(utf8_is_valid(octets, 3), good[at >> 3] >> (at & 7) & 1);
	}
	assert_int_equal(count, 0x10000 - 0x800 - 0x800);
	for (unsigned at = 0; at < 1 << 16; at++) {
		const bool ascii = at >> 8 < 0x80 && (at & 0xff) < 0x80;
		const bool two = at >> 8 >= 0xc2 && at >> 8 < 0xe0 && (at & 0xc0) == 0x80;

		octets[0] = (char)(at >> 8);
		octets[1] = (char)(at & 0xff);
		assert_int_equal(utf8_is_valid(octets, 2), ascii || two);
	}
}

TEST(examples_of_utf8)
{
	static const char *const good[] = {"", "K\xc3\xa4se", "\xe6\x97\xa5\xe6\x9c\xac",
		"\xf0\x9f\x93\xac", "\xef\xbb\xbf", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"};
	static const char *const bad[] = {"K\xe4se", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xfe", "\x80", "\xbf",
		"\xc3", "\xe6\x97", "\xf0\x9f\x93", "\xc3(", "a\xc3", "\xc3\xa4\xa4"};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_rfc_4648_section_10),
		cmocka_unit_test(all_octets_and_the_two_signs),
		cmocka_unit_test(padding_anywhere_but_at_the_end_is_refused),
		cmocka_unit_test(white_space_and_line_ends_are_foreign),
		cmocka_unit_test(every_octet_in_every_place),
		cmocka_unit_test(bits_after_the_end_must_be_zero),
		cmocka_unit_test(no_octet_is_written_beyond_the_room),
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(no_two_texts_for_the_same_octets),
		cmocka_unit_test(every_character_is_utf8_but_no_surrogate),
		cmocka_unit_test(overlong_forms_and_stray_octets_are_no_utf8),
		cmocka_unit_test(examples_of_utf8),
	};

	return UNIT_RUN("base64 and utf8", tests);
}
