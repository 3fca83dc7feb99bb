/* unit_proxy: builds headers of the PROXY protocol for the tests. */
#ifndef UNIT_PROXY_H
#define UNIT_PROXY_H

#include "tests/unit/unit.h"

#include "peer/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Parses octets in an allocation of exactly their length. */
static inline enum proxy_result parse(const char *octets, size_t length, struct proxy_header *h)
{
	char *const exact = malloc(length + !length);
	enum proxy_result result;

	memcpy(exact, octets, length);
	result = proxy_parse(exact, length, h);
	free(exact);
	return result;
}

static inline size_t need(const char *octets, size_t length)
{
	char *const exact = malloc(length + !length);
	size_t octets_needed;

	memcpy(exact, octets, length);
	octets_needed = proxy_need(exact, length);
	free(exact);
	return octets_needed;
}

/* A header under construction. */
struct built {
	char octets[70000];
	size_t length;
};

static struct built b;

static inline void add(const char *octets, size_t length)
{
	assert_true(b.length + length <= sizeof b.octets);
	memcpy(b.octets + b.length, octets, length);
	b.length += length;
}

static inline void add_octet(unsigned octet)
{
	const char c = (char)octet;

	add(&c, 1);
}

/* Starts a header of version 2. finish sets its length. */
static inline void begin(unsigned command, unsigned family)
{
	b.length = 0;
	add(SIGNATURE, 12);
	add_octet(command);
	add_octet(family);
	add("\0\0", 2);
}

static inline void add_tlv(unsigned type, const char *value, size_t length)
{
	add_octet(type);
	add_octet((unsigned)length >> 8);
	add_octet(length & 0xff);
	add(value, length);
}

static inline void set_length(size_t length)
{
	b.octets[14] = (char)(length >> 8);
	b.octets[15] = (char)(length & 0xff);
}

static inline void finish(void)
{
	set_length(b.length - 16);
}

/* CRC32c with a table of 256 entries. */
static inline uint32_t crc(const char *octets, size_t length)
{
	static uint32_t table[256];
	uint32_t value = 0xffffffff;

	for (uint32_t i = 0; i < 256 && table[255] == 0; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] % 2 != 0 ? table[i] / 2 ^ 0x82f63b78 : table[i] / 2;
	}
	for (size_t i = 0; i < length; i++)
		value = table[(value ^ (unsigned char)octets[i]) & 0xff] ^ value >> 8;
	return value ^ 0xffffffff;
}

/* Adds the CRC TLV with the right value. Nothing may be added afterwards. */
static inline void finish_with_crc(void)
{
	uint32_t value;

	add_tlv(3, "\0\0\0\0", 4);
	finish();
	value = crc(b.octets, b.length);
	for (size_t i = 0; i < 4; i++)
		b.octets[b.length - 1 - i] = (char)(value >> 8 * i & 0xff);
}

#define V4 "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x6e" /* Ports 56324 and 110. */
#define V6                                                                                     \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" \
	"\xff\xff\x03\xe3"

static const char unix_addresses[216] = "/run/client";

/* The header that HAProxy's send-proxy-v2-ssl-cn sends. */
static inline void add_ssl(unsigned client, unsigned verify, const char *name)
{
	char value[600] = {(char)client, 0, 0, 0, (char)verify};
	size_t length = 5;
	static const struct {
		char type;
		const char *text;
	} texts[] = {{0x21, "TLSv1.3"}, {0x23, "TLS_AES_256_GCM_SHA384"}, {0x22, NULL},
		{0x25, "RSA2048"}, {0x24, "RSA-SHA256"}};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		const char *const text = texts[i].text != NULL ? texts[i].text : name;

		value[length++] = texts[i].type;
		value[length++] = (char)(strlen(text) >> 8);
		value[length++] = (char)(strlen(text) & 0xff);
		memcpy(value + length, text, strlen(text));
		length += strlen(text);
	}
	add_tlv(0x20, value, length);
}

#endif
