/* capa: the capability list, RFC 2449. */
#ifndef CAPA_H
#define CAPA_H

#include "pop3/policy.h"
#include "pop3/wire.h"

enum capa_state { CAPA_AUTHORIZATION, CAPA_TRANSACTION };

/* What the list depends on. */
struct capa {
	enum capa_state state;
	mechanism_set offered; /* how a client may log in on this connection */
	bool utf8; /* --utf8: announce the UTF8 command, which is served in any case */
};

/* Puts the whole reply to CAPA on the wire. What is announced before login is announced after
 * it (section 5), except STLS, which is possible only before. The name of the program is shown
 * only after login (section 6.9). A capability that changes nothing that the server sends is
 * announced only when somebody needs it: Evolution 3.46 cannot log in where UTF8 is listed. */
void capa_reply(struct wire *w, const struct capa *capa);

/* Puts the names of the SASL mechanisms of the set on the wire, each after separator. */
void capa_put_mechanisms(struct wire *w, mechanism_set offered, const char *separator);

#endif
