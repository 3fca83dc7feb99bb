/* pam: pop3d-checkpw --system: the accounts of the host, through PAM. */
#ifndef PWPAM_H
#define PWPAM_H

#include "checkpw/status.h"
#include "checkpw/user.h"

#define PWPAM_SERVICE "pop3"

/* PW_OK fills user. Everything else is logged, unless the login was simply refused. */
enum pw_status pwpam_check(const char *login, const char *password, struct pw_user *user);

#endif
