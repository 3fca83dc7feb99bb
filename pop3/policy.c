/* policy: see policy.h. */
#include "pop3/policy.h"

#include <string.h>
#include <strings.h>

static const char *const names[MECHANISM_COUNT] = {"USER", "APOP", "PLAIN", "LOGIN", "CRAM-MD5",
	"XOAUTH2", "OAUTHBEARER", "STLS", "PROXY"};

/* An eavesdropper learns the password or the token. */
#define SHOWS_SECRET                                                                           \
	(1U << MECHANISM_USER | 1U << MECHANISM_PLAIN | 1U << MECHANISM_LOGIN |                \
		1U << MECHANISM_XOAUTH2 | 1U << MECHANISM_OAUTHBEARER)

#define ALWAYS_ON (1U << MECHANISM_USER | 1U << MECHANISM_PLAIN | 1U << MECHANISM_LOGIN)

mechanism_set policy_offered(const struct policy_situation *s)
{
	mechanism_set set = ALWAYS_ON | s->opted;

	if (s->proxy_awaited)
		return 1U << MECHANISM_PROXY;
	if (!s->tls && s->require_tls)
		set = 0;
	if (!s->tls && !s->allow_cleartext && !s->local)
		set &= ~SHOWS_SECRET;
	if (!s->tls && s->stls)
		set |= 1U << MECHANISM_STLS;
	return set;
}

bool mechanism_set_has(mechanism_set set, enum mechanism mechanism)
{
	return (set & 1U << mechanism) != 0;
}

const char *mechanism_name(enum mechanism mechanism)
{
	return names[mechanism];
}

mechanism_set mechanism_set_sasl(mechanism_set set)
{
	return set & ~(1U << MECHANISM_USER | 1U << MECHANISM_APOP | 1U << MECHANISM_STLS |
			     1U << MECHANISM_PROXY);
}

enum mechanism mechanism_find_sasl(const char *name, size_t length)
{
	for (int i = MECHANISM_PLAIN; i <= MECHANISM_OAUTHBEARER; i++)
		if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
			return (enum mechanism)i;
	return MECHANISM_COUNT;
}
