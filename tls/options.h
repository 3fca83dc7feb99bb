/* options: the options of pop3d-tls. */
#ifndef TLS_OPTIONS_H
#define TLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/address.h"

#define TLS_PAIRS 16
#define TLS_PROXIES 32

enum tls_version { TLS_AT_LEAST_1_2, TLS_AT_LEAST_1_3 };

/* What --cert, --key and --ocsp name together; without a key, that is in cert as well. */
struct tls_pair {
	const char *cert, *key, *ocsp;
};

struct tls_options {
	bool starttls; /* the program says when TLS begins */
	bool require_client_cert;
	bool syslog;
	bool debug;
	bool proxy_protocol; /* a proxy in front says first whose connection it is */
	struct address_rule proxies[TLS_PROXIES]; /* who may; none: anybody */
	size_t proxy_count;
	enum tls_version min_version;
	int64_t handshake_seconds;
	uid_t engine_uid;
	gid_t engine_gid;
	struct tls_pair pairs[TLS_PAIRS];
	size_t pair_count;
	const char *cert_dir;     /* or NULL, as the following */
	const char *ciphers;      /* of TLS 1.2 */
	const char *ciphersuites; /* of TLS 1.3 */
	const char *client_ca;    /* verify the certificates of clients */
	const char *ticket_keys;
	const char *make_keys, *rotate_keys; /* the forms that start no program */
	const char *check_host;              /* likewise: the name that clients use */
	uint64_t keep;                       /* keys, in a rotation */
	char **program;
};

#define TLS_EXIT_USAGE 100

/* Reads the command line. Returns -1, or the status with which to exit at once: that of
 * --help and the like as well as that of --make-ticket-keys and --rotate-ticket-keys. */
int tls_options_parse(struct tls_options *o, char **words);

/* Says what is wrong with the use of this program where nobody but the administrator reads it.
 * Returns TLS_EXIT_USAGE. */
int tls_options_usage(const char *problem, const char *value);

#endif
