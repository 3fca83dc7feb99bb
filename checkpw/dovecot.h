/* dovecot: pop3d-checkpw --dovecot: asks the authentication service of Dovecot. */
#ifndef PWDOVECOT_H
#define PWDOVECOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "checkpw/status.h"
#include "checkpw/user.h"

struct pwdovecot {
	const char *auth_socket, *userdb_socket;
	int64_t answer_seconds;
	const char *home; /* the pattern for users who have none, or NULL */
	bool has_owner;   /* uid and gid are for users who have none */
	uid_t uid;
	gid_t gid;
};

/* Asks the first socket whether the password (with AUTH_MECHANISM XOAUTH2 or OAUTHBEARER: the
 * token) is right, and the second one whom it makes. PW_OK fills user. PW_TEMPORARY where
 * Dovecot is not there, is late or says what the protocol does not; PW_MISCONFIGURED where it
 * says what cannot be served. Whatever is not PW_OK is logged, but a wrong password. */
enum pw_status pwdovecot_check(const struct pwdovecot *dovecot, const char *login,
	const char *password, struct pw_user *user);

/* Asks only the second one, without a password: what root may for any login. PW_REFUSED: there
 * is no such user. Otherwise as above. */
enum pw_status pwdovecot_find(
	const struct pwdovecot *dovecot, const char *login, struct pw_user *user);

#endif
