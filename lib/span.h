/* span: octets in memory that belong to somebody else. */
#ifndef SPAN_H
#define SPAN_H

#include <stddef.h>

/* Not terminated; valid for as long as its owner says. */
struct span {
	const char *octets;
	size_t length;
};

#endif
