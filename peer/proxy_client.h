/* proxy_client: what the greeter tells the monitor of a proxy's header: numbers only, so that
 * nothing that came from the network is parsed with privileges. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "peer/peer.h"
#include "peer/proxy_header.h"

/* A length of 0: the address is not known. Else as in struct address, ports as numbers. */
struct proxied {
	uint8_t local; /* the proxy speaks for itself: nothing below is set */
	uint8_t tls;   /* the client came to it over TLS */
	uint8_t remote_length, local_length;
	uint16_t remote_port, local_port;
	unsigned char remote[16], to[16];
};

/* Says the same as the header, whose texts are those of proxy_parse. */
struct proxied proxied_of(const struct proxy_header *header);

/* Whether it can be what proxied_of returned. */
bool proxied_is_valid(const struct proxied *proxied);

/* Makes p the proxy's client; leaves it as it is where the proxy speaks for itself. Addresses
 * that the proxy does not know stay the proxy's. */
void proxied_apply(const struct proxied *proxied, struct peer *p);

#endif
