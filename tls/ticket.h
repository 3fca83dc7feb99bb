/* ticket: keys that seal session tickets (RFC 5077; RFC 8446 section 4.6.1), shared by all
 * processes and hosts that serve one name.
 *
 * A file of keys has a line of 160 hexadecimal digits for each key, or only the keys
 * themselves, of 80 octets: a name of 16, 32 for AES-256-CBC and 32 for HMAC-SHA256. */
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
	struct ticket_key keys[TICKET_KEYS]; /* the first seals tickets, all open them */
	size_t count;
};

/* Takes the keys from the contents of a file. Returns false if these are not keys. */
bool ticket_parse(struct ticket_keys *keys, const char *octets, size_t length);

#endif
