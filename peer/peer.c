/* peer: see peer.h. */
#include "peer/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/number.h"

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

static void write_port(char *text, uint16_t network_port)
{
	snprintf(text, PEER_PORT_OCTETS, "%u", (unsigned)ntohs(network_port));
}

/* Writes an IPv6 address, a mapped IPv4 one as IPv4; returns whether it was IPv6. */
static bool write_ip6(char *text, const struct in6_addr *address)
{
	const bool mapped = IN6_IS_ADDR_V4MAPPED(address);

	if (mapped)
		inet_ntop(AF_INET, &address->s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
	return !mapped;
}

/* Returns the name of the protocol, or NULL if the address is not of the internet. */
static const char *write_address(const union address *a, char *ip, char *port)
{
	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, ip, INET6_ADDRSTRLEN);
		write_port(port, a->in.sin_port);
		return "TCP";
	}
	if (a->any.sa_family == AF_INET6) {
		const bool is_v6 = write_ip6(ip, &a->in6.sin6_addr);

		write_port(port, a->in6.sin6_port);
		return is_v6 ? "TCP6" : "TCP";
	}
	return NULL;
}

static bool from_socket(struct peer *p, int fd)
{
	union address a;
	socklen_t length = sizeof a;
	const char *protocol;

	memset(&a, 0, sizeof a);
	if (getpeername(fd, &a.any, &length) != 0)
		return false;
	protocol = write_address(&a, p->remote_ip, p->remote_port);
	if (protocol == NULL)
		return false;
	snprintf(p->protocol, sizeof p->protocol, "%s", protocol);
	memset(&a, 0, sizeof a);
	length = sizeof a;
	if (getsockname(fd, &a.any, &length) == 0)
		write_address(&a, p->local_ip, p->local_port);
	return true;
}

static void take_ip(char *text, const char *value)
{
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, value, &in) == 1)
		inet_ntop(AF_INET, &in, text, INET6_ADDRSTRLEN);
	else if (inet_pton(AF_INET6, value, &in6) == 1)
		write_ip6(text, &in6);
}

/* The first of the variables that is set to an address. */
static void ip_from(char *text, const char *const *names)
{
	for (; *names != NULL && text[0] == '\0'; names++) {
		const char *const value = getenv(*names);

		if (value != NULL)
			take_ip(text, value);
	}
}

static void port_from(char *text, const char *const *names)
{
	for (; *names != NULL && text[0] == '\0'; names++) {
		const char *const value = getenv(*names);
		uint64_t port;

		if (value != NULL && number_parse(value, strlen(value), &port) && port <= 65535)
			snprintf(text, PEER_PORT_OCTETS, "%u", (unsigned)port);
	}
}

static void from_environment(struct peer *p)
{
	static const char *const remote_ips[] = {
		"TCPREMOTEIP", "SSLREMOTEIP", "REMOTE_ADDR", "REMOTE_HOST", NULL};
	static const char *const remote_ports[] = {
		"TCPREMOTEPORT", "SSLREMOTEPORT", "REMOTE_PORT", NULL};
	static const char *const local_ips[] = {"TCPLOCALIP", "SSLLOCALIP", NULL};
	static const char *const local_ports[] = {"TCPLOCALPORT", "SSLLOCALPORT", NULL};

	ip_from(p->remote_ip, remote_ips);
	port_from(p->remote_port, remote_ports);
	ip_from(p->local_ip, local_ips);
	port_from(p->local_port, local_ports);
	if (p->remote_ip[0] != '\0')
		snprintf(p->protocol, sizeof p->protocol, "%s",
			strchr(p->remote_ip, ':') != NULL ? "TCP6" : "TCP");
}

static bool is_set(const char *name)
{
	const char *const value = getenv(name);

	return value != NULL && value[0] != '\0';
}

void peer_lookup(struct peer *p, int fd)
{
	memset(p, 0, sizeof *p);
	if (!from_socket(p, fd))
		from_environment(p);
	p->tls = is_set("SSL_PROTOCOL") || is_set("SSL_CIPHER");
}

bool peer_has_left(int fd)
{
	union address remote;
	socklen_t octets = sizeof remote;

	return getpeername(fd, &remote.any, &octets) != 0 && errno == ENOTCONN;
}

void peer_take_ip(struct peer *p, const char *ip)
{
	take_ip(p->remote_ip, ip);
}

bool peer_is_local(const struct peer *p)
{
	if (p->proxied)
		return false;
	return p->remote_ip[0] == '\0' || strncmp(p->remote_ip, "127.", 4) == 0 ||
	       strcmp(p->remote_ip, "::1") == 0 || strcmp(p->remote_ip, p->local_ip) == 0;
}

const char *peer_ip(const struct peer *p)
{
	return p->remote_ip[0] != '\0' ? p->remote_ip : "-";
}

const char *peer_port(const struct peer *p)
{
	return p->remote_port[0] != '\0' ? p->remote_port : "-";
}
