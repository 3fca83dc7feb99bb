/* proxy_header: see proxy_header.h. The sections named are those of HAProxy's
 * doc/proxy-protocol.txt. */
#include "peer/proxy_header.h"

#include <stdint.h>
#include <string.h>

#define V1_PREFIX_OCTETS 6
#define V1_LEAST 15 /* "PROXY UNKNOWN" CRLF */
#define V2_FIXED 16
#define V2_SIGNATURE_OCTETS 12
#define TLV_FIXED 3

static const char v1_prefix[] = "PROXY ";
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Octets that belong to somebody else. */
struct part {
	const char *octets;
	size_t length;
};

/* What the first octets tell about the length of the header. */
struct extent {
	enum proxy_result result;
	size_t octets; /* COMPLETE: of the header; INCOMPLETE: that are certainly missing */
	const char *reason;
};

static struct extent malformed(const char *reason)
{
	return (struct extent){PROXY_MALFORMED, 0, reason};
}

static struct extent incomplete(size_t octets)
{
	return (struct extent){PROXY_INCOMPLETE, octets, NULL};
}

static struct extent complete(size_t octets)
{
	return (struct extent){PROXY_COMPLETE, octets, NULL};
}

static unsigned octet_at(struct part p, size_t at)
{
	return (unsigned char)p.octets[at];
}

static size_t number_at(struct part p, size_t at)
{
	return (size_t)octet_at(p, at) << 8 | octet_at(p, at + 1);
}

static struct part skip(struct part p, size_t octets)
{
	return (struct part){p.octets + octets, p.length - octets};
}

static bool begins(struct part p, const char *octets, size_t length)
{
	return p.length >= length && memcmp(p.octets, octets, length) == 0;
}

/* Version 1, section 2.1. */

static const struct family {
	const char *name; /* and the space after it */
	size_t name_octets, ip_least;
	bool (*parse)(const char *text, size_t length, struct address *a);
} families[] = {
	{"TCP4 ", 5, 7, address_parse_v4}, /* 0.0.0.0 */
	{"TCP6 ", 5, 2, address_parse_v6}, /* :: */
};

static const struct family *find_family(struct part line)
{
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (begins(line, families[i].name, families[i].name_octets))
			return &families[i];
	return NULL;
}

/* The least octets that are missing from a line with so many octets after its family: the rest
 * of its four fields, their separators, and CRLF. */
static size_t fields_lack(const struct family *family, struct part fields)
{
	const size_t least[] = {family->ip_least, family->ip_least, 1, 1};
	size_t field = 0, in_field = 0, lack = 2;

	for (size_t i = 0; i < fields.length; i++) {
		in_field++;
		if (fields.octets[i] == ' ') {
			in_field = 0;
			field++;
		}
	}
	for (; field < 4; field++) {
		lack += least[field] > in_field ? least[field] - in_field : 0;
		lack += field < 3;
		in_field = 0;
	}
	return lack;
}

static struct extent measure_v1(struct part p)
{
	const size_t known = p.length < V1_PREFIX_OCTETS ? p.length : V1_PREFIX_OCTETS;
	const struct family *family;

	if (memcmp(p.octets, v1_prefix, known) != 0)
		return malformed("no PROXY header");
	for (size_t i = known; i < p.length && i < PROXY_LINE_OCTETS; i++) {
		if (p.octets[i] == '\n')
			return malformed("version 1: LF without CR");
		if (p.octets[i] != '\r')
			continue;
		if (i + 1 == PROXY_LINE_OCTETS)
			break;
		if (i + 1 == p.length)
			return incomplete(1);
		return p.octets[i + 1] == '\n' ? complete(i + 2)
					       : malformed("version 1: CR without LF");
	}
	if (p.length >= PROXY_LINE_OCTETS)
		return malformed("version 1: line too long");
	if (p.length < V1_LEAST - 2)
		return incomplete(V1_LEAST - p.length);
	p = skip(p, V1_PREFIX_OCTETS);
	family = find_family(p);
	return incomplete(
		family != NULL ? fields_lack(family, skip(p, family->name_octets)) : 2);
}

/* Takes off the octets before the next space, and the space; the last field is the whole rest.
 */
static struct part take_field(struct part *rest)
{
	const char *const blank = memchr(rest->octets, ' ', rest->length);
	struct part field = *rest;

	if (blank == NULL) {
		*rest = skip(*rest, rest->length);
		return field;
	}
	field.length = (size_t)(blank - rest->octets);
	*rest = skip(*rest, field.length + 1);
	return field;
}

/* A decimal number up to 65535 without leading zeros. */
static bool take_port(struct part field, char text[ADDRESS_PORT_OCTETS])
{
	unsigned long port = 0;

	if (field.length == 0 || field.length >= ADDRESS_PORT_OCTETS ||
		(field.octets[0] == '0' && field.length > 1))
		return false;
	for (size_t i = 0; i < field.length; i++) {
		if (field.octets[i] < '0' || field.octets[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(field.octets[i] - '0');
	}
	memcpy(text, field.octets, field.length);
	text[field.length] = '\0';
	return port <= 65535;
}

/* line: without CRLF. */
static const char *parse_v1(struct part line, struct proxy_header *h)
{
	static const char unknown[] = "UNKNOWN";
	const struct family *family;
	struct address source, destination;
	struct part field;

	line = skip(line, V1_PREFIX_OCTETS);
	if (begins(line, unknown, sizeof unknown - 1) &&
		(line.length == sizeof unknown - 1 || line.octets[sizeof unknown - 1] == ' '))
		return NULL; /* the rest must be ignored */
	family = find_family(line);
	if (family == NULL)
		return "version 1: unknown protocol";
	line = skip(line, family->name_octets);
	field = take_field(&line);
	if (!family->parse(field.octets, field.length, &source))
		return "version 1: bad source address";
	field = take_field(&line);
	if (!family->parse(field.octets, field.length, &destination))
		return "version 1: bad destination address";
	if (!take_port(take_field(&line), h->source_port))
		return "version 1: bad source port";
	if (!take_port(line, h->destination_port)) /* all the rest */
		return "version 1: bad destination port";
	address_write(&source, h->source_ip);
	address_write(&destination, h->destination_ip);
	h->has_addresses = true;
	return NULL;
}

/* Version 2, section 2.2. */

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM };
enum { TLV_CRC32C = 0x03, TLV_SSL = 0x20 };
enum { CLIENT_SSL = 1 };

/* The length of the addresses of each family: two addresses and two ports. */
static const size_t addresses_octets[] = {
	[FAMILY_UNSPEC] = 0,
	[FAMILY_INET] = 2 * 4 + 4,
	[FAMILY_INET6] = 2 * 16 + 4,
	[FAMILY_UNIX] = 2 * 108,
};

static struct extent measure_v2(struct part p)
{
	const size_t known = p.length < V2_SIGNATURE_OCTETS ? p.length : V2_SIGNATURE_OCTETS;
	size_t octets;

	if (memcmp(p.octets, v2_signature, known) != 0)
		return malformed("no PROXY header");
	if (p.length > 12 && octet_at(p, 12) != COMMAND_LOCAL &&
		octet_at(p, 12) != COMMAND_PROXY)
		return malformed("version 2: unknown version or command");
	/* the family of a local header is ignored */
	if (p.length > 13 && octet_at(p, 12) == COMMAND_PROXY &&
		(octet_at(p, 13) >> 4 > FAMILY_UNIX ||
			(octet_at(p, 13) & 15) > TRANSPORT_DGRAM))
		return malformed("version 2: unknown family or transport");
	if (p.length < V2_FIXED)
		return incomplete(V2_FIXED - p.length);
	octets = V2_FIXED + number_at(p, 14);
	if (octets > PROXY_HEADER_OCTETS)
		return malformed("version 2: header too long");
	return p.length < octets ? incomplete(octets - p.length) : complete(octets);
}

/* CRC32c (RFC 9260 appendix A, RFC 4960 appendix B) of p. The four octets at hole count as
 * zero. */
static uint32_t crc32c(struct part p, size_t hole)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < p.length; i++) {
		crc ^= i >= hole && i - hole < 4 ? 0 : octet_at(p, i);
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static bool crc_is_right(struct part header, struct part value)
{
	const uint32_t sent = (uint32_t)(number_at(value, 0) << 16 | number_at(value, 2));

	return crc32c(header, (size_t)(value.octets - header.octets)) == sent;
}

/* Takes off a TLV; false if the rest does not begin with one. */
static bool take_tlv(struct part *rest, unsigned *type, struct part *value)
{
	if (rest->length < TLV_FIXED || rest->length - TLV_FIXED < number_at(*rest, 1))
		return false;
	*type = octet_at(*rest, 0);
	*value = (struct part){rest->octets + TLV_FIXED, number_at(*rest, 1)};
	*rest = skip(*rest, TLV_FIXED + value->length);
	return true;
}

/* Section 2.2.6. Version, cipher and client certificate are not used, but the lengths must add
 * up. */
static const char *parse_ssl(struct part value, struct proxy_header *h)
{
	unsigned type;
	struct part rest, sub;

	if (value.length < 5)
		return "version 2: SSL TLV too short";
	rest = skip(value, 5);
	while (rest.length > 0)
		if (!take_tlv(&rest, &type, &sub))
			return "version 2: lengths in the SSL TLV do not add up";
	h->tls = (octet_at(value, 0) & CLIENT_SSL) != 0;
	return NULL;
}

static const char *parse_tlvs(struct part header, struct part rest, struct proxy_header *h)
{
	bool seen_ssl = false;
	const char *reason = NULL;

	while (rest.length > 0 && reason == NULL) {
		unsigned type;
		struct part value;

		if (!take_tlv(&rest, &type, &value))
			return "version 2: lengths of the TLVs do not add up";
		if (type == TLV_CRC32C) {
			if (value.length != 4)
				return "version 2: bad CRC32C TLV";
			if (!crc_is_right(header, value))
				return "version 2: CRC32C does not match";
		} else if (type == TLV_SSL) {
			if (seen_ssl)
				return "version 2: two SSL TLVs";
			seen_ssl = true;
			reason = parse_ssl(value, h);
		}
	}
	return reason;
}

static void write_port(size_t port, char text[ADDRESS_PORT_OCTETS])
{
	char digits[ADDRESS_PORT_OCTETS];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + port % 10);
		port /= 10;
	} while (port > 0 && count < sizeof digits - 1);
	while (count > 0)
		*text++ = digits[--count];
	*text = '\0';
}

static void take_addresses(struct part p, size_t ip_octets, struct proxy_header *h)
{
	const unsigned char *const octets = (const unsigned char *)p.octets;
	const struct address source = address_of(octets, ip_octets);
	const struct address destination = address_of(octets + ip_octets, ip_octets);

	address_write(&source, h->source_ip);
	address_write(&destination, h->destination_ip);
	write_port(number_at(p, 2 * ip_octets), h->source_port);
	write_port(number_at(p, 2 * ip_octets + 2), h->destination_port);
	h->has_addresses = true;
}

static const char *parse_v2(struct part header, struct proxy_header *h)
{
	const unsigned family = octet_at(header, 13) >> 4;
	const struct part rest = skip(header, V2_FIXED);

	if (octet_at(header, 12) == COMMAND_LOCAL) {
		h->local = true; /* the rest is to be discarded */
		return NULL;
	}
	if (family == FAMILY_UNSPEC || (octet_at(header, 13) & 15) == TRANSPORT_UNSPEC)
		return NULL; /* likewise: the place of TLVs is not known */
	if (rest.length < addresses_octets[family])
		return "version 2: too short for its addresses";
	if (family != FAMILY_UNIX)
		take_addresses(rest, family == FAMILY_INET ? 4 : 16, h);
	return parse_tlvs(header, skip(rest, addresses_octets[family]), h);
}

/* Both versions. */

static struct extent measure(struct part p)
{
	if (p.length == 0)
		return incomplete(V1_LEAST);
	return p.octets[0] == '\r' ? measure_v2(p) : measure_v1(p);
}

size_t proxy_need(const char *octets, size_t have)
{
	const struct extent extent = measure((struct part){octets, have});

	return extent.result == PROXY_INCOMPLETE ? extent.octets : 0;
}

enum proxy_result proxy_parse(const char *octets, size_t have, struct proxy_header *h)
{
	const struct extent extent = measure((struct part){octets, have});

	memset(h, 0, sizeof *h);
	h->reason = extent.reason;
	if (extent.result != PROXY_COMPLETE)
		return extent.result;
	if (octets[0] == '\r')
		h->reason = parse_v2((struct part){octets, extent.octets}, h);
	else
		h->reason = parse_v1((struct part){octets, extent.octets - 2}, h);
	if (h->reason != NULL) {
		*h = (struct proxy_header){.reason = h->reason};
		return PROXY_MALFORMED;
	}
	h->octets = extent.octets;
	return PROXY_COMPLETE;
}
