/* options: see options.h. */
#include "options.h"

offer_set options_offer(const struct options *o)
{
	const struct offer_situation situation = {.proxy_awaited = o->proxy_awaited,
		.tls = o->tls,
		.local = o->local,
		.stls = o->stls,
		.allow_cleartext = o->allow_cleartext,
		.require_tls = o->require_tls,
		.opted = o->opted};

	return offer_of(&situation);
}

void options_meet_proxy(struct options *o, bool tls)
{
	o->proxy_awaited = false;
	o->tls |= tls;
	o->stls &= !o->tls;
}
