/* options: the options of pop3d, and what pop3d has found out about its connection.
 *
 * options.c has the one table of them. To add an option, add a row there, a field here, and a
 * paragraph in doc/pop3d.8; tests compare --help with the manual page. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/address.h"
#include "lib/option.h"
#include "os/handover.h"
#include "pop3/policy.h"
#include "pop3/text.h"

#define OPTIONS_PASS_ENV 16
#define OPTIONS_HOST_OCTETS 64
#define OPTIONS_ARGUMENTS 16
#define OPTIONS_FOLDER_OCTETS 200
#define OPTIONS_PROXIES 32
#define OPTIONS_EXIT_USAGE 100
#define OPTIONS_MAILDIR "Maildir" /* the default */

/* What the administrator asked for. It does not change after the command line was read. */
struct options {
	bool session;        /* --session: the user is authenticated already */
	bool allow_root;     /* the session may run as uid 0 */
	mechanism_set opted; /* --apop and --sasl */
	bool long_credentials;
	bool lock;         /* one session at a time on a maildrop */
	bool verify_sizes; /* trust no size in a file name */
	bool no_index;     /* neither read nor write the index */
	bool syslog;
	bool allow_cleartext; /* passwords in clear from other hosts as well */
	bool require_tls;     /* no login at all without TLS; UCSPITLS=! says it, too */
	bool fold_login;      /* logins in lower case */
	bool log_deletions;   /* a line for each message */
	bool create_maildir;  /* where there is none */
	bool no_seen;         /* RETR gives no flag S */
	bool no_move;         /* messages stay in new/ */
	bool no_nul;          /* NUL is sent as 0x80 */
	bool end_of_headers;  /* a message without an empty line gets one */
	bool utf8;            /* CAPA lists UTF8 */
	bool debug;           /* log the protocol */
	bool proxy_protocol;  /* the connection begins with a PROXY header */
	struct address_rule proxies[OPTIONS_PROXIES]; /* who may send one; none: anybody */
	size_t proxy_count;
	int64_t idle_seconds;
	int64_t login_seconds;
	int64_t fail_delay_seconds;
	uid_t greeter_uid;
	gid_t greeter_gid;
	const char *uidl_from; /* whose unique-ids are taken over, as text; or NULL */
	const char *delete_to; /* the folder that deleted messages go to, or NULL */
	const char *host;      /* for greeting, farewell and timestamps */
	const char *maildir;   /* NULL: $MAILDIR, else Maildir */
	/* for the session: pop3d, and not the administrator, named the Maildir */
	bool maildir_appended;
	const char *pass_env[OPTIONS_PASS_ENV]; /* names of variables for the checker */
	size_t pass_env_count;
	bool refused_status[256]; /* exit statuses of the checker that mean a refusal, too */
	const char *exec_text;    /* --exec as given, or NULL */
	char *exec_arguments[OPTIONS_ARGUMENTS + 1]; /* the same, split at blanks */
	char **checker; /* program and arguments, NULL at the end */
	size_t checker_count;
	const char *admin;  /* what pop3d-admin is to do instead, or NULL */
	char **admin_words; /* what follows on the command line, NULL at the end */
};

/* What the monitor has found out about the connection. The session gets it on its command
 * line. */
struct found {
	bool stls;             /* UCSPI-TLS is there */
	bool proxy_awaited;    /* the PROXY header has not come yet */
	bool tls;              /* the connection is protected */
	bool local;            /* the client is on this host */
	mechanism_set offered; /* how a client may log in, as CAPA says */
	enum language language;
	const char *client_ip;            /* or NULL: to be found out */
	const char *session_id;           /* in the log; or NULL */
	int status_fd;                    /* where the session says that it runs, or -1 */
	enum handover_form monitor_takes; /* what it says there */
};

struct settings {
	struct options asked;
	struct found found;
};

/* The rows of the options, for parsing, --help and the session's command line. Their fields are
 * those of struct settings. */
const struct option_table *options_table(void);

/* Reads the command line. Returns -1, or the status with which to exit at once: 0 after --help
 * and --version, and OPTIONS_EXIT_USAGE if the command line is wrong. no_stderr: this process
 * was started without a standard error, so errors go to the log. */
int options_read(struct settings *s, char **words, bool no_stderr);

/* Reports what is wrong with the command line: on standard error, or in the log if standard
 * error could be the client's. Returns OPTIONS_EXIT_USAGE. */
int options_usage(const char *problem, const char *value, bool no_stderr);

/* Whether a host name can stand in a greeting and in a msg-id (RFC 1939 section 7). */
bool options_host_is_good(const char *name);

/* The mechanisms that are offered on the connection, by what is known of it now. */
mechanism_set options_offer(const struct settings *s);

/* Notes that the PROXY header has come. tls: the client uses TLS towards the proxy. */
void options_meet_proxy(struct settings *s, bool tls);

#endif
