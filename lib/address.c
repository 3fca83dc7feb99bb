/* address: see address.h. */
#include "lib/address.h"

#include <stdint.h>
#include <string.h>

#include "lib/number.h"

#define GROUPS 8

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Reads a decimal number without leading zeros at *text; false if there is none, or if it is
 * above most. */
static bool take_decimal(const char **text, const char *end, unsigned most, unsigned *number)
{
	const char *const start = *text;
	unsigned value = 0;

	while (*text < end && **text >= '0' && **text <= '9') {
		value = value * 10 + (unsigned)(**text - '0');
		if (value > most)
			return false;
		(*text)++;
	}
	*number = value;
	return *text > start && (*start != '0' || *text == start + 1);
}

static bool read_v4(const char *text, size_t length, unsigned char octets[4])
{
	const char *const end = text + length;

	for (size_t i = 0; i < 4; i++) {
		unsigned number;

		if (i > 0 && (text == end || *text++ != '.'))
			return false;
		if (!take_decimal(&text, end, 255, &number))
			return false;
		octets[i] = (unsigned char)number;
	}
	return text == end;
}

bool address_parse_v4(const char *text, size_t length, struct address *a)
{
	unsigned char octets[4];

	if (length == 0 || !read_v4(text, length, octets))
		return false;
	*a = address_of(octets, sizeof octets);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads one to four hexadecimal digits; returns how many there are, 0 for any other number. */
static size_t take_group(const char *text, size_t length, unsigned *group)
{
	size_t digits = 0;

	*group = 0;
	while (digits < length && hex_digit(text[digits]) >= 0) {
		if (digits == 4)
			return 0;
		*group = *group << 4 | (unsigned)hex_digit(text[digits++]);
	}
	return digits;
}

/* The part of an IPv6 address that was read so far. */
struct groups {
	unsigned char octets[2 * GROUPS];
	size_t filled; /* octets */
	bool has_gap;
	size_t gap; /* octets before "::" */
};

/* Takes ":" after a group, or "::" if there was none before. */
static bool take_colons(struct groups *g, const char **text, const char *end, bool first)
{
	if (end - *text >= 2 && (*text)[0] == ':' && (*text)[1] == ':') {
		if (g->has_gap)
			return false;
		g->has_gap = true;
		g->gap = g->filled;
		*text += 2;
		return true;
	}
	if (first)
		return true;
	if (*text == end || **text != ':')
		return false;
	(*text)++;
	return *text < end; /* a single colon at the end separates nothing */
}

/* Takes a group, or an IPv4 address at the end. */
static bool take_part(struct groups *g, const char **text, const char *end)
{
	const size_t length = (size_t)(end - *text);
	unsigned group;
	const size_t digits = take_group(*text, length, &group);

	if (digits == 0)
		return false;
	if (digits < length && (*text)[digits] == '.') {
		if (g->filled > sizeof g->octets - 4 ||
			!read_v4(*text, length, g->octets + g->filled))
			return false;
		g->filled += 4;
		*text = end;
		return true;
	}
	if (g->filled > sizeof g->octets - 2)
		return false;
	g->octets[g->filled++] = (unsigned char)(group >> 8);
	g->octets[g->filled++] = (unsigned char)(group & 0xff);
	*text += digits;
	return true;
}

static bool read_groups(struct groups *g, const char *text, size_t length)
{
	const char *const end = text + length;
	bool first = true;

	while (text < end) {
		if (!take_colons(g, &text, end, first))
			return false;
		first = false;
		if (text < end && !take_part(g, &text, end))
			return false;
	}
	/* "::" stands for at least one group */
	return g->has_gap ? g->filled <= sizeof g->octets - 2 : g->filled == sizeof g->octets;
}

bool address_parse_v6(const char *text, size_t length, struct address *a)
{
	struct groups g = {.filled = 0};
	unsigned char octets[sizeof g.octets] = {0};
	size_t behind;

	if (length == 0 || !read_groups(&g, text, length))
		return false;
	if (!g.has_gap)
		g.gap = g.filled;
	behind = g.filled - g.gap;
	memcpy(octets, g.octets, g.gap);
	memcpy(octets + sizeof octets - behind, g.octets + g.gap, behind);
	*a = address_of(octets, sizeof octets);
	return true;
}

bool address_parse(const char *text, size_t length, struct address *a)
{
	return address_parse_v4(text, length, a) || address_parse_v6(text, length, a);
}

struct address address_of(const unsigned char *octets, size_t length)
{
	struct address a = {.length = length};

	if (length == sizeof a.octets &&
		memcmp(octets, mapped_prefix, sizeof mapped_prefix) == 0) {
		octets += sizeof mapped_prefix;
		a.length = 4;
	}
	memcpy(a.octets, octets, a.length);
	return a;
}

static char *write_decimal(char *text, unsigned octet)
{
	if (octet >= 100)
		*text++ = (char)('0' + octet / 100);
	if (octet >= 10)
		*text++ = (char)('0' + octet / 10 % 10);
	*text++ = (char)('0' + octet % 10);
	return text;
}

/* RFC 5952 section 4.2: the longest run of zero groups, the first if several are as long. A run
 * of one group does not count; *length is 0 then. */
static size_t find_zeros(const unsigned groups[GROUPS], size_t *length)
{
	size_t best = 0, run = 0;

	*length = 0;
	for (size_t i = 0; i < GROUPS; i++) {
		run = groups[i] == 0 ? run + 1 : 0;
		if (run > 1 && run > *length) {
			*length = run;
			best = i + 1 - run;
		}
	}
	return best;
}

static char *write_v6(const unsigned char octets[2 * GROUPS], char *text)
{
	unsigned groups[GROUPS];
	size_t zeros, zeros_length;

	for (size_t i = 0; i < GROUPS; i++)
		groups[i] = (unsigned)octets[2 * i] << 8 | octets[2 * i + 1];
	zeros = find_zeros(groups, &zeros_length);
	for (size_t i = 0; i < GROUPS; i++) {
		if (zeros_length > 0 && i == zeros) {
			*text++ = ':';
			i += zeros_length - 1;
			if (i == GROUPS - 1)
				*text++ = ':';
			continue;
		}
		if (i > 0)
			*text++ = ':';
		text += number_write_hex(text, groups[i]);
	}
	return text;
}

void address_write(const struct address *a, char text[ADDRESS_TEXT_OCTETS])
{
	if (a->length == 4) {
		for (size_t i = 0; i < 4; i++) {
			if (i > 0)
				*text++ = '.';
			text = write_decimal(text, a->octets[i]);
		}
	} else {
		text = write_v6(a->octets, text);
	}
	*text = '\0';
}

/* The octet at an index, with the bits after the first "bits" of the address set to 0. */
static unsigned mask_of_octet(const struct address *a, unsigned bits, size_t index)
{
	const size_t before = index * 8;
	const size_t here = bits <= before ? 0 : bits - before >= 8 ? 8 : bits - before;

	return a->octets[index] & (0xff00U >> here) & 0xff;
}

static bool has_bits_after(const struct address_rule *rule)
{
	for (size_t i = 0; i < rule->address.length; i++)
		if (mask_of_octet(&rule->address, rule->bits, i) != rule->address.octets[i])
			return true;
	return false;
}

/* Reads the number of bits after the slash. */
static bool parse_bits(const char *text, bool written_as_v6, struct address_rule *rule)
{
	const bool mapped = written_as_v6 && rule->address.length == 4;
	unsigned bits;

	if (!take_decimal(&text, text + strlen(text), written_as_v6 ? 128 : 32, &bits) ||
		*text != '\0')
		return false;
	/* with fewer bits, some bits of ffff are set after LEN */
	if (mapped && bits < 96)
		return false;
	rule->bits = mapped ? bits - 96 : bits;
	return true;
}

bool address_rule_parse(const char *text, struct address_rule *rule)
{
	const char *const slash = strchr(text, '/');
	const size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	const bool written_as_v6 = memchr(text, ':', length) != NULL;

	if (!address_parse(text, length, &rule->address))
		return false;
	rule->bits = (unsigned)rule->address.length * 8;
	if (slash != NULL && !parse_bits(slash + 1, written_as_v6, rule))
		return false;
	return !has_bits_after(rule);
}

bool address_rule_matches(const struct address_rule *rule, const struct address *a)
{
	if (a->length != rule->address.length)
		return false;
	for (size_t i = 0; i < a->length; i++)
		if (mask_of_octet(a, rule->bits, i) !=
			mask_of_octet(&rule->address, rule->bits, i))
			return false;
	return true;
}

bool address_rules_match(const struct address_rule *rules, size_t count, const char *text)
{
	struct address address;

	if (!address_parse(text, strlen(text), &address))
		return false;
	for (size_t i = 0; i < count; i++)
		if (address_rule_matches(&rules[i], &address))
			return true;
	return false;
}
