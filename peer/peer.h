/* peer: who is at the other end of the connection, with the values that UCSPI gives them. */
#ifndef PEER_H
#define PEER_H

#include <netinet/in.h>
#include <stdbool.h>

#define PEER_PORT_OCTETS 6

/* Texts are empty if a value is not known. An IPv4 address that the kernel shows as
 * ::ffff:a.b.c.d is written a.b.c.d. */
struct peer {
	char protocol[5]; /* TCP or TCP6 */
	char remote_ip[INET6_ADDRSTRLEN];
	char remote_port[PEER_PORT_OCTETS];
	char local_ip[INET6_ADDRSTRLEN];
	char local_port[PEER_PORT_OCTETS];
	bool unknown; /* the client may be on another host, and its address is not known */
	bool proxied; /* the addresses are those of a PROXY header */
	bool tls;     /* SSL_PROTOCOL or SSL_CIPHER is set: a wrapper does TLS */
};

/* Finds out the addresses from the socket fd. If fd is not an internet socket, or its peer is a
 * loopback address (a wrapper, which has a client of its own), it looks into the environment.
 * These programs set variables there: tcpserver (TCPREMOTEIP ...; some versions
 * TCP6REMOTEIP ...), sslserver (SSLREMOTEIP ...), systemd (REMOTE_ADDR, REMOTE_PORT), xinetd
 * and stunnel (REMOTE_HOST), socat (SOCAT_PEERADDR ...), ncat (NCAT_REMOTE_ADDR ...) and
 * busybox (TCPREMOTEADDR, with the port). An address may have brackets and a %scope. Values
 * that are not addresses or ports are ignored. */
void peer_lookup(struct peer *p, int fd);

/* Whether fd is a socket whose peer has already reset the connection, so that its address is
 * not known any more. A health check that only connects does this. */
bool peer_has_left(int fd);

/* Sets the client's address for the log; a text that is no address is ignored. */
void peer_take_ip(struct peer *p, const char *ip);

/* Whether the client is on this host. It is if its address is a loopback address or the address
 * of the server. If no client is named, it is also if descriptor 0 is a pipe, a terminal, a
 * file or a local socket with a name. In all other cases it is not: if a proxy passes the
 * connection on, if the client is named by something that is not an address, or if the socket
 * has neither a name nor an address. */
bool peer_is_local(const struct peer *p);

/* The peer's address for the log: "-" if it is not known. */
const char *peer_ip(const struct peer *p);

/* The peer's port for the log, likewise. */
const char *peer_port(const struct peer *p);

#endif
