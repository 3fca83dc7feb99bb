/* proxy_client: see proxy_client.h. */
#include "peer/proxy_client.h"

#include <stdio.h>
#include <string.h>

#include "lib/number.h"

static uint16_t port_of(const char *text)
{
	uint64_t port;

	return number_parse(text, strlen(text), &port) && port <= UINT16_MAX ? (uint16_t)port
									     : 0;
}

static uint8_t copy_address(const char *text, unsigned char octets[16])
{
	struct address address;

	if (!address_parse(text, strlen(text), &address))
		return 0;
	memcpy(octets, address.octets, address.length);
	return (uint8_t)address.length;
}

struct proxy_client proxy_client_of(const struct proxy_header *header)
{
	struct proxy_client p;

	memset(&p, 0, sizeof p);
	p.local = header->local;
	if (p.local)
		return p;
	p.tls = header->tls;
	if (!header->has_addresses)
		return p;
	p.remote_length = copy_address(header->source_ip, p.remote);
	p.local_length = copy_address(header->destination_ip, p.to);
	p.remote_port = port_of(header->source_port);
	p.local_port = port_of(header->destination_port);
	return p;
}

static bool is_length(uint8_t length)
{
	return length == 0 || length == 4 || length == 16;
}

bool proxy_client_is_valid(const struct proxy_client *p)
{
	return p->local <= 1 && p->tls <= 1 && is_length(p->remote_length) &&
	       is_length(p->local_length);
}

static void write_end(
	char *ip, char *port, const unsigned char *octets, size_t length, uint16_t number)
{
	const struct address address = address_of(octets, length);

	address_write(&address, ip);
	snprintf(port, PEER_PORT_OCTETS, "%u", (unsigned)number);
}

bool proxy_client_is_proxy(const struct proxy_client *proxied, const struct peer *p)
{
	char ip[sizeof p->remote_ip], port[PEER_PORT_OCTETS];

	if (proxied->local || proxied->remote_length == 0)
		return true;
	write_end(ip, port, proxied->remote, proxied->remote_length, proxied->remote_port);
	return strcmp(ip, p->remote_ip) == 0 && strcmp(port, p->remote_port) == 0;
}

void proxy_client_apply(const struct proxy_client *proxied, struct peer *p)
{
	if (proxied->local)
		return;
	p->proxied = true;
	if (proxied->remote_length == 0 || proxied->local_length == 0)
		return;
	write_end(p->remote_ip, p->remote_port, proxied->remote, proxied->remote_length,
		proxied->remote_port);
	write_end(p->local_ip, p->local_port, proxied->to, proxied->local_length,
		proxied->local_port);
	snprintf(p->protocol, sizeof p->protocol, "%s",
		strchr(p->remote_ip, ':') != NULL ? "TCP6" : "TCP");
}
