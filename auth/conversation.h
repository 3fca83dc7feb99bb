/* conversation: the state of the greeter's conversation with the client, which login.c,
 * exchange.c and login_attempt.c share. */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/login.h"
#include "auth/refusals.h"
#include "auth/request.h"
#include "options.h"
#include "pop3/command.h"
#include "pop3/wire.h"

struct conversation {
	const struct settings *options;
	int monitor_fd;
	const char *timestamp;
	struct request_limits limits;
	bool tls;
	bool refused_cleartext;
	bool utf8; /* RFC 6856: names and passwords are UTF-8 */
	unsigned tries;
	struct refusals refusals;
	enum login_end end;
	size_t user_octets; /* 0: no USER yet */
	char user[WIRE_COMMAND_OCTETS];
	struct wire wire; /* last: most pages of its large buffers are never touched */
};

/* Ends the conversation; for a command to return. */
static inline enum command_result conversation_end(struct conversation *c, enum login_end end)
{
	c->end = end;
	return COMMAND_END;
}

#endif
