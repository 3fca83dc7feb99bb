/* user: the user that a good login becomes. */
#ifndef PWUSER_H
#define PWUSER_H

#include <stdbool.h>
#include <sys/types.h>

#include "checkpw/status.h"

#define PWUSER_NAME_MAX 255
#define PWUSER_PATH_MAX 1023

struct pw_user {
	char name[PWUSER_NAME_MAX + 1];
	char home[PWUSER_PATH_MAX + 1];
	char maildir[PWUSER_PATH_MAX + 1]; /* empty: not named */
	char shell[PWUSER_PATH_MAX + 1];
	uid_t uid;
	gid_t gid;
	bool host_account; /* has the supplementary groups that the host gives to name */
};

/* Becomes the user for good, in the home, with USER, HOME, SHELL and MAILDIR set.
 * Whatever fails is logged; after a failure the process must not go on. */
enum pw_status pwuser_become(const struct pw_user *user);

#endif
