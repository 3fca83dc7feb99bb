/* offer: see offer.h. */
#include "pop3/policy.h"

#include <string.h>
#include <strings.h>

static const char *const names[OFFER_COUNT] = {"USER", "APOP", "PLAIN", "LOGIN", "CRAM-MD5",
	"XOAUTH2", "OAUTHBEARER", "STLS", "PROXY"};

/* Who listens learns the password, or something as good. */
#define SHOWS_SECRET                                                                           \
	(1U << OFFER_USER | 1U << OFFER_PLAIN | 1U << OFFER_LOGIN | 1U << OFFER_XOAUTH2 |      \
		1U << OFFER_OAUTHBEARER)

#define ALWAYS_ON (1U << OFFER_USER | 1U << OFFER_PLAIN | 1U << OFFER_LOGIN)

offer_set offer_of(const struct offer_situation *s)
{
	offer_set set = ALWAYS_ON | s->opted;

	if (s->proxy_awaited)
		return 1U << OFFER_PROXY;
	if (!s->tls && s->require_tls)
		set = 0;
	if (!s->tls && !s->allow_cleartext && !s->local)
		set &= ~SHOWS_SECRET;
	if (!s->tls && s->stls)
		set |= 1U << OFFER_STLS;
	return set;
}

bool offer_has(offer_set set, enum offer offer)
{
	return (set & 1U << offer) != 0;
}

const char *offer_name(enum offer offer)
{
	return names[offer];
}

offer_set offer_sasl_part(offer_set set)
{
	return set &
	       ~(1U << OFFER_USER | 1U << OFFER_APOP | 1U << OFFER_STLS | 1U << OFFER_PROXY);
}

enum offer offer_sasl(const char *name, size_t length)
{
	for (int i = OFFER_PLAIN; i <= OFFER_OAUTHBEARER; i++)
		if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
			return (enum offer)i;
	return OFFER_COUNT;
}
