/* unit_lines: reads lines from a wire in every way that the wire has. */
#ifndef UNIT_LINES_H
#define UNIT_LINES_H

#include "tests/unit/unit_wire.h"

#define LONG_MS 20000
#define SHORT_MS 60

static struct wire w;
static struct link l;

/* Every test of lines runs with sockets and with pipes, reading exactly and reading ahead. */
static const struct way {
	enum link_kind kind;
	enum wire_intake intake;
} ways[] = {
	{LINK_SOCKET, WIRE_EXACT},
	{LINK_SOCKET, WIRE_AHEAD},
	{LINK_PIPES, WIRE_EXACT},
	{LINK_PIPES, WIRE_AHEAD},
};

static inline void begin(const struct way *way)
{
	link_open(&l, way->kind);
	wire_open(&w, l.in_fd, l.out_fd, way->intake, LONG_MS);
}

static inline void reads_line(const char *expected)
{
	struct span line = {NULL, 0};

	assert_int_equal(wire_read_line(&w, &line), WIRE_LINE);
	assert_text(expected, line.octets, line.length);
}

static inline void reads(enum wire_line expected)
{
	struct span line;

	assert_int_equal(wire_read_line(&w, &line), expected);
}

static inline void ends(enum wire_end expected)
{
	reads(WIRE_NO_LINE);
	assert_int_equal(w.end, expected);
	reads(WIRE_NO_LINE);
	assert_int_equal(w.end, expected);
}

#define SAY(text) link_say(&l, text, sizeof text - 1)

#endif
