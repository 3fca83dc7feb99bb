/* capa: the capability list, RFC 2449. */
#ifndef CAPA_H
#define CAPA_H

#include "pop3/policy.h"
#include "pop3/wire.h"

enum capa_state { CAPA_AUTHORIZATION, CAPA_TRANSACTION };

/* Puts the whole reply to CAPA on the wire. What is announced before login is announced after
 * it (section 5), but for STLS, which is possible only before; the name of the program only to
 * those who logged in (section 6.9). offered: how one may log in on this connection. */
void capa_reply(struct wire *w, enum capa_state state, offer_set offered);

/* Puts the names of the SASL mechanisms of the set on the wire, each after separator. */
void capa_put_mechanisms(struct wire *w, offer_set offered, const char *separator);

#endif
