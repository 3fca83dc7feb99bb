/* capa: see capa.h. */
#include "pop3/capa.h"

#include "pop3/reply.h"

void capa_put_mechanisms(struct wire *w, mechanism_set offered, const char *separator)
{
	const mechanism_set mechanisms = mechanism_set_sasl(offered);

	for (int i = 0; i < MECHANISM_COUNT; i++) {
		if (!mechanism_set_has(mechanisms, (enum mechanism)i))
			continue;
		wire_puts(w, separator);
		wire_puts(w, mechanism_name((enum mechanism)i));
	}
}

void capa_reply(struct wire *w, const struct capa *capa)
{
	reply_ok(w, TEXT_CAPABILITIES);
	wire_puts(w, "TOP\r\n"
		     "UIDL\r\n");
	if (mechanism_set_has(capa->offered, MECHANISM_USER))
		wire_puts(w, "USER\r\n");
	if (mechanism_set_sasl(capa->offered) != 0) {
		wire_puts(w, "SASL");
		capa_put_mechanisms(w, capa->offered, " ");
		wire_puts(w, "\r\n");
	}
	if (capa->state == CAPA_AUTHORIZATION &&
		mechanism_set_has(capa->offered, MECHANISM_STLS))
		wire_puts(w, "STLS\r\n");
	wire_puts(w, "RESP-CODES\r\n"
		     "AUTH-RESP-CODE\r\n"
		     "PIPELINING\r\n"
		     "EXPIRE NEVER\r\n"
		     "LANG\r\n");
	if (capa->utf8)
		wire_puts(w, "UTF8 USER\r\n");
	if (capa->state == CAPA_TRANSACTION)
		wire_puts(w, "IMPLEMENTATION pop3d " VERSION "\r\n");
	wire_puts(w, ".\r\n");
}
