/* address: internet addresses as text, in one form each, and rules that match them. The results
 * are the same with every C library. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* The longest text of an address with its NUL (as INET6_ADDRSTRLEN), and of a port. */
#define ADDRESS_TEXT_OCTETS 46
#define ADDRESS_PORT_OCTETS 6

/* The length of an IPv4 address is 4, also if it was given as ::ffff:a.b.c.d; that of an IPv6
 * address is 16. */
struct address {
	size_t length;
	unsigned char octets[16];
};

/* ADDR/LEN, or one address. */
struct address_rule {
	struct address address;
	unsigned bits; /* so many bits count, from the first */
};

/* Reads a.b.c.d: four decimal numbers, no leading zeros. */
bool address_parse_v4(const char *text, size_t length, struct address *a);

/* Reads an IPv6 address (RFC 4291 section 2.2, any of its three forms). */
bool address_parse_v6(const char *text, size_t length, struct address *a);

/* Reads either. */
bool address_parse(const char *text, size_t length, struct address *a);

/* Takes 4 or 16 octets in network order. */
struct address address_of(const unsigned char *octets, size_t length);

/* Writes a.b.c.d or the text of RFC 5952. */
void address_write(const struct address *a, char text[ADDRESS_TEXT_OCTETS]);

/* Reads ADDR/LEN or ADDR. A bit that is set after the first LEN is an error, since the rule may
 * mean something else. A rule for addresses in ::ffff:0:0/96 is a rule for IPv4. */
bool address_rule_parse(const char *text, struct address_rule *rule);

/* Whether the rule matches the address. A rule for IPv4 matches only IPv4 addresses (in either
 * form), a rule for IPv6 only IPv6 addresses. */
bool address_rule_matches(const struct address_rule *rule, const struct address *a);

/* Whether one of count rules matches the address in the text. A text that is no address matches
 * none. */
bool address_rules_match(const struct address_rule *rules, size_t count, const char *text);

#endif
