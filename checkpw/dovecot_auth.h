/* dovecot_auth: asks Dovecot whether a password is right. */
#ifndef PWDOVECOT_AUTH_H
#define PWDOVECOT_AUTH_H

#include <stdbool.h>

#include "checkpw/dovecot_talk.h"

/* Asks the socket of that path about c->login. PW_OK writes the name that Dovecot gives to
 * name. Whatever is not PW_OK is logged, but a wrong password. */
enum pw_status pwauth_ask(
	struct conversation *c, const char *path, const char *password, char *name);

/* Is the password a token, which may be longer? By AUTH_MECHANISM. */
bool pwdovecot_takes_token(void);

#endif
