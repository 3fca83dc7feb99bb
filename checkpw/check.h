/* check: is the password right, and whom does it make this process? */
#ifndef PWCHECK_H
#define PWCHECK_H

#include "checkpw/credentials.h"
#include "checkpw/options.h"
#include "checkpw/status.h"
#include "checkpw/user.h"

/* Asks what the options name. PW_OK fills user; a refusal is logged with the login, all else
 * with its reason. */
enum pw_status pwcheck_login(const struct pw_options *options,
	const struct credentials *credentials, struct pw_user *user);

#endif
