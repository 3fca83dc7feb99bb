/* file: the password file: lines of login:hash:uid:gid:home[:maildir]. */
#ifndef PWFILE_H
#define PWFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "checkpw/status.h"
#include "checkpw/user.h"

#ifndef PWFILE_DEFAULT
#define PWFILE_DEFAULT "/etc/pop3d/passwd"
#endif
#define PWFILE_HASH_MAX 383
#define PWFILE_LINE_MAX 3071

struct pwfile_entry {
	struct pw_user user;
	char hash[PWFILE_HASH_MAX + 1];
};

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

enum pwfile_line {
	PWFILE_NOTHING, /* a comment or an empty line */
	PWFILE_ENTRY,
	PWFILE_LOCKED, /* an entry whose hash begins with ! or *: the login exists and is shut
			*/
	PWFILE_BAD
};

/* Takes one line apart, in place; line[length] is written. *why says what is wrong with a bad
 * one. */
enum pwfile_line pwfile_parse(
	char *line, size_t length, struct pwfile_entry *entry, const char **why);

/* May this name a user in the file? */
bool pwfile_login_is_valid(const char *login);

#endif
