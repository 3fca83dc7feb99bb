/* offer: the ways to log in, and which of them a connection is offered. Pure functions. */
#ifndef OFFER_H
#define OFFER_H

#include <stdbool.h>
#include <stddef.h>

/* What a client can ask for before login; also the kinds of requests to the monitor. */
enum offer {
	OFFER_USER,
	OFFER_APOP,
	OFFER_PLAIN,
	OFFER_LOGIN,
	OFFER_CRAM_MD5,
	OFFER_XOAUTH2,
	OFFER_OAUTHBEARER,
	/* these bring no credentials */
	OFFER_STLS,
	OFFER_PROXY, /* what a proxy in front says of its client */
	OFFER_COUNT
};

/* A set of them: bits 1 << offer. */
typedef unsigned offer_set;

/* How the connection stands. */
struct offer_situation {
	bool proxy_awaited;   /* a proxy in front has yet to say whose connection it is */
	bool tls;             /* it is protected */
	bool local;           /* it comes from this host */
	bool stls;            /* it can be protected */
	bool allow_cleartext; /* --allow-cleartext */
	bool require_tls;     /* --require-tls */
	offer_set opted;      /* what the administrator switched on: APOP, CRAM-MD5, XOAUTH2,
				 OAUTHBEARER */
};

/* What is offered. Whatever shows a password (or a token) only where clear text is permitted:
 * under TLS, from this host, or if the administrator says so; with --require-tls nothing but
 * STLS without TLS. While a proxy is awaited, nothing but what it says. */
offer_set offer_of(const struct offer_situation *situation);

/* Whether the set holds it. */
bool offer_has(offer_set set, enum offer offer);

/* The name of a way to log in: "USER", "PLAIN", "CRAM-MD5" ...; AUTH_MECHANISM for checkers. */
const char *offer_name(enum offer offer);

/* Finds a SASL mechanism by its name, case ignored; OFFER_COUNT if there is none of that name.
 */
enum offer offer_sasl(const char *name, size_t length);

/* The SASL mechanisms of a set, which are all but USER, APOP, STLS and PROXY. */
offer_set offer_sasl_part(offer_set set);

#endif
