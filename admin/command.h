/* command: the command line of a service, taken apart into its programs. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/words.h"
#include "options.h"

struct command {
	struct words tls;         /* pop3d-tls and its options, or empty */
	char *pop3d;              /* the program; NULL: the command line has only its options */
	struct words options;     /* pop3d's, as they stand there */
	struct settings settings; /* what they mean */
	struct words checker;     /* the checker that runs, the default one included */
	bool is_wrong;            /* pop3d would refuse its options */
};

/* Takes the words apart, which must outlive c: what stands before the first program of ours is
 * a superserver's, then come pop3d-tls with its options, pop3d with its options, and the
 * checker. Options without a program are pop3d's. */
void command_take(struct command *c, char **words);

/* The file name in a path. */
const char *command_name(const char *path);

#endif
