/* fuzz_encode: encodes a message in pieces that the input chooses, with vectors, without, and
 * octet by octet. All give the same result, whose length is what counting says, and which
 * decodes to the message. The first octet of the input seeds the pieces. */
#include "fuzz.h"

#include "tests/unit/unit_encode.h"
#include "tests/unit/unit_plain.h"

#define PIECE 100

struct way {
	size_t (*encode)(struct encoder *e, const char *in, size_t length, char *out);
	uint64_t (*count)(struct encoder *e, const char *in, size_t length);
};

static const struct way ways[] = {
	{encode_plain, encode_count}, {encode, portable_encode_count}, {portable_encode, NULL}};

/* A random length below PIECE, and never more than what is left. */
static uint64_t next_piece(uint64_t *random, size_t left)
{
	uint64_t piece;

	*random = *random * 6364136223846793005U + 1442695040888963407U;
	piece = (*random >> 33) % PIECE;
	return piece < left ? piece : left;
}

/* Encodes the message in pieces. Returns the octets, and checks what counting says of them. */
static size_t run(
	const struct way *way, const char *in, size_t length, unsigned seed, char *out)
{
	struct encoder e = ENCODER_START, counter = ENCODER_START;
	uint64_t random = seed, counted = 0;
	size_t used = 0;

	for (size_t at = 0; at < length;) {
		const size_t piece = (size_t)next_piece(&random, length - at);
		char *const copy = fuzz_copy(in + at, piece);

		used += way->encode(&e, copy, piece, out + used);
		if (way->count != NULL)
			counted += way->count(&counter, copy, piece);
		free(copy);
		at += piece;
	}
	used += encode_end(&e, out + used);
	counted += encode_count_end(&counter);
	CHECK(way->count == NULL || counted == used - e.stuffed);
	return used;
}

/* A client's view: lines end in CRLF, and none begins with a single dot. */
static void check_wire(const char *out, size_t length)
{
	size_t line = 0;

	for (size_t i = 0; i < length; i++) {
		if (out[i] != '\n')
			continue;
		CHECK(i > line && out[i - 1] == '\r');
		CHECK(out[line] != '.' || out[line + 1] == '.');
		line = i + 1;
	}
	CHECK(line == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t length = size > 0 ? size - 1 : 0;
	char *expected, *got;
	size_t octets;

	if (size == 0)
		return 0;
	expected = malloc(2 * length + 2 + ENCODE_SLACK);
	got = malloc(2 * length + 2 + ENCODE_SLACK);
	CHECK(expected != NULL && got != NULL);
	octets = run(&ways[0], (const char *)data + 1, length, data[0], expected);
	check_wire(expected, octets);
	for (size_t i = 1; i < sizeof ways / sizeof *ways; i++) {
		CHECK(run(&ways[i], (const char *)data + 1, length, data[0], got) == octets);
		CHECK(memcmp(got, expected, octets) == 0);
	}
	free(expected);
	free(got);
	return 0;
}
