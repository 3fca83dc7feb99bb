/* options: the command line of pop3d-checkpw. */
#ifndef PWOPTIONS_H
#define PWOPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "checkpw/slot.h"
#include "checkpw/status.h"

enum pw_action {
	CHECK_FILE,
	CHECK_SYSTEM,
	CHECK_PAM,
	CHECK_DOVECOT,
	MAKE_HASH,
	SET_ENTRY,
	DELETE_ENTRY,
	LIST_ENTRIES,
	SHOW_HELP,
	SHOW_VERSION
};

struct pw_options {
	bool system, pam, dovecot, hash, list, fold_login;
	enum pw_action action;
	const char *file; /* the password file, the default one included */
	const char *set_login, *delete_login;
	const char *as, *home;      /* or NULL */
	const char *default_domain; /* or NULL */
	const char *auth_socket, *userdb_socket;
	int64_t answer_seconds;
	struct pwslot_limits slots;
	char **rest; /* what follows the options, ended by NULL */
};

/* Reads the command line. PW_MISUSED is logged, and explained where a person reads it. */
enum pw_status pwoptions_parse(char **argv, struct pw_options *options);

/* The text of --help. */
const char *pwoptions_usage(void);

/* Logs a misuse and explains the options where a person reads it. Returns PW_MISUSED. */
enum pw_status pwoptions_misused(const char *why);

/* Does the action check a login, or is it for a person? */
bool pwoptions_serve(const struct pw_options *options);

/* Does it need the accounts of the host, which only pop3d-checkpw-host can look up? */
bool pwoptions_need_host(const struct pw_options *options);

#endif
