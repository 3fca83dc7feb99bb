/* dovecot_userdb: asks Dovecot who a user is, without a password: what root may for any login.
 */
#ifndef PWDOVECOT_USERDB_H
#define PWDOVECOT_USERDB_H

#include "checkpw/dovecot.h"
#include "checkpw/dovecot_talk.h"

/* Asks who name is. The reply lies in the socket's memory: the caller closes that. */
enum pw_status pwuserdb_ask(
	struct conversation *c, const struct pwdovecot *dovecot, const char *name);

/* Takes the reply: PW_OK fills user. Whatever is not PW_OK is logged. */
enum pw_status pwuserdb_judge(
	const struct conversation *c, const struct pwdovecot *dovecot, struct pw_user *user);

#endif
