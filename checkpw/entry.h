/* entry: one line of the password file, in our form or in that of passwd(5) and Dovecot. Pure.
 */
#ifndef PWENTRY_H
#define PWENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "checkpw/user.h"

#define PWFILE_HASH_MAX 383
#define PWFILE_LINE_MAX 3071

struct pwfile_entry {
	struct pw_user user; /* home and maildir may have patterns in them: see pwname_expand */
	char hash[PWFILE_HASH_MAX + 1];
};

enum pwfile_line {
	PWFILE_NOTHING, /* a comment or an empty line */
	PWFILE_ENTRY,
	PWFILE_LOCKED, /* its hash begins with ! or *: the login exists and is shut */
	PWFILE_BAD
};

/* Takes one line apart, in place; line[length] is written. Five or six fields are ours:
 * login:hash:uid:gid:home[:maildir]. Seven or eight are those of passwd(5):
 * login:hash:uid:gid:gecos:home:shell[:extra]. *why says what is wrong with a bad one. */
enum pwfile_line pwfile_parse(
	char *line, size_t length, struct pwfile_entry *entry, const char **why);

/* The same for a line that is to stay as it is: takes a copy apart, and wipes it. A line of
 * more than PWFILE_LINE_MAX octets is a bad one. */
enum pwfile_line pwfile_parse_copy(
	const char *line, size_t length, struct pwfile_entry *entry, const char **why);

/* Reads a uid or gid: decimal digits only, and never (uid_t)-1, which means "leave as it is" to
 * the kernel. */
bool pwfile_parse_id(const char *text, unsigned *id);

/* May this name a user in the file? */
bool pwfile_login_is_valid(const char *login);

#endif
