/* capa: the capability list, RFC 2449. */
#ifndef CAPA_H
#define CAPA_H

#include "wire.h"

enum capa_state { CAPA_AUTHORIZATION, CAPA_TRANSACTION };

/* Puts the whole reply to CAPA on the wire. What is announced before login is announced after
 * it (section 5); the name of the program only to those who logged in (section 6.9). hide_user:
 * clear-text login is refused on this connection, so USER is not there. */
void capa_reply(struct wire *w, enum capa_state state, bool hide_user);

#endif
