/* proxy_header: the header of the PROXY protocol, versions 1 and 2, in which a proxy describes
 * its client. Pure computation: the caller reads the octets.
 *
 *	while ((need = proxy_need(octets, have)) > 0)
 *		read need more octets at most, and never others, into octets + have;
 *	result = proxy_parse(octets, have, &header);
 */
#ifndef PROXY_HEADER_H
#define PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/address.h"

/* The longest header that is accepted. */
#define PROXY_HEADER_OCTETS 2048

/* The longest line of version 1, with its CRLF. */
#define PROXY_LINE_OCTETS 107

enum proxy_result {
	PROXY_COMPLETE,
	PROXY_INCOMPLETE, /* the octets are the beginning of a header */
	PROXY_MALFORMED,  /* see reason; the caller drops the connection */
};

/* All texts are terminated, and empty if a value is not known. */
struct proxy_header {
	size_t octets;      /* the length of the header; the octets after it are the client's */
	const char *reason; /* of PROXY_MALFORMED, for the log */

	/* The proxy speaks for itself (a health check), and for no client. Nothing below is
	 * set then. */
	bool local;

	/* Otherwise the proxy may still not know the client's addresses (UNKNOWN, UNSPEC, a
	 * Unix socket): then those of the connection itself stand. */
	bool has_addresses;
	char source_ip[ADDRESS_TEXT_OCTETS], source_port[ADDRESS_PORT_OCTETS];
	char destination_ip[ADDRESS_TEXT_OCTETS], destination_port[ADDRESS_PORT_OCTETS];

	bool tls; /* the client uses TLS towards the proxy */
};

/* How many more octets certainly belong to the header that begins with these. 0: the header is
 * complete, or this is no header. A reader that reads no more than this never takes an octet of
 * the client. */
size_t proxy_need(const char *octets, size_t have);

/* Fills h from the header at the start of octets; more may follow after it. */
enum proxy_result proxy_parse(const char *octets, size_t have, struct proxy_header *h);

#endif
