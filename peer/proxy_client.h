/* proxy_client: what the greeter tells the monitor about a proxy's header. It consists of
 * numbers, so that no text from the network is parsed with privileges. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "peer/peer.h"
#include "peer/proxy_header.h"

/* An address as in struct address; length 0 if it is not known. Ports are numbers. */
struct proxy_client {
	uint8_t local; /* the proxy speaks for itself: nothing below is set */
	uint8_t tls;   /* the client uses TLS towards the proxy */
	uint8_t remote_length, local_length;
	uint16_t remote_port, local_port;
	unsigned char remote[16], to[16];
};

/* Converts a header that proxy_parse has filled. */
struct proxy_client proxy_client_of(const struct proxy_header *header);

/* Whether the value can be a result of proxy_client_of: the greeter is not trusted. */
bool proxy_client_is_valid(const struct proxy_client *proxied);

/* Whether the proxy has connected for itself, as for a health check: it says so, names nobody,
 * or names itself, that is the other end of this connection, which p describes. */
bool proxy_client_is_proxy(const struct proxy_client *proxied, const struct peer *p);

/* Makes p describe the proxy's client. Leaves p unchanged if the proxy speaks for itself.
 * Addresses that the proxy does not know stay those of the proxy. */
void proxy_client_apply(const struct proxy_client *proxied, struct peer *p);

#endif
