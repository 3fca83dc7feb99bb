/* address: internet addresses as text, in one form each, and rules that match them. The same
 * with every C library. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* The longest text of an address with its NUL (as INET6_ADDRSTRLEN), and of a port. */
#define ADDRESS_TEXT_OCTETS 46
#define ADDRESS_PORT_OCTETS 6

/* An IPv4 address, also one that came as ::ffff:a.b.c.d, has length 4; an IPv6 address 16. */
struct address {
	size_t length;
	unsigned char octets[16];
};

/* ADDR/LEN, or one address. */
struct address_rule {
	struct address address;
	unsigned bits; /* that count, from the first */
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

/* Reads ADDR/LEN or ADDR. A bit set behind LEN is an error, as it is not clear then what was
 * meant; a rule for ::ffff:0:0/96 or less of it is one for IPv4. */
bool address_rule_parse(const char *text, struct address_rule *rule);

/* Whether the address is one of the rule's: an IPv4 address (in either form) only of a rule for
 * IPv4, an IPv6 address only of one for IPv6. */
bool address_rule_matches(const struct address_rule *rule, const struct address *a);

/* Whether the address of that text is one of count rules'. What cannot be read is of none. */
bool address_rules_match(const struct address_rule *rules, size_t count, const char *text);

/* The same for texts. What cannot be read does not match. */
bool address_matches(const char *text, const char *rule_text);

#endif
