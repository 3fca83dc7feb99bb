/* fuzz_proxy: a header of the PROXY protocol and the octets after it; also addresses and
 * rules. */
#include "fuzz.h"

#include "peer/proxy_header.h"

static bool matches(const char *text, const char *rule_text)
{
	struct address_rule rule;

	return address_rule_parse(rule_text, &rule) && address_rules_match(&rule, 1, text);
}

/* A text that was written is read back as the same value, and written the same. */
static void check_ip(const char text[ADDRESS_TEXT_OCTETS])
{
	struct address a;
	struct address_rule rule;
	char again[ADDRESS_TEXT_OCTETS];

	CHECK(memchr(text, '\0', ADDRESS_TEXT_OCTETS) != NULL);
	CHECK(address_parse(text, strlen(text), &a));
	address_write(&a, again);
	CHECK(strcmp(text, again) == 0);
	CHECK(address_rule_parse(text, &rule) && address_rule_matches(&rule, &a));
	CHECK(matches(text, a.length == 4 ? "0.0.0.0/0" : "::/0"));
	CHECK(!matches(text, a.length == 4 ? "::/0" : "0.0.0.0/0"));
}

static void check_port(const char port[ADDRESS_PORT_OCTETS])
{
	CHECK(memchr(port, '\0', ADDRESS_PORT_OCTETS) != NULL && port[0] != '\0');
	CHECK(port[0] != '0' || port[1] == '\0');
	CHECK(strspn(port, "0123456789") == strlen(port) && atoi(port) <= 65535);
}

static void check_header(const struct proxy_header *h)
{
	CHECK(h->reason == NULL && h->octets >= 15 && h->octets <= PROXY_HEADER_OCTETS);
	CHECK(!h->local || (!h->has_addresses && !h->tls));
	if (h->has_addresses) {
		check_ip(h->source_ip);
		check_ip(h->destination_ip);
		check_port(h->source_port);
		check_port(h->destination_port);
	} else {
		CHECK(h->source_ip[0] == '\0' && h->source_port[0] == '\0');
		CHECK(h->destination_ip[0] == '\0' && h->destination_port[0] == '\0');
	}
}

/* The result for a part of a header must agree with the result for the whole. */
static void check_part(const char *octets, size_t part, enum proxy_result result,
	const struct proxy_header *whole)
{
	char *const copy = fuzz_copy(octets, part);
	struct proxy_header h;
	const enum proxy_result of_part = proxy_parse(copy, part, &h);
	const size_t need = proxy_need(copy, part);

	CHECK((need > 0) == (of_part == PROXY_INCOMPLETE));
	CHECK((h.reason != NULL) == (of_part == PROXY_MALFORMED));
	if (result == PROXY_COMPLETE && part < whole->octets)
		CHECK(of_part == PROXY_INCOMPLETE && need <= whole->octets - part);
	if (result == PROXY_COMPLETE && part >= whole->octets)
		CHECK(of_part == PROXY_COMPLETE && memcmp(&h, whole, sizeof h) == 0);
	if (result == PROXY_INCOMPLETE)
		CHECK(of_part == PROXY_INCOMPLETE);
	free(copy);
}

/* The input as a text: an address, or a rule. */
static void check_as_text(const char *octets, size_t size)
{
	char text[ADDRESS_TEXT_OCTETS], rule_text[64];
	struct address_rule rule;
	struct address a;
	char *const copy = fuzz_copy(octets, size);

	if (address_parse(copy, size, &a)) {
		address_write(&a, text);
		check_ip(text);
	}
	free(copy);
	if (size >= sizeof rule_text)
		return;
	memcpy(rule_text, octets, size);
	rule_text[size] = '\0';
	if (address_rule_parse(rule_text, &rule)) {
		CHECK(rule.bits <= rule.address.length * 8);
		CHECK(address_rule_matches(&rule, &rule.address));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const octets = (const char *)data;
	char *const copy = fuzz_copy(octets, size);
	struct proxy_header h;
	const enum proxy_result result = proxy_parse(copy, size, &h);

	free(copy);
	if (result == PROXY_COMPLETE)
		check_header(&h);
	CHECK((h.reason != NULL) == (result == PROXY_MALFORMED));
	for (size_t part = 0; part <= size; part += part < 128 ? 1 : size / 16 + 1)
		check_part(octets, part, result, &h);
	check_part(octets, size, result, &h);
	if (size > 0)
		check_as_text(octets, size);
	return 0;
}
