/* policy: the mechanisms for a login, and which of them a connection is offered. Pure
 * functions.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>

/* What a client can ask for before login. The greeter's requests to the monitor have the same
 * numbers, and so have the SASL mechanisms of pop3/sasl.h, counted from MECHANISM_PLAIN. */
enum mechanism {
	MECHANISM_USER,
	MECHANISM_APOP,
	MECHANISM_PLAIN,
	MECHANISM_LOGIN,
	MECHANISM_CRAM_MD5,
	MECHANISM_XOAUTH2,
	MECHANISM_OAUTHBEARER,
	/* these bring no credentials */
	MECHANISM_STLS,
	MECHANISM_PROXY, /* the header in which a proxy describes its client */
	MECHANISM_COUNT
};

/* A set of mechanisms: bits 1 << mechanism. */
typedef unsigned mechanism_set;

/* What the policy depends on. */
struct policy_situation {
	bool proxy_awaited;   /* the PROXY header has not come yet */
	bool tls;             /* the connection is protected */
	bool local;           /* the client is on this host */
	bool stls;            /* STLS can protect the connection */
	bool allow_cleartext; /* --allow-cleartext */
	bool require_tls;     /* --require-tls */
	mechanism_set opted;  /* what the administrator switched on: APOP, CRAM-MD5, XOAUTH2,
			     OAUTHBEARER */
};

/* The mechanisms that are offered. Those that show a password or a token are offered only where
 * clear text is permitted: under TLS, from this host, or if the administrator says so. With
 * --require-tls and without TLS, only STLS is offered. While a proxy is awaited, only PROXY. */
mechanism_set policy_offered(const struct policy_situation *situation);

/* Whether the mechanism is in the set. */
bool mechanism_set_has(mechanism_set set, enum mechanism mechanism);

/* The name of a mechanism: "USER", "PLAIN", "CRAM-MD5" ... Checkers get it in AUTH_MECHANISM.
 */
const char *mechanism_name(enum mechanism mechanism);

/* Finds a SASL mechanism by its name, case ignored; MECHANISM_COUNT if no
 * mechanism has that name.
 */
enum mechanism mechanism_find_sasl(const char *name, size_t length);

/* The SASL mechanisms of a set: all except USER, APOP, STLS and PROXY. */
mechanism_set mechanism_set_sasl(mechanism_set set);

#endif
