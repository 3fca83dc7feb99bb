/* unit_plain: encode() octet by octet, for tests to compare with. */
#ifndef UNIT_PLAIN_H
#define UNIT_PLAIN_H

#include "lib/encode.h"

static inline size_t encode_plain(struct encoder *e, const char *in, size_t length, char *out)
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

#endif
