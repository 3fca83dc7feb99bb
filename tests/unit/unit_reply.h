/* unit_reply: the octets that a function puts on the wire, as one terminated text. */
#ifndef UNIT_REPLY_H
#define UNIT_REPLY_H

#include "tests/unit/unit.h"

#include "pop3/wire.h"

#define UNIT_REPLY_OCTETS 4096

struct unit_reply {
	struct wire wire;
	int out;
	char text[UNIT_REPLY_OCTETS];
};

static inline void unit_reply_open(struct unit_reply *r)
{
	r->out = memfd_create("out", MFD_CLOEXEC);
	assert_true(r->out >= 0);
	wire_open(&r->wire, 0, r->out, WIRE_AHEAD, 20000);
}

/* The text that was put since the last call. */
static inline const char *unit_reply_take(struct unit_reply *r)
{
	ssize_t length;

	assert_true(wire_flush(&r->wire));
	length = pread(r->out, r->text, sizeof r->text - 1, 0);
	assert_true(length >= 0);
	r->text[length] = '\0';
	assert_int_equal(ftruncate(r->out, 0), 0);
	assert_int_equal(lseek(r->out, 0, SEEK_SET), 0);
	return r->text;
}

static inline void unit_reply_close(struct unit_reply *r)
{
	close(r->out);
}

#endif
