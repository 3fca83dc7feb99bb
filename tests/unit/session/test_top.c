/* encode: how far TOP n k goes (RFC 1939 section 7): headers, blank line, k lines. */
#include "tests/unit/unit.h"

#include "lib/encode.h"

/* The rule, applied line by line to the whole message. */
static size_t model(const char *in, size_t length, uint64_t lines)
{
	bool in_body = false;
	size_t at = 0;

	while (at < length && (!in_body || lines > 0)) {
		const char *const feed = memchr(in + at, '\n', length - at);
		const size_t text = feed != NULL ? (size_t)(feed - in) - at : length - at;

		if (in_body)
			lines--;
		else if (feed != NULL && (text == 0 || (text == 1 && in[at] == '\r')))
			in_body = true;
		at += text + (feed != NULL);
	}
	return at;
}

struct sample {
	const char *octets;
	size_t length;
};

#define SAMPLE(text)                                                                           \
	{                                                                                      \
		text, sizeof text - 1                                                          \
	}

static const struct sample samples[] = {
	SAMPLE(""),
	SAMPLE("\n"),
	SAMPLE("\r\n"),
	SAMPLE("\r"),
	SAMPLE("A:\nB:\n"), /* Only headers. */
	SAMPLE("A:\r\nB:\r\n"),
	SAMPLE("A:\nB:"),
	SAMPLE("A:\n\n"),
	SAMPLE("A:\n\n1\n2\n3\n"), /* The blank line as LF, CRLF and mixed. */
	SAMPLE("A:\r\n\r\n1\r\n2\r\n"),
	SAMPLE("A:\n\r\n1\r\n2\n"),
	SAMPLE("A:\r\n\n1\n\n\n2"),
	SAMPLE("\n1\n2\n3\n4\n5"), /* No headers. */
	SAMPLE("\r\n1\r\n2\r\n"),
	SAMPLE("A:\r\r\n1\n\n2\n"), /* A bare CR is not a line end. */
	SAMPLE("A:\rB:\r\rC:\r"),
	SAMPLE("\r\r\n\n1\n2\n"), /* A line of one bare CR is not blank. */
	SAMPLE("\rA\n\n1\n2\n"),
	SAMPLE("A\n \n\n1\n2\n"), /* Nor is a line of one space. */
	SAMPLE("A\n\n\r1\r\n\r\r\n2"),
	SAMPLE("A\n\n.\n..\n.2\n"),
	SAMPLE("\0\n\0\n\n\0\n\0\n"),
};

/* Cuts the message after each octet whose bit is set. */
static size_t extent_in_pieces(const struct sample *s, uint64_t lines, uint64_t cuts)
{
	struct encode_top top;
	size_t start = 0, extent = 0;

	encode_top_start(&top, lines);
	for (size_t i = 0; i < s->length; i++) {
		const bool done = top.done;
		size_t used;

		if (i + 1 < s->length && (cuts >> i & 1) == 0)
			continue;
		used = encode_top_extent(&top, s->octets + start, i + 1 - start);
		if (done)
			assert_int_equal(used, 0);
		/* What is left out is left out at the end, and finally. */
		if (used < i + 1 - start)
			assert_true(top.done);
		extent += used;
		start = i + 1;
	}
	return extent;
}

TEST(extent_is_the_same_in_all_chunkings)
{
	for (size_t n = 0; n < COUNT_OF(samples); n++) {
		const struct sample *const s = &samples[n];
		const uint64_t chunkings = s->length < 2 ? 1 : 1ULL << (s->length - 1);

		for (uint64_t lines = 0; lines <= 6; lines++)
			for (uint64_t cuts = 0; cuts < chunkings; cuts++) {
				const size_t expected = model(s->octets, s->length, lines);
				const size_t got = extent_in_pieces(s, lines, cuts);

				if (expected != got)
					print_error("sample %zu, %u lines, cuts %#x\n", n,
						(unsigned)lines, (unsigned)cuts);
				assert_int_equal(got, expected);
			}
	}
}

static void extent_is(const char *message, uint64_t lines, const char *expected)
{
	struct encode_top top;

	encode_top_start(&top, lines);
	assert_octets(message, strlen(message), expected, strlen(expected), message,
		encode_top_extent(&top, message, strlen(message)));
}

TEST(headers_and_blank_line_are_always_sent)
{
	extent_is("A: 1\nB: 2\n\none\ntwo\n", 0, "A: 1\nB: 2\n\n");
	extent_is("A: 1\r\n\r\none\r\n", 0, "A: 1\r\n\r\n");
	extent_is("A: 1\nB: 2\n", 0, "A: 1\nB: 2\n");
	extent_is("A: 1\nB: 2", 0, "A: 1\nB: 2");
	extent_is("\none\n", 0, "\n");
}

TEST(so_many_body_lines_are_sent)
{
	extent_is("A: 1\n\none\ntwo\nthree\n", 1, "A: 1\n\none\n");
	extent_is("A: 1\n\none\ntwo\nthree\n", 2, "A: 1\n\none\ntwo\n");
	extent_is("A: 1\n\n\n\n\n\n", 2, "A: 1\n\n\n\n");
}

TEST(more_lines_than_there_are_give_the_whole_message)
{
	extent_is("A: 1\n\none\ntwo", 2, "A: 1\n\none\ntwo");
	extent_is("A: 1\n\none\ntwo\n", 3, "A: 1\n\none\ntwo\n");
	extent_is("A: 1\n\none\ntwo\n", UINT64_MAX, "A: 1\n\none\ntwo\n");
}

TEST(top_is_done_with_its_last_line)
{
	struct encode_top top;

	encode_top_start(&top, 1);
	assert_int_equal(encode_top_extent(&top, "\none", 4), 4);
	assert_false(top.done);
	assert_int_equal(encode_top_extent(&top, "\ntwo\n", 5), 1);
	assert_true(top.done);
	assert_int_equal(encode_top_extent(&top, "three\n", 6), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(extent_is_the_same_in_all_chunkings),
	cmocka_unit_test(headers_and_blank_line_are_always_sent),
	cmocka_unit_test(so_many_body_lines_are_sent),
	cmocka_unit_test(more_lines_than_there_are_give_the_whole_message),
	cmocka_unit_test(top_is_done_with_its_last_line),
};

int main(void)
{
	return UNIT_RUN("top", tests);
}
