/* file: the password file: lines of login:hash:uid:gid:home[:maildir]. */
#ifndef PWFILE_H
#define PWFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "checkpw/entry.h"
#include "checkpw/status.h"

#ifndef PWFILE_DEFAULT
#define PWFILE_DEFAULT "/etc/pop3d/passwd"
#endif

struct pwfile_found {
	bool known;                /* entry is the login's */
	struct pwfile_entry entry; /* holds a hash: wipe */
	char any_hash[PWFILE_HASH_MAX +
		      1]; /* the first usable one of the file, or empty: wipe */
};

/* Looks login up. Lines that do not parse are logged and passed over. PW_OK whether or not the
 * login is known; PW_MISCONFIGURED or PW_TEMPORARY (logged) when the file cannot be trusted or
 * read. */
enum pw_status pwfile_find(const char *path, const char *login, struct pwfile_found *found);

/* Log that the file cannot be used, and return the status; that a line of it is no entry; that
 * a line of a login does not count, since there is a later one. */
enum pw_status pwfile_unusable(const char *path, const char *problem, enum pw_status status);
void pwfile_log_ignored(const char *path, unsigned long line, const char *problem);
void pwfile_log_replaced(
	const char *path, const char *login, unsigned long line, unsigned long later);

/* Why a file of this owner and mode is not taken, or NULL. */
const char *pwfile_why_unsafe(const struct stat *st);

#endif
