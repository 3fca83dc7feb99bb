/* capa: see capa.h. */
#include "capa.h"

void capa_reply(struct wire *w, enum capa_state state)
{
	wire_puts(w, "+OK capability list follows\r\n"
		     "TOP\r\n"
		     "UIDL\r\n"
		     "USER\r\n"
		     "RESP-CODES\r\n"
		     "AUTH-RESP-CODE\r\n"
		     "PIPELINING\r\n"
		     "EXPIRE NEVER\r\n");
	if (state == CAPA_TRANSACTION)
		wire_puts(w, "IMPLEMENTATION pop3d " VERSION "\r\n");
	wire_puts(w, ".\r\n");
}
