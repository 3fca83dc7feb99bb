/* account: whom a login becomes, as far as that can be told without its password. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "admin/command.h"

#define ACCOUNT_NAME_OCTETS 256
#define ACCOUNT_PATH_OCTETS 1024

struct account {
	char name[ACCOUNT_NAME_OCTETS];
	char home[ACCOUNT_PATH_OCTETS];
	char maildir[ACCOUNT_PATH_OCTETS]; /* as the checker says, or empty */
	uid_t uid;
	gid_t gid;
	bool is_host; /* has the further groups of the host's account */
};

/* Finds a login. Puts a finding, and returns false if it is not known or cannot log in. */
bool account_find(const struct command *c, const char *login, struct account *a);

/* Becomes the account's user, with its groups and nothing else. Root only; another user stays
 * what it is. Returns false with errno. */
bool account_become(const struct account *a);

#endif
