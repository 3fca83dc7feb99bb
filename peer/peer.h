/* peer: who is at the other end of the connection, in the words of UCSPI. */
#ifndef PEER_H
#define PEER_H

#include <netinet/in.h>
#include <stdbool.h>

#define PEER_PORT_OCTETS 6

/* Texts are empty if a value is not known. IPv4 addresses that a dual-stack listener shows
 * as
 * ::ffff:a.b.c.d are written a.b.c.d. */
struct peer {
	char protocol[5]; /* TCP or TCP6 */
	char remote_ip[INET6_ADDRSTRLEN];
	char remote_port[PEER_PORT_OCTETS];
	char local_ip[INET6_ADDRSTRLEN];
	char local_port[PEER_PORT_OCTETS];
	bool unknown; /* there is a client, perhaps on another host, whose address cannot be
		       * told
		       */
	bool proxied; /* a proxy in front passes it on; the addresses are what that says */
	bool tls; /* what wraps this program says that it does TLS: SSL_PROTOCOL or SSL_CIPHER
		   */
};

/* Asks the socket fd; where fd is no internet socket, the environment as tcpserver
 * (TCPREMOTEIP ...; TCP6REMOTEIP ... of some versions), sslserver (SSLREMOTEIP ...), systemd
 * (REMOTE_ADDR, REMOTE_PORT), xinetd and stunnel (REMOTE_HOST), socat (SOCAT_PEERADDR ...),
 * ncat (NCAT_REMOTE_ADDR ...) or busybox (TCPREMOTEADDR, with the port) leave it. An address
 * may stand in brackets and have a %scope; values that are no addresses or ports are not taken.
 * A client that the environment names is also believed where the socket leads to a loopback
 * address: what is there has a client of its own. */
void peer_lookup(struct peer *p, int fd);

/* Whether fd is a socket whose other side has gone already, so that nobody can say who it was:
 * a health check that only connects resets the connection at once. */
bool peer_has_left(int fd);

/* Sets the client's address for the log; a text that is no address is ignored. */
void peer_take_ip(struct peer *p, const char *ip);

/* Whether the connection comes from this host: from a loopback address, from the address that
 * it goes to, or (where nobody names a client) through a pipe, a terminal, a file or a local
 * socket that has a name. Everything else comes from elsewhere: what a proxy passes on, a
 * client that is named by what is no address, and what comes through a socket without a name or
 * address. */
bool peer_is_local(const struct peer *p);

/* The peer's address for the log: "-" if it is not known. */
const char *peer_ip(const struct peer *p);

/* The peer's port for the log, likewise. */
const char *peer_port(const struct peer *p);

#endif
