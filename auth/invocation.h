/* setup: the command line and the environment of checkers, made once a connection. */
#ifndef SETUP_H
#define SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"
#include "peer/peer.h"
#include "pop3/policy.h"
#include "pop3/text.h"

#define SETUP_ARGUMENTS 64
#define SETUP_VARIABLES 64
#define SETUP_LOGIN_OCTETS 255
#define SETUP_TEXT_OCTETS 4096

/* Pointers lead into text, the options and this process's own environment. */
struct setup {
	char *arguments[SETUP_ARGUMENTS];
	char *environment[SETUP_VARIABLES];
	char program[1024]; /* the file to execute */
	size_t argument_count, variable_count;
	size_t text_octets;
	char *mechanism, *language, *login; /* where in text their values stand */
	char text[SETUP_TEXT_OCTETS];
};

/* Fills the setup: the checker, its arguments, this program as the session; an environment that
 * is built, not passed on. Returns false where it is too long. */
bool setup_make(struct setup *s, const struct settings *o, const struct peer *p);

/* Sets in the setup what each login brings: how the user logs in, in which language,
 * and as whom: for the log of the session, so a long login is cut. */
void setup_for_login(struct setup *s, enum mechanism mechanism, enum language language,
	const char *login, size_t login_octets);

#endif
