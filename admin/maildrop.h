/* maildrop: checks of a Maildir, with the rights of its user, in the home. */
#ifndef MAILDROP_H
#define MAILDROP_H

#include "admin/account.h"
#include "admin/command.h"

void check_maildrop(const struct command *c, const struct account *a, const char *path);

#endif
