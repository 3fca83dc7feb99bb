/* invocation: the command line and the environment of checkers. */
#ifndef INVOCATION_H
#define INVOCATION_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"
#include "peer/peer.h"
#include "pop3/policy.h"
#include "pop3/text.h"

#define INVOCATION_ARGUMENTS 64
#define INVOCATION_VARIABLES 64
#define INVOCATION_LOGIN_OCTETS 255
#define INVOCATION_TEXT_OCTETS 4096

/* Pointers lead into text, the options and this process's own environment. */
struct invocation {
	char *arguments[INVOCATION_ARGUMENTS];
	char *environment[INVOCATION_VARIABLES];
	char program[1024]; /* the file to execute */
	size_t argument_count, variable_count;
	size_t text_octets;
	char *mechanism, *language, *login; /* in text: NAME=value, for each login anew */
	char text[INVOCATION_TEXT_OCTETS];
};

/* Makes the command line: the checker, its arguments, and this program as the session. Makes a
 * new environment. Returns false if they are too long. */
bool invocation_make(struct invocation *s, const struct settings *o, const struct peer *p);

/* Fills in what differs for each login: the mechanism, the language, and the login itself. The
 * login is for the log of the session, so a long one is cut. */
void invocation_for_login(struct invocation *s, enum mechanism mechanism,
	enum language language, const char *login, size_t login_octets);

#endif
