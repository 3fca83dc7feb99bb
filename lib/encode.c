/* encode: see encode.h. Pure functions over bounded buffers. */
#include "lib/encode.h"

#include <string.h>

/* Blocks are searched at once: sixteen octets with the vectors that every x86-64 has, else the
 * eight of a machine word. Tests choose the words with ENCODE_PORTABLE, to compare both. */
#if defined(__SSE2__) && !defined(ENCODE_PORTABLE)

#include <emmintrin.h>

#define BLOCK 16
#define BLOCKS_COUNTED 255 /* the largest value of an octet of the counter */

typedef __m128i block;

static block block_load(const char *in)
{
	return _mm_loadu_si128((const __m128i *)(const void *)in);
}

static void block_store(char *out, block octets)
{
	_mm_storeu_si128((__m128i *)(void *)out, octets);
}

/* The place of the first LF; BLOCK if there is none. */
static size_t block_feed(block octets)
{
	const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(octets, _mm_set1_epi8('\n')));

	return found != 0 ? (size_t)__builtin_ctz((unsigned)found) : BLOCK;
}

/* Counts the LF without a CR before them in so many blocks; in[-1] is the octet before these.
 */
static uint64_t count_bare(const char *in, size_t blocks)
{
	const __m128i feed = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
	__m128i count = _mm_setzero_si128();

	for (size_t i = 0; i < blocks; i++, in += BLOCK) {
		const __m128i feeds = _mm_cmpeq_epi8(block_load(in), feed);
		const __m128i after_cr = _mm_cmpeq_epi8(block_load(in - 1), cr);

		count = _mm_sub_epi8(count, _mm_andnot_si128(after_cr, feeds));
	}
	count = _mm_sad_epu8(count, _mm_setzero_si128());
	return (uint64_t)_mm_cvtsi128_si32(count) +
	       (uint64_t)_mm_cvtsi128_si32(_mm_srli_si128(count, 8));
}

#else

#define BLOCK 8
#define BLOCKS_COUNTED 255

#define EACH(octet) (0x0101010101010101U * (octet))

typedef uint64_t block;

static block block_load(const char *in)
{
	block octets;

	memcpy(&octets, in, sizeof octets);
	return octets;
}

static void block_store(char *out, block octets)
{
	memcpy(out, &octets, sizeof octets);
}

/* The highest bit of each octet that equals this one, and no other bit. */
static block block_equal(block octets, unsigned char octet)
{
	const block difference = octets ^ EACH(octet);

	return ~(((difference & EACH(0x7f)) + EACH(0x7f)) | difference | EACH(0x7f));
}

static size_t block_feed(block octets)
{
	const block found = block_equal(octets, '\n');

	if (found == 0)
		return BLOCK;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(found) / 8;
#else
	return (size_t)__builtin_clzll(found) / 8;
#endif
}

static uint64_t count_bare(const char *in, size_t blocks)
{
	uint64_t count = 0;

	for (size_t i = 0; i < blocks; i++, in += BLOCK) {
		const block bare = block_equal(block_load(in), '\n') &
				   ~block_equal(block_load(in - 1), '\r');

		count += (bare >> 7) * EACH(1) >> 56;
	}
	return count;
}

#endif

/* Copies the octets up to the first LF and the LF itself, at most length (which is at least 1).
 * Returns how many were copied. */
static size_t copy_line(char *out, const char *in, size_t length)
{
	size_t i = 0;

	for (; i + BLOCK <= length; i += BLOCK) {
		const block octets = block_load(in + i);
		const size_t feed = block_feed(octets);

		block_store(out + i, octets);
		if (feed < BLOCK)
			return i + feed + 1;
	}
	for (; i < length; i++) {
		out[i] = in[i];
		if (in[i] == '\n')
			return i + 1;
	}
	return length;
}

size_t encode(struct encoder *e, const char *in, size_t length, char *out)
{
	const char *const out_start = out;
	const char *const end = in + length;

	while (in < end) {
		size_t copied;
		bool cr_before;

		if (!e->in_line && *in == '.') {
			*out++ = '.';
			e->stuffed++;
		}
		copied = copy_line(out, in, (size_t)(end - in));
		cr_before = copied > 1 ? in[copied - 2] == '\r' : e->after_cr;
		in += copied;
		out += copied;
		e->in_line = in[-1] != '\n';
		e->after_cr = in[-1] == '\r';
		if (!e->in_line && !cr_before) {
			out[-1] = '\r';
			*out++ = '\n';
		}
	}
	return (size_t)(out - out_start);
}

size_t encode_end(const struct encoder *e, char *out)
{
	if (!e->in_line)
		return 0;
	out[0] = '\r';
	out[1] = '\n';
	return 2;
}

uint64_t encode_count(struct encoder *e, const char *in, size_t length)
{
	uint64_t octets = length;
	size_t i = 1;

	if (length == 0)
		return 0;
	octets += in[0] == '\n' && !e->after_cr;
	while (length - i >= BLOCK) {
		const size_t left = (length - i) / BLOCK;
		const size_t blocks = left < BLOCKS_COUNTED ? left : BLOCKS_COUNTED;

		octets += count_bare(in + i, blocks);
		i += blocks * BLOCK;
	}
	for (; i < length; i++)
		octets += in[i] == '\n' && in[i - 1] != '\r';
	e->in_line = in[length - 1] != '\n';
	e->after_cr = in[length - 1] == '\r';
	return octets;
}

uint64_t encode_count_end(const struct encoder *e)
{
	return e->in_line ? 2 : 0;
}

void encode_top_start(struct encode_top *t, uint64_t lines)
{
	*t = (struct encode_top){.lines_left = lines};
}

/* Notes a header line, or a piece of one. The headers end at the first empty line. */
static void top_header(struct encode_top *t, const char *line, size_t length, bool complete)
{
	if (t->line_octets == 0 && length > 0)
		t->first_is_cr = line[0] == '\r';
	t->line_octets += length;
	if (!complete)
		return;
	if (t->line_octets == 0 || (t->line_octets == 1 && t->first_is_cr)) {
		t->in_body = true;
		t->done = t->lines_left == 0;
	}
	t->line_octets = 0;
}

size_t encode_top_extent(struct encode_top *t, const char *in, size_t length)
{
	size_t used = 0;

	while (used < length && !t->done) {
		const char *const line = in + used;
		const char *const feed = memchr(line, '\n', length - used);
		const size_t text = feed != NULL ? (size_t)(feed - line) : length - used;

		if (!t->in_body)
			top_header(t, line, text, feed != NULL);
		else if (feed != NULL && --t->lines_left == 0)
			t->done = true;
		used += text + (feed != NULL);
	}
	return used;
}
