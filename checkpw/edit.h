/* edit: pop3d-checkpw --set and --delete: changes of the password file. */
#ifndef PWEDIT_H
#define PWEDIT_H

#include <stdbool.h>

#include "checkpw/status.h"

/* What a line is to have; NULL leaves what it has. */
struct pwedit_line {
	const char *login;
	const char *hash;
	const char *uid, *gid, *home; /* all needed for a login that has no line yet */
};

/* Gives the login of line one line: the last one that it has, changed, or else a new one at the
 * end. The file is locked, written beside itself with its owner and mode, synced and renamed;
 * it is made where it is missing. PW_REFUSED: no line, and not enough to make one. Whatever is
 * not PW_OK is logged. */
enum pw_status pwedit_set(const char *path, const struct pwedit_line *line);

/* Removes every line of the login in the same way. PW_REFUSED: there is none. */
enum pw_status pwedit_delete(const char *path, const char *login);

/* Has the login a line? A file that is missing has none. Otherwise as above. */
enum pw_status pwedit_find(const char *path, const char *login, bool *is_known);

#endif
