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

/* Returns the name of the protocol, or NULL for an address that is not of the internet. */
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

/* Writes the address in canonical form; returns false if the octets are not an address. */
static bool write_ip(char *text, const char *octets, size_t length)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	struct in_addr in;

	if (length >= sizeof copy)
		return false;
	memcpy(copy, octets, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET, copy, &in) == 1)
		inet_ntop(AF_INET, &in, text, INET6_ADDRSTRLEN);
	else if (inet_pton(AF_INET6, copy, &in6) == 1)
		write_ip6(text, &in6);
	else
		return false;
	return true;
}

/* The same for the value of a variable, which may have the brackets of "[2001:db8::7]" or the
 * scope of "fe80::1%eth0". */
static bool take_ip(char *text, const char *value)
{
	size_t length = strlen(value), scope;

	if (length >= 2 && value[0] == '[' && value[length - 1] == ']') {
		value++;
		length -= 2;
	}
	scope = strcspn(value, "%");
	if (scope < length && memchr(value, ':', scope) != NULL)
		length = scope;
	return write_ip(text, value, length);
}

/* "a.b.c.d:port" or "[v6]:port", as busybox's tcpsvd writes it. */
static bool take_ip_and_port(char *ip, char *port, const char *value)
{
	const char *const colon = strrchr(value, ':');
	char copy[INET6_ADDRSTRLEN + 16];
	uint64_t number;

	if (colon == NULL || (size_t)(colon - value) >= sizeof copy ||
		!number_parse(colon + 1, strlen(colon + 1), &number) || number > 65535)
		return false;
	memcpy(copy, value, (size_t)(colon - value));
	copy[colon - value] = '\0';
	if (!take_ip(ip, copy))
		return false;
	snprintf(port, PEER_PORT_OCTETS, "%u", (unsigned)number);
	return true;
}

/* Takes the first of the variables that holds an address. Returns whether one before it held
 * something else. */
static bool ip_from(char *text, const char *const *names)
{
	bool unreadable = false;

	for (; *names != NULL && text[0] == '\0'; names++) {
		const char *const value = getenv(*names);

		if (value != NULL && value[0] != '\0' && !take_ip(text, value))
			unreadable = true;
	}
	return unreadable;
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

/* Each superserver has names of its own for the same four things; see peer.h. */
static void from_environment(struct peer *p)
{
	static const char *const remote_ips[] = {"TCPREMOTEIP", "TCP6REMOTEIP", "SSLREMOTEIP",
		"REMOTE_ADDR", "REMOTE_HOST", "SOCAT_PEERADDR", "NCAT_REMOTE_ADDR", NULL};
	static const char *const remote_ports[] = {"TCPREMOTEPORT", "TCP6REMOTEPORT",
		"SSLREMOTEPORT", "REMOTE_PORT", "SOCAT_PEERPORT", "NCAT_REMOTE_PORT", NULL};
	static const char *const local_ips[] = {"TCPLOCALIP", "TCP6LOCALIP", "SSLLOCALIP",
		"SOCAT_SOCKADDR", "NCAT_LOCAL_ADDR", NULL};
	static const char *const local_ports[] = {"TCPLOCALPORT", "TCP6LOCALPORT",
		"SSLLOCALPORT", "SOCAT_SOCKPORT", "NCAT_LOCAL_PORT", NULL};
	const char *const both = getenv("TCPREMOTEADDR"), *const own = getenv("TCPLOCALADDR");

	p->unknown = ip_from(p->remote_ip, remote_ips);
	port_from(p->remote_port, remote_ports);
	if (both != NULL && p->remote_ip[0] == '\0' &&
		!take_ip_and_port(p->remote_ip, p->remote_port, both))
		p->unknown = true;
	ip_from(p->local_ip, local_ips);
	port_from(p->local_port, local_ports);
	if (own != NULL && p->local_ip[0] == '\0')
		take_ip_and_port(p->local_ip, p->local_port, own);
	if (p->remote_ip[0] != '\0')
		snprintf(p->protocol, sizeof p->protocol, "%s",
			strchr(p->remote_ip, ':') != NULL ? "TCP6" : "TCP");
}

/* Whether a client whose address is not known may be on another host. If descriptor fd is a
 * socket without a name, a superserver may copy the octets of a remote client into it. If it is
 * a network socket that is not connected any more, the client was remote. A local socket with a
 * name, a pipe and a terminal belong to this host. */
static bool may_be_elsewhere(int fd)
{
	union address own;
	socklen_t octets = sizeof own;

	memset(&own, 0, sizeof own);
	if (getsockname(fd, &own.any, &octets) != 0)
		return false;
	return own.any.sa_family != AF_UNIX || octets <= sizeof own.any.sa_family;
}

static bool is_loopback(const char *ip)
{
	return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

/* If the peer is a wrapper on this host, the environment may name the real client. */
static void prefer_named_client(struct peer *p)
{
	struct peer named;

	memset(&named, 0, sizeof named);
	from_environment(&named);
	if (named.unknown || (named.remote_ip[0] != '\0' && !is_loopback(named.remote_ip)))
		*p = named;
}

static bool is_set(const char *name)
{
	const char *const value = getenv(name);

	return value != NULL && value[0] != '\0';
}

void peer_lookup(struct peer *p, int fd)
{
	memset(p, 0, sizeof *p);
	if (!from_socket(p, fd)) {
		from_environment(p);
		p->unknown |= p->remote_ip[0] == '\0' && may_be_elsewhere(fd);
	} else if (is_loopback(p->remote_ip)) {
		prefer_named_client(p);
	}
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
	if (p->proxied || p->unknown)
		return false;
	return p->remote_ip[0] == '\0' || is_loopback(p->remote_ip) ||
	       strcmp(p->remote_ip, p->local_ip) == 0;
}

const char *peer_ip(const struct peer *p)
{
	return p->remote_ip[0] != '\0' ? p->remote_ip : "-";
}

const char *peer_port(const struct peer *p)
{
	return p->remote_port[0] != '\0' ? p->remote_port : "-";
}
