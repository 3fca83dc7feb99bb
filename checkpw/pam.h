/* pam: pop3d-checkpw --system and --pam: what PAM says. */
#ifndef PWPAM_H
#define PWPAM_H

#include <stddef.h>

#include "checkpw/status.h"
#include "checkpw/user.h"

#define PWPAM_SERVICE "pop3"

/* Is the password right, and is the account open? Writes the name that PAM has for it then.
 * Refuses, before PAM is asked, root and what is no login or has a slash. What is not simply
 * refused is logged. */
enum pw_status pwpam_ask(const char *login, const char *password, char *name, size_t size);

/* The same for an account of this host. PW_OK fills user. Everything else is logged, unless the
 * login was simply refused. */
enum pw_status pwpam_check(const char *login, const char *password, struct pw_user *user);

#endif
