/* tls_options: see tls_options.h. */
#include "tls/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "lib/argument.h"
#include "os/log.h"
#include "tls/ticketfile.h"

#define MAX_SECONDS 3600
#define DEFAULT_KEPT 3

enum option_code {
	OPTION_CERT = 256,
	OPTION_CERT_DIR,
	OPTION_CIPHERS,
	OPTION_CIPHERSUITES,
	OPTION_DEBUG,
	OPTION_ENGINE_USER,
	OPTION_HANDSHAKE_TIMEOUT,
	OPTION_HELP,
	OPTION_KEEP,
	OPTION_KEY,
	OPTION_MAKE_TICKET_KEYS,
	OPTION_MIN_VERSION,
	OPTION_OCSP,
	OPTION_PROXY_PROTOCOL,
	OPTION_REQUIRE_CLIENT_CERT,
	OPTION_ROTATE_TICKET_KEYS,
	OPTION_STARTTLS,
	OPTION_SYSLOG,
	OPTION_TICKET_KEYS,
	OPTION_TRUSTED_PROXY,
	OPTION_VERIFY_CLIENT,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"cert", required_argument, NULL, OPTION_CERT},
	{"cert-dir", required_argument, NULL, OPTION_CERT_DIR},
	{"ciphers", required_argument, NULL, OPTION_CIPHERS},
	{"ciphersuites", required_argument, NULL, OPTION_CIPHERSUITES},
	{"debug", no_argument, NULL, OPTION_DEBUG},
	{"engine-user", required_argument, NULL, OPTION_ENGINE_USER},
	{"handshake-timeout", required_argument, NULL, OPTION_HANDSHAKE_TIMEOUT},
	{"help", no_argument, NULL, OPTION_HELP},
	{"keep", required_argument, NULL, OPTION_KEEP},
	{"key", required_argument, NULL, OPTION_KEY},
	{"make-ticket-keys", required_argument, NULL, OPTION_MAKE_TICKET_KEYS},
	{"min-version", required_argument, NULL, OPTION_MIN_VERSION},
	{"ocsp", required_argument, NULL, OPTION_OCSP},
	{"proxy-protocol", no_argument, NULL, OPTION_PROXY_PROTOCOL},
	{"require-client-cert", no_argument, NULL, OPTION_REQUIRE_CLIENT_CERT},
	{"rotate-ticket-keys", required_argument, NULL, OPTION_ROTATE_TICKET_KEYS},
	{"starttls", no_argument, NULL, OPTION_STARTTLS},
	{"syslog", no_argument, NULL, OPTION_SYSLOG},
	{"ticket-keys", required_argument, NULL, OPTION_TICKET_KEYS},
	{"trusted-proxy", required_argument, NULL, OPTION_TRUSTED_PROXY},
	{"verify-client", required_argument, NULL, OPTION_VERIFY_CLIENT},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] =
	"usage: pop3d-tls [options] [--] program [argument ...]\n"
	"       pop3d-tls --make-ticket-keys FILE\n"
	"       pop3d-tls --rotate-ticket-keys FILE [--keep N]\n"
	"\n"
	"Does TLS on standard input and output for a program that it starts.\n"
	"\n"
	"  --cert FILE                certificate and chain; repeat for several, SNI chooses\n"
	"  --cert-dir DIR             NAME.pem (key and chain) for the name NAME,\n"
	"                             _.DOMAIN.pem for *.DOMAIN, default.pem for all others\n"
	"  --ciphers LIST             ciphers of TLS 1.2\n"
	"  --ciphersuites LIST        ciphers of TLS 1.3\n"
	"  --debug                    log what was agreed on in each handshake\n"
	"  --engine-user UID[:GID]    who does TLS, when started as root (65534)\n"
	"  --handshake-timeout SECONDS  time for the handshake (30)\n"
	"  --help, --version\n"
	"  --key FILE                 key of the --cert before it (else in the same file)\n"
	"  --min-version 1.2|1.3      oldest version of TLS (1.2)\n"
	"  --ocsp FILE                OCSP response (DER) for the --cert before it\n"
	"  --proxy-protocol           a proxy in front says first who its client is\n"
	"  --require-client-cert      nobody without a certificate\n"
	"  --starttls                 the program begins in clear and says when (UCSPI-TLS)\n"
	"  --syslog                   log to syslog even if standard error would do\n"
	"  --ticket-keys FILE         resume sessions with the keys in FILE\n"
	"  --trusted-proxy ADDR[/LEN] who may be that proxy; repeat for several (anybody)\n"
	"  --verify-client CAFILE     ask clients for a certificate of these authorities\n";

int tls_options_usage(const char *problem, const char *value)
{
	log_open(false);
	if (log_to_syslog())
		log_event(LOG_ERR, "tls-configuration problem=\"%s\" value=\"%s\"", problem,
			value);
	else
		fprintf(stderr, "pop3d-tls: %s: %s\n%s", value, problem, usage_text);
	return TLS_EXIT_USAGE;
}

static bool parse_version(const char *text, enum tls_version *version)
{
	*version = strcmp(text, "1.3") == 0 ? TLS_AT_LEAST_1_3 : TLS_AT_LEAST_1_2;
	return *version == TLS_AT_LEAST_1_3 || strcmp(text, "1.2") == 0;
}

static bool set_path(const char **path, const char *text)
{
	*path = text;
	return text[0] != '\0';
}

static bool add_pair(struct tls_options *o, const char *cert)
{
	if (o->pair_count == TLS_PAIRS)
		return false;
	return set_path(&o->pairs[o->pair_count++].cert, cert);
}

/* Something that belongs to the --cert before it, and only once. */
static bool set_of_pair(struct tls_options *o, int code, const char *text)
{
	struct tls_pair *pair;

	if (o->pair_count == 0)
		return false;
	pair = &o->pairs[o->pair_count - 1];
	if (code == OPTION_KEY)
		return pair->key == NULL && set_path(&pair->key, text);
	return pair->ocsp == NULL && set_path(&pair->ocsp, text);
}

static bool add_trusted_proxy(struct tls_options *o, const char *text)
{
	return o->proxy_count < TLS_PROXIES &&
	       address_rule_parse(text, &o->proxies[o->proxy_count++]);
}

/* Takes one option; false if its value is no good. */
static bool take_option(struct tls_options *o, int code)
{
	switch ((enum option_code)code) {
	case OPTION_CERT: return add_pair(o, optarg);
	case OPTION_CERT_DIR: return set_path(&o->cert_dir, optarg);
	case OPTION_CIPHERS: return set_path(&o->ciphers, optarg);
	case OPTION_CIPHERSUITES: return set_path(&o->ciphersuites, optarg);
	case OPTION_DEBUG: o->debug = true; return true;
	case OPTION_ENGINE_USER: return argument_user(optarg, &o->engine_uid, &o->engine_gid);
	case OPTION_HANDSHAKE_TIMEOUT:
		return argument_seconds(optarg, 1, MAX_SECONDS, &o->handshake_seconds);
	case OPTION_KEEP: return argument_number(optarg, 1, TICKETFILE_KEYS, &o->keep);
	case OPTION_KEY:
	case OPTION_OCSP: return set_of_pair(o, code, optarg);
	case OPTION_MIN_VERSION: return parse_version(optarg, &o->min_version);
	case OPTION_PROXY_PROTOCOL: o->proxy_protocol = true; return true;
	case OPTION_REQUIRE_CLIENT_CERT: o->require_client_cert = true; return true;
	case OPTION_STARTTLS: o->starttls = true; return true;
	case OPTION_SYSLOG: o->syslog = true; return true;
	case OPTION_TICKET_KEYS: return set_path(&o->ticket_keys, optarg);
	case OPTION_TRUSTED_PROXY: return add_trusted_proxy(o, optarg);
	case OPTION_VERIFY_CLIENT: return set_path(&o->client_ca, optarg);
	case OPTION_HELP:
	case OPTION_MAKE_TICKET_KEYS:
	case OPTION_ROTATE_TICKET_KEYS:
	case OPTION_VERSION: break;
	}
	return false;
}

/* What must be there together. */
static int check(struct tls_options *o, int argc, char **argv)
{
	if (o->keep != 0)
		return tls_options_usage("belongs to --rotate-ticket-keys", "--keep");
	if (o->pair_count == 0 && o->cert_dir == NULL)
		return tls_options_usage("one of them is needed", "--cert, --cert-dir");
	if (o->require_client_cert && o->client_ca == NULL)
		return tls_options_usage("needs --verify-client", "--require-client-cert");
	if (o->proxy_protocol && o->starttls)
		return tls_options_usage(
			"with --starttls it is the program's: pop3d --proxy-protocol",
			"--proxy-protocol");
	if (o->proxy_count > 0 && !o->proxy_protocol)
		return tls_options_usage("needs --proxy-protocol", "--trusted-proxy");
	if (optind >= argc)
		return tls_options_usage("no program to start", argv[0]);
	o->program = argv + optind;
	return -1;
}

/* The forms that start no program. */
static int change_ticket_keys(const struct tls_options *o, int code, const char *path)
{
	log_open(false);
	if (code == OPTION_MAKE_TICKET_KEYS)
		return ticketfile_make(path) ? 0 : 111;
	return ticketfile_rotate(path, o->keep != 0 ? (size_t)o->keep : DEFAULT_KEPT) ? 0 : 111;
}

int tls_options_parse(struct tls_options *o, int argc, char **argv)
{
	const char *ticket_file = NULL;
	int code, change = 0;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		if (code == '?')
			return tls_options_usage(
				"unknown option, or its value is missing", argv[optind - 1]);
		if (code == OPTION_HELP)
			return fputs(usage_text, stdout) < 0 ? TLS_EXIT_USAGE : 0;
		if (code == OPTION_VERSION)
			return puts("pop3d-tls " VERSION) < 0 ? TLS_EXIT_USAGE : 0;
		if (code == OPTION_MAKE_TICKET_KEYS || code == OPTION_ROTATE_TICKET_KEYS) {
			change = code;
			ticket_file = optarg;
		} else if (!take_option(o, code)) {
			return tls_options_usage("bad value of an option, or out of place",
				optarg != NULL ? optarg : argv[optind - 1]);
		}
	}
	if (change == 0)
		return check(o, argc, argv);
	if (optind < argc)
		return tls_options_usage("no program is started here", argv[optind]);
	return change_ticket_keys(o, change, ticket_file);
}
