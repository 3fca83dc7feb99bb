/* ticket: keys that seal session tickets (RFC 5077; RFC 8446 section 4.6.1), shared by all
 * processes and hosts that serve one name.
 *
 * A file of keys has a line of 160 hexadecimal digits for each, or nothing but the keys
 * themselves, 80 octets each: 16 of name, 32 for AES-256-CBC, 32 for HMAC-SHA256. */
#ifndef TLS_TICKET_H
#define TLS_TICKET_H

#include <stdbool.h>
#include <stddef.h>

#define TICKET_KEYS 16
#define TICKET_NAME_OCTETS 16
#define TICKET_HALF_OCTETS 32
#define TICKET_KEY_OCTETS (TICKET_NAME_OCTETS + 2 * TICKET_HALF_OCTETS)

struct ticket_key {
	unsigned char name[TICKET_NAME_OCTETS];
	unsigned char cipher[TICKET_HALF_OCTETS];
	unsigned char mac[TICKET_HALF_OCTETS];
};

struct ticket_keys {
	struct ticket_key keys[TICKET_KEYS]; /* the first seals, all open */
	size_t count;
};

/* Takes the keys from what a file holds. False if that is no such file. */
bool ticket_parse(struct ticket_keys *keys, const char *octets, size_t length);

#endif
