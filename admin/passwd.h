/* passwd: reads the password file of pop3d-checkpw. */
#ifndef PASSWD_H
#define PASSWD_H

#include <stdbool.h>

#include "admin/command.h"
#include "checkpw/file.h"
#include "checkpw/options.h"

/* The options of the command's checker, if that is pop3d-checkpw. Returns false if it is not,
 * or would refuse them. */
bool passwd_options(const struct command *c, struct pw_options *options);

/* Takes a line: its number, its text, what it is; entry is filled for an entry and a locked
 * one, and why says what is wrong with a bad one. */
typedef void passwd_take(void *context, unsigned long number, const char *raw,
	enum pwfile_line kind, const struct pwfile_entry *entry, const char *why);

/* Has take called for every line. Returns false with errno if the file cannot be read. */
bool passwd_read(const char *path, passwd_take *take, void *context);

#endif
