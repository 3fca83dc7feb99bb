/* capa: see capa.h. */
#include "capa.h"

#include "reply.h"

void capa_reply(struct wire *w, enum capa_state state, bool hide_user)
{
	reply_ok(w, TEXT_CAPABILITIES);
	wire_puts(w, "TOP\r\n"
		     "UIDL\r\n");
	if (!hide_user)
		wire_puts(w, "USER\r\n");
	wire_puts(w, "RESP-CODES\r\n"
		     "AUTH-RESP-CODE\r\n"
		     "PIPELINING\r\n"
		     "EXPIRE NEVER\r\n");
	if (state == CAPA_TRANSACTION)
		wire_puts(w, "IMPLEMENTATION pop3d " VERSION "\r\n");
	wire_puts(w, ".\r\n");
}
