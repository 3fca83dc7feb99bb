/* options: what the administrator asked for; filled by pop3d.c, read by the stages. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/address.h"
#include "pop3/policy.h"
#include "pop3/text.h"

#define OPTIONS_PASS_ENV 16
#define OPTIONS_HOST_OCTETS 64
#define OPTIONS_ARGUMENTS 16
#define OPTIONS_PROXIES 32

struct options {
	bool session;    /* --session: the user is authenticated already */
	bool allow_root; /* the session may run as uid 0 */
	offer_set opted; /* --apop and --sasl */
	bool long_credentials;
	bool lock;         /* one session at a time on a maildrop */
	bool verify_sizes; /* trust no size in a file name */
	bool no_index;     /* neither read nor write the index */
	bool syslog;
	bool allow_cleartext; /* passwords in clear from other hosts as well */
	bool require_tls;     /* no login at all without TLS */
	bool stls;            /* UCSPI-TLS is there */
	bool debug;           /* log the protocol */
	bool proxy_protocol;  /* a proxy in front says first whose connection it is */
	struct address_rule proxies[OPTIONS_PROXIES]; /* who may; none: anybody */
	size_t proxy_count;
	/* what the monitor found out for the stages behind it */
	bool proxy_awaited; /* it has not said so yet */
	bool tls;           /* the connection is protected */
	bool local;         /* it comes from this host */
	offer_set offered;  /* how a client may log in, as CAPA says */
	enum language language;
	int64_t idle_seconds;
	int64_t login_seconds;
	int64_t fail_delay_seconds;
	uid_t greeter_uid;
	gid_t greeter_gid;
	const char *client_ip; /* for the session, or NULL: to be found out */
	int status_fd;         /* where the session says that it runs, or -1 */
	char host[OPTIONS_HOST_OCTETS + 1];
	const char *maildir;                    /* NULL: $MAILDIR, else Maildir */
	const char *pass_env[OPTIONS_PASS_ENV]; /* names of variables for the checker */
	size_t pass_env_count;
	char *exec_text;                             /* --exec as given, or NULL */
	char *exec_arguments[OPTIONS_ARGUMENTS + 1]; /* the same, split at blanks */
	char **checker; /* program and arguments, NULL at the end */
	size_t checker_count;
};

/* What is offered as things stand. */
offer_set options_offer(const struct options *o);

/* The awaited proxy has spoken; tls: its client came to it over TLS, and needs no more. */
void options_meet_proxy(struct options *o, bool tls);

#endif
