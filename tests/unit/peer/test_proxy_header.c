/* proxy_header: headers of the PROXY protocol, whole, in parts, and wrong. */
#include "tests/unit/unit_proxy.h"

static void is_malformed(const char *octets, size_t length)
{
	struct proxy_header h;

	if (parse(octets, length, &h) != PROXY_MALFORMED)
		unit_print("taken", octets, length, 0);
	assert_int_equal(parse(octets, length, &h), PROXY_MALFORMED);
	assert_non_null(h.reason);
	assert_false(h.local || h.has_addresses || h.tls);
	assert_string_equal(h.source_ip, "");
	assert_int_equal(h.octets, 0);
}

static void is_complete(const char *octets, size_t length, struct proxy_header *h)
{
	const enum proxy_result result = parse(octets, length, h);

	if (result != PROXY_COMPLETE)
		print_error("reason: %s\n", h->reason != NULL ? h->reason : "incomplete");
	assert_int_equal(result, PROXY_COMPLETE);
	assert_null(h->reason);
	assert_int_equal(h->octets, length);
}

static void built_is_malformed(void)
{
	is_malformed(b.octets, b.length);
}

static void is_line(const char *line, const char *source_ip, const char *source_port,
	const char *destination_ip, const char *destination_port)
{
	struct proxy_header h;

	is_complete(line, strlen(line), &h);
	assert_false(h.local || h.tls);
	assert_int_equal(h.has_addresses, source_ip[0] != '\0');
	assert_string_equal(h.source_ip, source_ip);
	assert_string_equal(h.source_port, source_port);
	assert_string_equal(h.destination_ip, destination_ip);
	assert_string_equal(h.destination_port, destination_port);
}

TEST(version_1_examples_of_the_document)
{
	is_line("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1", "56324",
		"192.168.0.11", "443");
	is_line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255",
		"65535", "255.255.255.255", "65535");
	is_line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "65535",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "65535");
	is_line("PROXY UNKNOWN\r\n", "", "", "", "");
	is_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"", "", "", "");
}

TEST(version_1_shortest_lines)
{
	is_line("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0", "0", "0.0.0.0", "0");
	is_line("PROXY TCP6 :: :: 0 0\r\n", "::", "0", "::", "0");
	is_line("PROXY UNKNOWN \r\n", "", "", "", "");
}

TEST(version_1_mapped_addresses_are_v4)
{
	is_line("PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6402 1 995\r\n", "192.0.2.1", "1",
		"198.51.100.2", "995");
}

TEST(version_1_of_another_form_is_refused)
{
	static const char *const bad[] = {"PROXY\r\n", "PROXY \r\n", "PROXY TCP4\r\n",
		"PROXY TCP4 \r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4  1 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1  1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 \r\n",
		"PROXY TCP4 1.2.3.4\r\n", "PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 100000 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 0x1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n",
		"PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 1\r\n",
		"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP6 ::1 1.2.3.4 1 1\r\n",
		"PROXY TCP6 :::1 ::1 1 1\r\n", "PROXY TCP6 ::1%lo ::1 1 1\r\n",
		"PROXY UNKNOWNX\r\n", "PROXY UNKNOWN\tx\r\n", "PROXY UNKNOW\r\n",
		"PROXY unknown\r\n"};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		is_malformed(bad[i], strlen(bad[i]));
	is_malformed("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n", 34);
}

TEST(version_1_ends_in_crlf_only)
{
	static const char *const bad[] = {"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rx", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\r\n",
		"PROXY UNKNOWN\n", "PROXY UNKNOWN\rx\r\n", "PROXY UNKNOWN a\nb\r\n", "PROXY \n",
		"PROXY\n", "PROX\r\n"};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		is_malformed(bad[i], strlen(bad[i]));
}

TEST(version_1_is_107_octets_at_most)
{
	struct proxy_header h;
	char line[200];

	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	is_complete(line, 107, &h);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(parse(line, 106, &h), PROXY_INCOMPLETE);
	is_malformed(line, 107);
	is_malformed(line, 108);
	memset(line + 14, 'x', sizeof line - 14);
	assert_int_equal(parse(line, 106, &h), PROXY_INCOMPLETE);
	is_malformed(line, 107);
	is_malformed(line, 200);
}

/* Other protocols and other versions are not headers. */
TEST(what_begins_otherwise_is_refused_at_once)
{
	struct proxy_header h;

	for (unsigned c = 0; c < 256; c++) {
		const char octet = (char)c;

		if (c == 'P' || c == '\r')
			assert_int_equal(parse(&octet, 1, &h), PROXY_INCOMPLETE);
		else
			is_malformed(&octet, 1);
	}
	is_malformed("POST / HTTP/1.1\r\n", 17);
	is_malformed("PASS secret\r\n", 13);
	is_malformed("PRO\r", 4);
	is_malformed("\r\n\r\n\1", 5);
	is_malformed("\r\n\r\n\0\r\nQUIT\r", 12);
	assert_int_equal(parse("", 0, &h), PROXY_INCOMPLETE);
}

TEST(version_2_addresses)
{
	struct proxy_header h;

	for (unsigned transport = 1; transport <= 2; transport++) {
		begin(0x21, 0x10 + transport);
		add(V4, 12);
		finish();
		is_complete(b.octets, b.length, &h);
		assert_true(h.has_addresses);
		assert_string_equal(h.source_ip, "192.0.2.1");
		assert_string_equal(h.source_port, "56324");
		assert_string_equal(h.destination_ip, "198.51.100.2");
		assert_string_equal(h.destination_port, "110");
		begin(0x21, 0x20 + transport);
		add(V6, 36);
		finish();
		is_complete(b.octets, b.length, &h);
		assert_true(h.has_addresses);
		assert_string_equal(h.source_ip, "2001:db8::1");
		assert_string_equal(h.source_port, "65535");
		assert_string_equal(h.destination_ip, "2001:db8::2");
		assert_string_equal(h.destination_port, "995");
		assert_false(h.local || h.tls);
	}
}

TEST(version_2_mapped_addresses_are_v4)
{
	struct proxy_header h;

	begin(0x21, 0x21);
	add("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
	add("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x02\x00\x01\x00\x00", 20);
	finish();
	is_complete(b.octets, b.length, &h);
	assert_string_equal(h.source_ip, "192.0.2.1");
	assert_string_equal(h.destination_ip, "198.51.100.2");
	assert_string_equal(h.source_port, "1");
	assert_string_equal(h.destination_port, "0");
}

/* The block of a local header is discarded, whatever it contains. */
TEST(version_2_local_is_a_health_check)
{
	struct proxy_header h;

	for (unsigned family = 0; family < 256; family++) {
		begin(0x20, family);
		add("\x20\xff", family % 3);
		finish();
		is_complete(b.octets, b.length, &h);
		assert_true(h.local);
		assert_false(h.has_addresses || h.tls);
	}
	begin(0x20, 0);
	finish_with_crc();
	b.octets[b.length - 1] ^= 1;
	is_complete(b.octets, b.length, &h);
}

/* The addresses, and where TLVs would begin, are not known. */
TEST(version_2_unspec_says_nothing)
{
	static const unsigned families[] = {0x00, 0x01, 0x02, 0x10, 0x20, 0x30};
	struct proxy_header h;

	for (size_t i = 0; i < COUNT_OF(families); i++)
		for (size_t length = 0; length < 300; length += 100) {
			begin(0x21, families[i]);
			while (b.length < 16 + length)
				add_octet(0x20);
			finish();
			is_complete(b.octets, b.length, &h);
			assert_false(h.local || h.has_addresses || h.tls);
		}
}

TEST(version_2_unix_sockets_have_no_addresses_but_may_have_tls)
{
	struct proxy_header h;

	for (unsigned transport = 1; transport <= 2; transport++) {
		begin(0x21, 0x30 + transport);
		add(unix_addresses, 216);
		add_tlv(0x20, "\1\0\0\0\0", 5);
		finish();
		is_complete(b.octets, b.length, &h);
		assert_false(h.has_addresses || h.local);
		assert_true(h.tls);
	}
}

TEST(version_2_unknown_values_are_refused)
{
	for (unsigned value = 0; value < 256; value++) {
		struct proxy_header h;

		begin(value, 0x11);
		add(V4, 12);
		finish();
		if (value == 0x20 || value == 0x21)
			is_complete(b.octets, b.length, &h);
		else
			built_is_malformed();
		if (value != 0x20 && value != 0x21)
			is_malformed(b.octets, 13); /* at once */
		begin(0x21, value);
		while (b.length < 16 + 216)
			add_octet(0);
		finish();
		if (value >> 4 <= 3 && (value & 15) <= 2)
			is_complete(b.octets, b.length, &h);
		else
			is_malformed(b.octets, 14);
	}
}

TEST(version_2_shorter_than_its_addresses_is_refused)
{
	static const size_t lengths[] = {0, 12, 36, 216};
	struct proxy_header h;

	for (unsigned family = 1; family <= 3; family++)
		for (size_t length = 0; length <= lengths[family]; length++) {
			begin(0x21, family << 4 | 1);
			add(unix_addresses, length);
			finish();
			if (length == lengths[family])
				is_complete(b.octets, b.length, &h);
			else
				built_is_malformed();
		}
}

TEST(version_2_is_2048_octets_at_most)
{
	static char padding[3000];
	struct proxy_header h;

	begin(0x21, 0x11);
	add(V4, 12);
	add_tlv(4, padding, 2048 - 16 - 12 - 3);
	finish();
	is_complete(b.octets, b.length, &h);
	assert_int_equal(h.octets, PROXY_HEADER_OCTETS);
	set_length(2048 - 16 + 1);
	is_malformed(b.octets, 16); /* Without waiting for it. */
	assert_int_equal(need(b.octets, 16), 0);
	set_length(65535);
	is_malformed(b.octets, 16);
	begin(0x20, 0);
	set_length(65535);
	is_malformed(b.octets, 16);
}

static void parse_ssl(
	unsigned client, unsigned verify, const char *name, struct proxy_header *h)
{
	begin(0x21, 0x11);
	add(V4, 12);
	add_tlv(2, "mail.example.com", 16);
	add_ssl(client, verify, name);
	add_tlv(1, "pop3", 4);
	finish();
	is_complete(b.octets, b.length, h);
}

TEST(tls_is_what_the_ssl_tlv_says)
{
	struct proxy_header h;

	parse_ssl(1, 1, "", &h);
	assert_true(h.tls);
	assert_true(h.has_addresses);
	for (unsigned client = 0; client < 256; client += 2) {
		parse_ssl(client, 0, "x", &h);
		assert_false(h.tls);
	}
}

TEST(texts_of_the_ssl_tlv_are_passed_over)
{
	static const char *const names[] = {
		"", "a\nb", "a\x7f", "\x1b[0m", "\xe4", "J\xc3\xb6rg"};
	char longest[258];
	struct proxy_header h;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		for (unsigned verify = 0; verify < 2; verify++) {
			parse_ssl(7, verify, names[i], &h);
			assert_true(h.tls && h.has_addresses);
		}
	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	parse_ssl(7, 0, longest, &h);
	assert_true(h.tls && h.has_addresses);
}

TEST(ssl_tlv_of_another_form_is_refused)
{
	static const struct {
		const char *value;
		size_t length;
	} bad[] = {{"", 0}, {"\1\0\0\0", 4}, {"\1\0\0\0\0\x21", 6}, {"\1\0\0\0\0\x21\0", 7},
		{"\1\0\0\0\0\x21\0\1", 8}, {"\1\0\0\0\0\x21\1\0x", 9},
		{"\1\0\0\0\0\x21\0\1xy", 10}, {"\1\0\0\0\0\x21\xff\xff", 8}};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		begin(0x21, 0x11);
		add(V4, 12);
		add_tlv(0x20, bad[i].value, bad[i].length);
		add_tlv(4, "xxxx", 4);
		finish();
		built_is_malformed();
	}
	begin(0x21, 0x11);
	add(V4, 12);
	add_tlv(0x20, "\0\0\0\0\0", 5);
	add_tlv(0x20, "\1\0\0\0\0", 5);
	finish();
	built_is_malformed();
}

TEST(tlv_lengths_that_lie_are_refused)
{
	static const struct {
		const char *octets;
		size_t length;
	} bad[] = {{"\4", 1}, {"\4\0", 2}, {"\4\0\1", 3}, {"\4\0\2x", 4}, {"\4\1\0x", 4},
		{"\4\0\0\4", 4}, {"\4\xff\xff", 3}, {"\xee\0\1xy", 5}};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		begin(0x21, 0x11);
		add(V4, 12);
		add(bad[i].octets, bad[i].length);
		finish();
		built_is_malformed();
	}
}

TEST(unknown_tlvs_are_ignored)
{
	struct proxy_header h;

	for (unsigned type = 0; type < 256; type++) {
		if (type == 0x03 || type == 0x20)
			continue;
		begin(0x21, 0x21);
		add(V6, 36);
		add_tlv(type, "", 0);
		add_tlv(type, "\1\0\0\0\0", 5);
		finish();
		is_complete(b.octets, b.length, &h);
		assert_false(h.tls);
	}
}

/* The value that RFC 3720 appendix B.4 gives for 32 zero octets, and the well-known check
 * value. */
TEST(model_of_crc32c_is_right)
{
	static const char zeros[32];

	assert_int_equal(crc(zeros, 32), 0x8a9136aa);
	assert_int_equal(crc("123456789", 9), 0xe3069283);
}

TEST(crc32c_is_verified)
{
	struct proxy_header h;

	begin(0x21, 0x11);
	add(V4, 12);
	add_ssl(1, 0, "");
	finish_with_crc();
	is_complete(b.octets, b.length, &h);
	assert_true(h.tls);
	for (size_t i = 16; i < b.length - 7; i++) {
		b.octets[i] ^= 0x40;
		if (i < 28 || i > 30) /* There it is no longer a TLV of SSL. */
			built_is_malformed();
		b.octets[i] ^= 0x40;
	}
	for (size_t i = b.length - 4; i < b.length; i++) {
		b.octets[i] ^= 1;
		built_is_malformed();
		b.octets[i] ^= 1;
	}
	is_complete(b.octets, b.length, &h);
}

TEST(crc32c_in_the_middle_and_of_another_form)
{
	struct proxy_header h;
	uint32_t value;

	begin(0x21, 0x11);
	add(V4, 12);
	add_tlv(3, "\0\0\0\0", 4);
	add_tlv(5, "unique", 6);
	finish();
	value = crc(b.octets, b.length);
	for (size_t i = 0; i < 4; i++)
		b.octets[34 - i] = (char)(value >> 8 * i & 0xff);
	is_complete(b.octets, b.length, &h);
	for (size_t length = 0; length < 8; length++) {
		if (length == 4)
			continue;
		begin(0x21, 0x11);
		add(V4, 12);
		add_tlv(3, "\0\0\0\0\0\0\0", length);
		finish();
		built_is_malformed();
	}
	begin(0x21, 0x11); /* Two of them: the first is wrong. */
	add(V4, 12);
	add_tlv(3, "\0\0\0\0", 4);
	finish_with_crc();
	built_is_malformed();
}

/* A reader that reads as much as proxy_need says, in parts of any length, stops exactly at
 * the end. */
static void reads_every_split(const char *octets, size_t length)
{
	struct proxy_header whole, h;
	char more[3000];

	is_complete(octets, length, &whole);
	for (size_t have = 0; have < length; have++) {
		const size_t certain = need(octets, have);

		assert_in_range(certain, 1, length - have);
		assert_int_equal(parse(octets, have, &h), PROXY_INCOMPLETE);
		assert_false(h.local || h.has_addresses || h.tls);
	}
	for (size_t part = 1; part <= length; part++) {
		size_t have = 0, certain;

		while ((certain = need(octets, have)) > 0) {
			have += certain < part ? certain : part;
			assert_true(have <= length);
		}
		assert_int_equal(have, length);
	}
	memcpy(more, octets, length);
	memcpy(more + length, "USER tim\r\nPASS x\r\n", 18);
	for (size_t extra = 0; extra <= 18; extra++) {
		assert_int_equal(parse(more, length + extra, &h), PROXY_COMPLETE);
		assert_memory_equal(&h, &whole, sizeof h);
		assert_int_equal(need(more, length + extra), 0);
	}
}

TEST(every_split_of_a_header)
{
	static const char *const lines[] = {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
		"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "PROXY TCP6 :: :: 0 0\r\n",
		"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 65535\r\n", "PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN \r\n", "PROXY UNKNOWN TCP4 and so on\r\n",
		("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")};

	for (size_t i = 0; i < COUNT_OF(lines); i++)
		reads_every_split(lines[i], strlen(lines[i]));
	begin(0x20, 0);
	finish();
	reads_every_split(b.octets, b.length);
	begin(0x21, 0);
	finish();
	reads_every_split(b.octets, b.length);
	begin(0x21, 0x11);
	add(V4, 12);
	finish();
	reads_every_split(b.octets, b.length);
	begin(0x21, 0x21);
	add(V6, 36);
	add_ssl(7, 0, "example.com");
	finish_with_crc();
	reads_every_split(b.octets, b.length);
	begin(0x21, 0x31);
	add(unix_addresses, 216);
	add_ssl(1, 1, "");
	finish();
	reads_every_split(b.octets, b.length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_examples_of_the_document),
		cmocka_unit_test(version_1_shortest_lines),
		cmocka_unit_test(version_1_mapped_addresses_are_v4),
		cmocka_unit_test(version_1_of_another_form_is_refused),
		cmocka_unit_test(version_1_ends_in_crlf_only),
		cmocka_unit_test(version_1_is_107_octets_at_most),
		cmocka_unit_test(what_begins_otherwise_is_refused_at_once),
		cmocka_unit_test(version_2_addresses),
		cmocka_unit_test(version_2_mapped_addresses_are_v4),
		cmocka_unit_test(version_2_local_is_a_health_check),
		cmocka_unit_test(version_2_unspec_says_nothing),
		cmocka_unit_test(version_2_unix_sockets_have_no_addresses_but_may_have_tls),
		cmocka_unit_test(version_2_unknown_values_are_refused),
		cmocka_unit_test(version_2_shorter_than_its_addresses_is_refused),
		cmocka_unit_test(version_2_is_2048_octets_at_most),
		cmocka_unit_test(tls_is_what_the_ssl_tlv_says),
		cmocka_unit_test(texts_of_the_ssl_tlv_are_passed_over),
		cmocka_unit_test(ssl_tlv_of_another_form_is_refused),
		cmocka_unit_test(tlv_lengths_that_lie_are_refused),
		cmocka_unit_test(unknown_tlvs_are_ignored),
		cmocka_unit_test(model_of_crc32c_is_right),
		cmocka_unit_test(crc32c_is_verified),
		cmocka_unit_test(crc32c_in_the_middle_and_of_another_form),
		cmocka_unit_test(every_split_of_a_header),
	};

	return UNIT_RUN("proxy", tests);
}
