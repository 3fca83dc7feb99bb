/* encode: RFC 1939 sections 3 and 11, compared with a second implementation of the same
 * rules. */
#include "tests/unit/unit.h"

#include "tests/unit/unit_encode.h"
#include "tests/unit/unit_plain.h"

#define PAGE 65536
#define LONGEST 700

typedef size_t encode_function(struct encoder *e, const char *in, size_t length, char *out);

/* The beginning of an inaccessible page, so that a read beyond the octets before it fails. */
static char *in_wall, *out_wall;

static char *make_wall(void)
{
	char *const memory = mmap(
		NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mprotect(memory + PAGE, PAGE, PROT_NONE), 0);
	return memory + PAGE;
}

static int make_walls(void **state)
{
	(void)state;
	in_wall = make_wall();
	out_wall = make_wall();
	return 0;
}

/* The rules, applied line by line to the whole message. */
static size_t model(const char *in, size_t length, char *out)
{
	size_t at = 0, used = 0;

	while (at < length) {
		const char *const line = in + at;
		const char *const feed = memchr(line, '\n', length - at);
		const size_t text = feed != NULL ? (size_t)(feed - line) : length - at;

		if (line[0] == '.')
			out[used++] = '.';
		memcpy(out + used, line, text);
		used += text;
		if (feed == NULL || text == 0 || line[text - 1] != '\r')
			out[used++] = '\r';
		out[used++] = '\n';
		at += text + (feed != NULL);
	}
	return used;
}

/* One call, with the input before an inaccessible page, and with marked output. */
static size_t encode_guarded(
	encode_function *function, struct encoder *e, const char *in, size_t length, char *out)
{
	const size_t room = 2 * length + ENCODE_SLACK;
	char *const guarded = out_wall - room;
	size_t written;

	memcpy(in_wall - length, in, length);
	memset(guarded - 16, 0x5a, room + 16);
	written = function(e, in_wall - length, length, guarded);
	assert_in_range(written, length, 2 * length);
	for (size_t i = written + ENCODE_SLACK; i < room; i++)
		assert_int_equal(guarded[i], 0x5a);
	for (size_t i = 1; i <= 16; i++)
		assert_int_equal(guarded[-(ptrdiff_t)i], 0x5a);
	memcpy(out, guarded, written);
	return written;
}

typedef uint64_t count_function(struct encoder *e, const char *in, size_t length);

/* The three implementations: with vectors if there are any, without, and octet by octet. */
static const struct way {
	encode_function *encode;
	count_function *count;
} ways[] = {{encode, encode_count}, {portable_encode, portable_encode_count},
	{encode_plain, encode_count}};

/* Encodes the whole message in pieces of random length. */
static void encodes_as_model(
	const struct way *way, const char *in, size_t length, uint64_t *random)
{
	static char expected[2 * LONGEST + 2], got[2 * LONGEST + 2];
	const size_t expected_octets = model(in, length, expected);
	struct encoder e = ENCODER_START, counter = ENCODER_START;
	uint64_t counted = 0;
	size_t got_octets = 0, stuffed = 0;

	for (size_t at = 0; at < length;) {
		size_t piece = unit_random(random) % 40;

		if (piece > length - at)
			piece = length - at;
		got_octets += encode_guarded(way->encode, &e, in + at, piece, got + got_octets);
		at += piece;
	}
	for (size_t at = 0; at < length;) {
		size_t piece = unit_random(random) % 40;

		if (piece > length - at)
			piece = length - at;
		memcpy(in_wall - piece, in + at, piece);
		counted += way->count(&counter, in_wall - piece, piece);
		at += piece;
	}
	assert_int_equal(encode_count_end(&counter), encode_count_end(&e));
	counted += encode_count_end(&counter);
	got_octets += encode_end(&e, got + got_octets);
	assert_octets(in, length, expected, expected_octets, got, got_octets);
	for (size_t i = 0; i < expected_octets; i++)
		stuffed += expected[i] == '.' && (i == 0 || expected[i - 1] == '\n');
	assert_int_equal(e.stuffed, stuffed);
	assert_int_equal(counted, expected_octets - stuffed);
}

TEST(all_ways_equal_the_model_for_random_messages)
{
	static const char alphabet[] = {'\r', '\n', '.', 'a', '\0', (char)0xff};
	uint64_t random = 0x1939;
	char in[LONGEST];

	for (int i = 0; i < 200000; i++) {
		const size_t longest = i % 64 == 0 ? LONGEST : 70;
		const size_t length = unit_random(&random) % longest;
		/* Every second message has fewer line ends, so that long lines occur. */
		const bool long_lines = i % 2 == 1;

		for (size_t at = 0; at < length; at++)
			in[at] = long_lines && unit_random(&random) % 16 != 0
					 ? 'a'
					 : alphabet[unit_random(&random) % sizeof alphabet];
		encodes_as_model(&ways[i % 5 / 2], in, length, &random);
	}
}

/* Sets the octet at position at, and the next one if there is room. */
static void at_alignment(
	const struct way *way, size_t alignment, size_t length, size_t at, const char *pair)
{
	static char _Alignas(64) in[128 + 16], out[256 + 16 + ENCODE_SLACK];
	char expected[160];
	struct encoder e = ENCODER_START, counter = ENCODER_START;
	uint64_t counted;
	size_t expected_octets, got_octets;
	char *const start = in + alignment, *const out_start = out + (alignment * 7) % 16;

	memset(start, 'a', length);
	memcpy(start + at, pair, length - at < 2 ? length - at : 2);
	expected_octets = model(start, length, expected);
	got_octets = way->encode(&e, start, length, out_start);
	got_octets += encode_end(&e, out_start + got_octets);
	assert_octets(start, length, expected, expected_octets, out_start, got_octets);
	counted = way->count(&counter, start, length) + encode_count_end(&counter);
	assert_int_equal(counted, expected_octets - e.stuffed);
}

TEST(every_alignment_and_length_encodes_alike)
{
	static const char *const pairs[] = {"\na", "\r\n", "\n.", "\n\n", "\ra", "\xff."};

	for (size_t alignment = 0; alignment < 16; alignment++)
		for (size_t length = 0; length <= 70; length++)
			for (size_t at = 0; at <= length; at++)
				for (size_t i = 0; i < COUNT_OF(pairs) * COUNT_OF(ways); i++)
					at_alignment(&ways[i % COUNT_OF(ways)], alignment,
						length, at, pairs[i / COUNT_OF(ways)]);
}

/* A written-down message with its expected result. */
static void encodes_to(const char *in, size_t in_octets, const char *expected, size_t octets)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct encoder e = ENCODER_START;
		char got[256];
		size_t used = encode_guarded(ways[i].encode, &e, in, in_octets, got);

		used += encode_end(&e, got + used);
		assert_octets(in, in_octets, expected, octets, got, used);
	}
}

#define ENCODES(in, out) encodes_to(in, sizeof in - 1, out, sizeof out - 1)

TEST(lf_becomes_crlf)
{
	ENCODES("a\nb\n\nc\n", "a\r\nb\r\n\r\nc\r\n");
}

TEST(crlf_stays)
{
	ENCODES("a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n");
}

TEST(bare_cr_stays)
{
	ENCODES("a\rb\r\r\nc\r\r\r\n", "a\rb\r\r\nc\r\r\r\n");
	ENCODES("\r", "\r\r\n");
	ENCODES("\rx\n", "\rx\r\n");
}

TEST(leading_dot_is_doubled)
{
	ENCODES(".\n..\n.a\r\na.\n", "..\r\n...\r\n..a\r\na.\r\n");
}

TEST(dot_after_a_bare_cr_is_not_doubled)
{
	ENCODES("a\r.b\n", "a\r.b\r\n");
	ENCODES("\r.\r\n", "\r.\r\n");
}

TEST(missing_last_line_end_is_supplied)
{
	ENCODES("...x", "....x\r\n");
	ENCODES("a\nb", "a\r\nb\r\n");
	ENCODES(".", "..\r\n");
}

TEST(last_bare_cr_gets_crlf)
{
	ENCODES("a\n\r", "a\r\n\r\r\n");
	ENCODES("a\r", "a\r\r\n");
}

TEST(empty_message_stays_empty)
{
	ENCODES("", "");
}

TEST(nul_and_eight_bits_pass)
{
	ENCODES("\0\n\xff\x80\n.\0", "\0\r\n\xff\x80\r\n..\0\r\n");
}

TEST(line_end_cut_in_two_is_one_line_end)
{
	struct encoder e = ENCODER_START, counter = ENCODER_START;
	char got[64];
	size_t used = encode(&e, "a\r", 2, got);

	used += encode(&e, "\n", 1, got + used);
	used += encode(&e, ".", 1, got + used);
	used += encode(&e, ".\r", 2, got + used);
	used += encode(&e, "", 0, got + used);
	used += encode(&e, "\n", 1, got + used);
	used += encode_end(&e, got + used);
	assert_octets("a\r|\n|.|.\r||\n", 11, "a\r\n...\r\n", 8, got, used);
	assert_int_equal(e.stuffed, 1);
	assert_int_equal(encode_count(&counter, "a\r", 2), 2);
	assert_int_equal(encode_count(&counter, "", 0), 0);
	assert_int_equal(encode_count(&counter, "\n", 1), 1);
	assert_int_equal(encode_count(&counter, "\n", 1), 2);
	assert_int_equal(encode_count_end(&counter), 0);
}

/* More than the counters of a vector can hold. */
TEST(every_line_end_of_a_large_chunk_is_counted)
{
	static char in[20000];

	for (size_t length = 0; length <= sizeof in; length += length < 100 ? 1 : 97)
		for (size_t i = 0; i < COUNT_OF(ways); i++) {
			struct encoder e = ENCODER_START;

			memset(in, '\n', length);
			assert_int_equal(ways[i].count(&e, in, length), 2 * length);
			for (size_t at = 0; at + 2 < length; at += 3)
				in[at] = '\r';
			e = ENCODER_START;
			assert_int_equal(ways[i].count(&e, in, length),
				length + length / 3 + (length % 3 == 2 ? 2 : length % 3 == 1));
		}
}

TEST(line_of_a_million_octets_passes_in_one_call)
{
	const size_t octets = 1000000;
	char *const in = malloc(octets + 1), *const out = malloc(2 * octets + 2 + ENCODE_SLACK);
	struct encoder e = ENCODER_START;

	assert_non_null(in);
	assert_non_null(out);
	memset(in, '.', octets);
	in[octets] = '\n';
	assert_int_equal(encode(&e, in, octets + 1, out), octets + 3);
	assert_memory_equal(out + 1, in, octets);
	assert_memory_equal(out + octets + 1, "\r\n", 2);
	assert_int_equal(e.stuffed, 1);
	free(in);
	free(out);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_ways_equal_the_model_for_random_messages),
	cmocka_unit_test(every_alignment_and_length_encodes_alike),
	cmocka_unit_test(lf_becomes_crlf),
	cmocka_unit_test(crlf_stays),
	cmocka_unit_test(bare_cr_stays),
	cmocka_unit_test(leading_dot_is_doubled),
	cmocka_unit_test(dot_after_a_bare_cr_is_not_doubled),
	cmocka_unit_test(missing_last_line_end_is_supplied),
	cmocka_unit_test(last_bare_cr_gets_crlf),
	cmocka_unit_test(empty_message_stays_empty),
	cmocka_unit_test(nul_and_eight_bits_pass),
	cmocka_unit_test(line_end_cut_in_two_is_one_line_end),
	cmocka_unit_test(every_line_end_of_a_large_chunk_is_counted),
	cmocka_unit_test(line_of_a_million_octets_passes_in_one_call),
};

int main(void)
{
	alarm(120);
	return cmocka_run_group_tests_name("encode", tests, make_walls, NULL);
}
