/* proxy_header: random and mutated headers, compared with a model. */
#include "tests/unit/unit_proxy.h"

#include <arpa/inet.h>
#include <regex.h>

/* The model of version 1: a regular expression, and inet_pton for the addresses. */
static const regex_t *model_regex(void)
{
	static regex_t regex;
	static bool compiled;

	if (!compiled)
		compiled = regcomp(&regex,
				   "^PROXY (UNKNOWN|UNKNOWN [^\r\n]*|(TCP[46]) ([^ ]+) ([^ ]+) "
				   "(0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n$",
				   REG_EXTENDED) == 0;
	assert_true(compiled);
	return &regex;
}

static bool model_v1_address(int family, const char *piece, char text[ADDRESS_TEXT_OCTETS])
{
	unsigned char address[16];

	if (inet_pton(family, piece, address) != 1)
		return false;
	if (family == AF_INET6 && memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		inet_ntop(AF_INET, address + 12, text, ADDRESS_TEXT_OCTETS);
	else
		inet_ntop(family, address, text, ADDRESS_TEXT_OCTETS);
	return true;
}

static bool model_v1_port(const char *piece, char text[ADDRESS_PORT_OCTETS])
{
	snprintf(text, ADDRESS_PORT_OCTETS, "%.5s", piece);
	return strtoul(piece, NULL, 10) <= 65535;
}

/* The end of the line, or an unfinished result. */
static enum proxy_result model_v1_line(
	const char *octets, size_t length, char line[PROXY_LINE_OCTETS + 1], size_t *end)
{
	if (memcmp(octets, "PROXY ", length < 6 ? length : 6) != 0)
		return PROXY_MALFORMED;
	if (length > PROXY_LINE_OCTETS)
		length = PROXY_LINE_OCTETS;
	memcpy(line, octets, length);
	line[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (line[i] == '\0' || (unsigned char)line[i] > '~')
			line[i] = '\x01'; /* regexec treats this octet specially, and no header
					     needs it. */
	*end = strcspn(line, "\r\n");
	if (*end == length || (line[*end] == '\r' && *end + 1 == length))
		return length == PROXY_LINE_OCTETS ? PROXY_MALFORMED : PROXY_INCOMPLETE;
	if (line[*end] != '\r' || line[*end + 1] != '\n')
		return PROXY_MALFORMED;
	line[*end + 2] = '\0';
	return PROXY_COMPLETE;
}

static enum proxy_result model_v1(const char *octets, size_t length, struct proxy_header *h)
{
	char line[PROXY_LINE_OCTETS + 1], pieces[4][PROXY_LINE_OCTETS + 1];
	regmatch_t match[8];
	size_t end;
	int family;
	const enum proxy_result result = model_v1_line(octets, length, line, &end);

	if (result != PROXY_COMPLETE)
		return result;
	if (regexec(model_regex(), line, COUNT_OF(match), match, 0) != 0)
		return PROXY_MALFORMED;
	h->octets = end + 2;
	if (match[2].rm_so < 0)
		return PROXY_COMPLETE;
	family = line[match[2].rm_so + 3] == '4' ? AF_INET : AF_INET6;
	for (int i = 0; i < 4; i++)
		snprintf(pieces[i], sizeof pieces[i], "%.*s",
			(int)(match[i + 3].rm_eo - match[i + 3].rm_so),
			line + match[i + 3].rm_so);
	if (!model_v1_address(family, pieces[0], h->source_ip) ||
		!model_v1_address(family, pieces[1], h->destination_ip) ||
		!model_v1_port(pieces[2], h->source_port) ||
		!model_v1_port(pieces[3], h->destination_port))
		return PROXY_MALFORMED;
	h->has_addresses = true;
	return PROXY_COMPLETE;
}

static unsigned at(const char *octets, size_t index)
{
	return (unsigned char)octets[index];
}

/* Checks that TLVs fill the octets from first to end. Returns the last value of a type, and
 * how many there are. */
static bool model_tlvs(const char *octets, size_t first, size_t end, unsigned type,
	size_t *value, size_t *length, unsigned *count)
{
	*count = 0;
	while (first != end) {
		size_t here;

		if (first + 3 > end)
			return false;
		here = at(octets, first + 1) * 256 + at(octets, first + 2);
		if (at(octets, first) == type) {
			*value = first + 3;
			*length = here;
			++*count;
		}
		first += 3 + here;
		if (first > end)
			return false;
	}
	return true;
}

/* What can be told before the length is there, and then the length. */
static enum proxy_result model_v2_size(const char *octets, size_t length, size_t *size)
{
	if (memcmp(octets, SIGNATURE, length < 12 ? length : 12) != 0)
		return PROXY_MALFORMED;
	if (length >= 13 && (at(octets, 12) & 0xfe) != 0x20)
		return PROXY_MALFORMED;
	if (length >= 14 && at(octets, 12) == 0x21 &&
		(at(octets, 13) / 16 > 3 || at(octets, 13) % 16 > 2))
		return PROXY_MALFORMED;
	if (length < 16)
		return PROXY_INCOMPLETE;
	*size = 16 + at(octets, 14) * 256 + at(octets, 15);
	if (*size > 2048)
		return PROXY_MALFORMED;
	return length < *size ? PROXY_INCOMPLETE : PROXY_COMPLETE;
}

static void model_v2_addresses(const char *octets, unsigned family, struct proxy_header *h)
{
	const size_t ip = family == 1 ? 4 : 16;
	const char *const ports = octets + 16 + 2 * ip;
	const int af = family == 1 ? AF_INET : AF_INET6;

	for (size_t i = 0; i < 2; i++) {
		const char *address = octets + 16 + i * ip;
		const bool mapped =
			family == 2 && memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;

		inet_ntop(mapped ? AF_INET : af, address + (mapped ? 12 : 0),
			i == 0 ? h->source_ip : h->destination_ip, ADDRESS_TEXT_OCTETS);
		snprintf(i == 0 ? h->source_port : h->destination_port, ADDRESS_PORT_OCTETS,
			"%u", (at(ports, 2 * i) * 256 + at(ports, 2 * i + 1)) & 0xffff);
	}
	h->has_addresses = true;
}

/* Whether the checksum is right, of which there may be one. */
static bool model_v2_checksum(const char *octets, size_t first, size_t size)
{
	char copy[PROXY_HEADER_OCTETS];
	size_t value = 0, length = 0;
	unsigned count;
	uint32_t expected;

	if (!model_tlvs(octets, first, size, 3, &value, &length, &count))
		return false;
	if (count != 1)
		return count == 0;
	if (length != 4)
		return false;
	memcpy(copy, octets, size);
	memset(copy + value, 0, 4);
	expected = crc(copy, size);
	for (size_t i = 0; i < 4; i++)
		if (at(octets, value + i) != (expected >> (24 - 8 * i) & 0xff))
			return false;
	return true;
}

static bool model_v2_tls(const char *octets, size_t first, size_t size, struct proxy_header *h)
{
	size_t value = 0, length = 0, nothing;
	unsigned count;

	model_tlvs(octets, first, size, 0x20, &value, &length, &count);
	if (count == 0)
		return true;
	if (count > 1 || length < 5)
		return false;
	h->tls = (at(octets, value) & 1) != 0;
	return model_tlvs(octets, value + 5, value + length, 0x21, &nothing, &nothing, &count);
}

static enum proxy_result model_v2(const char *octets, size_t length, struct proxy_header *h)
{
	static const size_t block[] = {0, 12, 36, 216};
	size_t size, first;
	unsigned family;
	const enum proxy_result result = model_v2_size(octets, length, &size);

	if (result != PROXY_COMPLETE)
		return result;
	family = at(octets, 13) / 16;
	h->octets = size;
	h->local = at(octets, 12) == 0x20;
	if (h->local || family == 0 || at(octets, 13) % 16 == 0)
		return PROXY_COMPLETE;
	first = 16 + block[family];
	if (size < first)
		return PROXY_MALFORMED;
	if (family < 3)
		model_v2_addresses(octets, family, h);
	if (!model_v2_checksum(octets, first, size) || !model_v2_tls(octets, first, size, h))
		return PROXY_MALFORMED;
	return PROXY_COMPLETE;
}

static size_t agreed[3];

static void agrees_with_model(const char *octets, size_t length)
{
	struct proxy_header h, expected = {.octets = 0};
	const enum proxy_result result = parse(octets, length, &h);
	enum proxy_result model = PROXY_INCOMPLETE;

	if (length > 0)
		model = octets[0] == '\r' ? model_v2(octets, length, &expected)
					  : model_v1(octets, length, &expected);
	if (result != model)
		unit_print("header", octets, length, 0);
	assert_int_equal(result, model);
	agreed[result]++;
	assert_int_equal(need(octets, length) > 0, result == PROXY_INCOMPLETE);
	assert_int_equal(h.reason != NULL, result == PROXY_MALFORMED);
	if (result != PROXY_COMPLETE)
		return;
	assert_int_equal(h.octets, expected.octets);
	assert_int_equal(h.local, expected.local);
	assert_int_equal(h.has_addresses, expected.has_addresses);
	assert_int_equal(h.tls, expected.tls);
	assert_string_equal(h.source_port, expected.source_port);
	assert_string_equal(h.destination_port, expected.destination_port);
	if (strchr(expected.source_ip, ':') == NULL || strchr(expected.source_ip, '.') == NULL)
		assert_string_equal(h.source_ip, expected.source_ip);
	if (strchr(expected.destination_ip, ':') == NULL ||
		strchr(expected.destination_ip, '.') == NULL)
		assert_string_equal(h.destination_ip, expected.destination_ip);
}

static uint64_t random_state = 20200305;

static unsigned draw(unsigned below)
{
	return (unsigned)(unit_random(&random_state) % below);
}

static void build_v1(void)
{
	static const char *const protocols[] = {"TCP4", "TCP4", "TCP6", "TCP6", "UNKNOWN"};
	static const char *const v4[] = {
		"192.0.2.1", "0.0.0.0", "255.255.255.255", "10.0.0.256"};
	static const char *const v6[] = {"::1", "2001:db8::1", "::ffff:1.2.3.4", "1:2::3:4::5",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	static const char *const ports[] = {"0", "1", "110", "65535", "65536", "08"};
	const char *const protocol = protocols[draw(COUNT_OF(protocols))];
	const bool is_v4 = protocol[3] == '4';

	b.length = (size_t)snprintf(b.octets, sizeof b.octets, "PROXY %s %s %s %s %s\r\n",
		protocol, is_v4 ? v4[draw(COUNT_OF(v4))] : v6[draw(COUNT_OF(v6))],
		is_v4 ? v4[draw(COUNT_OF(v4) - 1)] : v6[draw(COUNT_OF(v6))],
		ports[draw(COUNT_OF(ports))], ports[draw(COUNT_OF(ports) - 2)]);
}

static void build_v2(void)
{
	static const unsigned families[] = {
		0x11, 0x11, 0x21, 0x21, 0x31, 0x00, 0x12, 0x22, 0x32};
	const unsigned family = families[draw(COUNT_OF(families))];

	begin(draw(8) == 0 ? 0x20 : 0x21, family);
	if (family >> 4 == 1)
		add(V4, 12);
	if (family >> 4 == 2)
		add(V6, 36);
	if (family >> 4 == 3)
		add(unix_addresses, 216);
	for (unsigned tlvs = draw(4); tlvs > 0; tlvs--) {
		if (draw(2) == 0)
			add_ssl(draw(8), draw(2), draw(2) == 0 ? "" : "example.com");
		else
			add_tlv(draw(2) == 0 ? 4 : draw(256), "padding", draw(8));
	}
	if (draw(2) == 0)
		finish_with_crc();
	else
		finish();
}

/* Changes, removes or inserts an octet, or cuts the header. */
static void mutate(void)
{
	const unsigned where = draw((unsigned)b.length);
	static const char telling[] = "\r\n \0.:0159fP\x20\x21\xff";

	switch (draw(5)) {
	case 0: b.octets[where] = (char)draw(256); break;
	case 1: b.octets[where] = telling[draw(sizeof telling - 1)]; break;
	case 2:
		memmove(b.octets + where, b.octets + where + 1, b.length - where - 1);
		b.length--;
		break;
	case 3:
		memmove(b.octets + where + 1, b.octets + where, b.length - where);
		b.octets[where] = telling[draw(sizeof telling - 1)];
		b.length++;
		break;
	default: b.length = where;
	}
}

TEST(random_headers_agree_with_the_model)
{
	memset(agreed, 0, sizeof agreed);
	for (unsigned run = 0; run < 200000; run++) {
		if (run % 2 == 0)
			build_v1();
		else
			build_v2();
		for (unsigned mutations = draw(4); mutations > 0 && b.length > 0; mutations--)
			mutate();
		if (draw(3) == 0)
			add("USER tim\r\nPASS x\r\n", draw(19));
		agrees_with_model(b.octets, b.length);
	}
	/* Each of the three occurred often. */
	for (size_t i = 0; i < 3; i++)
		assert_true(agreed[i] > 20000);
}

TEST(random_octets_agree_with_the_model)
{
	for (unsigned run = 0; run < 100000; run++) {
		b.length = 0;
		if (run % 3 == 0)
			add("PROXY ", 6);
		if (run % 3 == 1)
			add(SIGNATURE "\x21", 13);
		for (unsigned n = draw(run % 2 == 0 ? 20 : 150); n > 0; n--)
			add_octet(draw(256));
		agrees_with_model(b.octets, b.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_headers_agree_with_the_model),
		cmocka_unit_test(random_octets_agree_with_the_model),
	};

	return UNIT_RUN("proxy, random", tests);
}
