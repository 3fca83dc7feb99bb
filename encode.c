/* encode: see encode.h. Pure functions over bounded buffers. */
#include "encode.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Copies up to and including the first LF, at most length octets (at least 1); returns how
 * many. */
static size_t copy_line(char *out, const char *in, size_t length)
{
	size_t i = 0;

#if defined(__SSE2__)
	const __m128i feed = _mm_set1_epi8('\n');

	for (; i + 16 <= length; i += 16) {
		const __m128i octets = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
		const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(octets, feed));

		_mm_storeu_si128((__m128i *)(void *)(out + i), octets);
		if (found != 0)
			return i + (size_t)__builtin_ctz((unsigned)found) + 1;
	}
#endif
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

size_t encode_plain(struct encoder *e, const char *in, size_t length, char *out)
{
	const char *const out_start = out;

	for (size_t i = 0; i < length; i++) {
		if (in[i] == '.' && !e->in_line) {
			*out++ = '.';
			e->stuffed++;
		}
		if (in[i] == '\n' && !e->after_cr)
			*out++ = '\r';
		*out++ = in[i];
		e->in_line = in[i] != '\n';
		e->after_cr = in[i] == '\r';
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
	const char *at = in;
	const char *const end = in + length;
	uint64_t octets = length;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		const bool cr_before = at > in ? at[-1] == '\r' : e->after_cr;

		octets += !cr_before;
		at++;
	}
	if (length > 0) {
		e->in_line = end[-1] != '\n';
		e->after_cr = end[-1] == '\r';
	}
	return octets;
}

uint64_t encode_count_end(const struct encoder *e)
{
	return e->in_line ? 2 : 0;
}

void top_start(struct top *t, uint64_t lines)
{
	*t = (struct top){.lines_left = lines};
}

/* Takes note of one line (or a piece of one) of the headers; they end at the first empty one.
 */
static void top_header(struct top *t, const char *line, size_t length, bool complete)
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

size_t top_extent(struct top *t, const char *in, size_t length)
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
