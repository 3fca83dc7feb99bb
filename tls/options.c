/* tls_options: see tls_options.h. */
#include "tls/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/argument.h"
#include "lib/option.h"
#include "os/log.h"
#include "tls/ticketfile.h"

#define MAX_SECONDS 3600
#define DEFAULT_KEPT 3
#define HELP_OCTETS 4096

static bool take_engine_user(void *settings, const char *text)
{
	struct tls_options *const o = settings;

	return argument_user(text, &o->engine_uid, &o->engine_gid);
}

static bool take_version(void *settings, const char *text)
{
	struct tls_options *const o = settings;

	o->min_version = strcmp(text, "1.3") == 0 ? TLS_AT_LEAST_1_3 : TLS_AT_LEAST_1_2;
	return o->min_version == TLS_AT_LEAST_1_3 || strcmp(text, "1.2") == 0;
}

static bool take_keep(void *settings, const char *text)
{
	struct tls_options *const o = settings;

	return argument_number(text, 1, TICKETFILE_KEYS, &o->keep);
}

static bool set_path(const char **path, const char *text)
{
	*path = text;
	return text[0] != '\0';
}

static bool take_cert(void *settings, const char *path)
{
	struct tls_options *const o = settings;

	return o->pair_count < TLS_PAIRS && set_path(&o->pairs[o->pair_count++].cert, path);
}

/* The --cert before a --key or --ocsp, or NULL. */
static struct tls_pair *last_pair(struct tls_options *o)
{
	return o->pair_count > 0 ? &o->pairs[o->pair_count - 1] : NULL;
}

static bool take_key(void *settings, const char *path)
{
	struct tls_pair *const pair = last_pair(settings);

	return pair != NULL && pair->key == NULL && set_path(&pair->key, path);
}

static bool take_ocsp(void *settings, const char *path)
{
	struct tls_pair *const pair = last_pair(settings);

	return pair != NULL && pair->ocsp == NULL && set_path(&pair->ocsp, path);
}

static bool take_trusted_proxy(void *settings, const char *text)
{
	struct tls_options *const o = settings;

	return o->proxy_count < TLS_PROXIES &&
	       address_rule_parse(text, &o->proxies[o->proxy_count++]);
}

#define FIELD(name) offsetof(struct tls_options, name)

static const struct option_row rows[] = {
	{.name = "cert",
		.kind = OPTION_OTHER,
		.value = "FILE",
		.take = take_cert,
		.help = "certificate and chain; repeatable, SNI chooses"},
	{.name = "cert-dir",
		.kind = OPTION_TEXT,
		.value = "DIR",
		.field = FIELD(cert_dir),
		.help = "NAME.pem (key and chain) for the name NAME,\n_.DOMAIN.pem for "
			"*.DOMAIN, default.pem for all others"},
	{.name = "check",
		.kind = OPTION_TEXT,
		.value = "HOST",
		.field = FIELD(check_host),
		.is_late = true,
		.help = "check what the other options name, for clients of HOST"},
	{.name = "ciphers",
		.kind = OPTION_TEXT,
		.value = "LIST",
		.field = FIELD(ciphers),
		.help = "ciphers of TLS 1.2"},
	{.name = "ciphersuites",
		.kind = OPTION_TEXT,
		.value = "LIST",
		.field = FIELD(ciphersuites),
		.help = "ciphers of TLS 1.3"},
	{.name = "debug",
		.kind = OPTION_SWITCH,
		.field = FIELD(debug),
		.help = "log the outcome of each handshake"},
	{.name = "engine-user",
		.kind = OPTION_OTHER,
		.value = "UID[:GID]",
		.take = take_engine_user,
		.help = "user that talks to the client (65534)"},
	{.name = "handshake-timeout",
		.kind = OPTION_SECONDS,
		.value = "SECONDS",
		.field = FIELD(handshake_seconds),
		.least = 1,
		.most = MAX_SECONDS,
		.help = "time for the handshake (30)"},
	{.name = "help", .kind = OPTION_ACTION, .help = "show this text"},
	{.name = "keep",
		.kind = OPTION_OTHER,
		.value = "N",
		.take = take_keep,
		.help = "keys that --rotate-ticket-keys leaves (3)"},
	{.name = "key",
		.kind = OPTION_OTHER,
		.value = "FILE",
		.take = take_key,
		.help = "key of the preceding --cert (in the same file)"},
	{.name = "make-ticket-keys",
		.kind = OPTION_TEXT,
		.value = "FILE",
		.field = FIELD(make_keys),
		.help = "make a file of ticket keys and exit"},
	{.name = "min-version",
		.kind = OPTION_OTHER,
		.value = "1.2|1.3",
		.take = take_version,
		.help = "oldest version of TLS (1.2)"},
	{.name = "ocsp",
		.kind = OPTION_OTHER,
		.value = "FILE",
		.take = take_ocsp,
		.help = "OCSP response (DER) for the preceding --cert"},
	{.name = "proxy-protocol",
		.kind = OPTION_SWITCH,
		.field = FIELD(proxy_protocol),
		.help = "expect a PROXY header before the handshake"},
	{.name = "require-client-cert",
		.kind = OPTION_SWITCH,
		.field = FIELD(require_client_cert),
		.help = "refuse clients without a certificate"},
	{.name = "rotate-ticket-keys",
		.kind = OPTION_TEXT,
		.value = "FILE",
		.field = FIELD(rotate_keys),
		.help = "put a new key first in the file and exit"},
	{.name = "starttls",
		.kind = OPTION_SWITCH,
		.field = FIELD(starttls),
		.help = "the program begins in clear and starts TLS (UCSPI-TLS)"},
	{.name = "syslog",
		.kind = OPTION_SWITCH,
		.field = FIELD(syslog),
		.help = "log to syslog even if standard error could be used"},
	{.name = "ticket-keys",
		.kind = OPTION_TEXT,
		.value = "FILE",
		.field = FIELD(ticket_keys),
		.help = "let clients resume sessions, with the keys in FILE"},
	{.name = "trusted-proxy",
		.kind = OPTION_OTHER,
		.value = "ADDR[/LEN]",
		.take = take_trusted_proxy,
		.help = "accept PROXY headers only from here; repeatable (anybody)"},
	{.name = "verify-client",
		.kind = OPTION_TEXT,
		.value = "CAFILE",
		.field = FIELD(client_ca),
		.help = "ask clients for certificates of these authorities"},
	{.name = "version", .kind = OPTION_ACTION, .help = "show the version"},
};

static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static const char usage_text[] =
	"usage: pop3d-tls [options] [--] program [argument ...]\n"
	"       pop3d-tls --make-ticket-keys FILE\n"
	"       pop3d-tls --rotate-ticket-keys FILE [--keep N]\n"
	"       pop3d-tls --check HOST [options]\n"
	"\n"
	"Does TLS on standard input and output for a program that it starts.\n"
	"\n";

static bool put_usage(FILE *to)
{
	static char help[HELP_OCTETS];

	return option_help(&table, help, sizeof help) && fputs(usage_text, to) >= 0 &&
	       fputs(help, to) >= 0 && fflush(to) == 0;
}

int tls_options_usage(const char *problem, const char *value)
{
	char shown[256];

	log_open(false);
	if (!log_stderr_is_read()) {
		log_event(LOG_ERR, "tls-configuration problem=\"%s\" value=%s", problem,
			log_quote(shown, sizeof shown, value, strlen(value)));
	} else {
		fprintf(stderr, "pop3d-tls: %s: %s\n", value, problem);
		put_usage(stderr);
	}
	return TLS_EXIT_USAGE;
}

/* What must be there together. */
static int check(struct tls_options *o, const char *self, char **rest)
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
	if (rest[0] == NULL && o->check_host == NULL)
		return tls_options_usage("no program to start", self);
	o->program = rest;
	return -1;
}

/* The forms that start no program. */
static int change_ticket_keys(const struct tls_options *o)
{
	const size_t keep = o->keep != 0 ? (size_t)o->keep : DEFAULT_KEPT;

	log_open_for_person();
	if (o->make_keys != NULL)
		return ticketfile_make(o->make_keys) ? 0 : 111;
	return ticketfile_rotate(o->rotate_keys, keep) ? 0 : 111;
}

int tls_options_parse(struct tls_options *o, char **words)
{
	const struct option_end end = option_parse(&table, o, words);
	char **const rest = words + end.index;

	if (end.is_wrong)
		return tls_options_usage(end.row != NULL
						 ? "bad value of an option, or out of place"
						 : "unknown option, or its value is missing",
			end.value);
	if (end.row != NULL && strcmp(end.row->name, "help") == 0)
		return put_usage(stdout) ? 0 : TLS_EXIT_USAGE;
	if (end.row != NULL)
		return puts("pop3d-tls " VERSION) < 0 || fflush(stdout) != 0 ? TLS_EXIT_USAGE
									     : 0;
	if (o->make_keys == NULL && o->rotate_keys == NULL)
		return check(o, words[0], rest);
	if (rest[0] != NULL)
		return tls_options_usage("no program is started here", rest[0]);
	return change_ticket_keys(o);
}
