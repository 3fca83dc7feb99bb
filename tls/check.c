/* check: see check.h. Reads private keys, with the rights of the administrator who asks. */
#include "tls/check.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/file.h"
#include "os/finding.h"
#include "tls/cert.h"
#include "tls/name.h"
#include "tls/pem.h"
#include "tls/ticketfile.h"

#define NAMES_OCTETS 512
#define DAY_SECONDS 86400
#define TICKET_DAYS 8 /* the timer replaces keys every day */

/* A certificate that was read, with what belongs to it. */
struct pair {
	const char *cert_path, *key_path;
	X509 *leaf;
	STACK_OF(X509) * rest;
	EVP_PKEY *key;
};

static bool read_path(const char *path, struct file_octets *octets, struct stat *st)
{
	if (file_read(path, octets, st))
		return true;
	finding_put(FINDING_WRONG, "certificate",
		"%s cannot be read (%s): no client gets TLS; make the file, or mend the path",
		path, strerror(errno));
	return false;
}

static void check_mode(const char *path, const struct stat *st)
{
	if ((st->st_mode & S_IRWXO) != 0)
		finding_put(FINDING_WRONG, "certificate",
			"%s has mode %04o: every user of this host can read the private key; "
			"chmod 600 %s, "
			"and replace the key",
			path, (unsigned)st->st_mode & 07777, path);
	else if (st->st_uid != 0 && geteuid() == 0)
		finding_put(FINDING_WARNING, "certificate",
			"%s belongs to uid %lu, who can read and replace the private key: "
			"chown root %s",
			path, (unsigned long)st->st_uid, path);
}

/* The names that the certificate is for, between blanks. */
static void list_names(const X509 *leaf, char names[NAMES_OCTETS])
{
	GENERAL_NAMES *const all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t used = 0;

	names[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *const one = sk_GENERAL_NAME_value(all, i);
		int octets;

		if (one->type != GEN_DNS)
			continue;
		octets = snprintf(names + used, NAMES_OCTETS - used, "%s%.*s",
			used > 0 ? " " : "", ASN1_STRING_length(one->d.dNSName),
			(const char *)ASN1_STRING_get0_data(one->d.dNSName));
		if (octets < 0 || (size_t)octets >= NAMES_OCTETS - used)
			break;
		used += (size_t)octets;
	}
	GENERAL_NAMES_free(all);
	if (used == 0)
		snprintf(names, NAMES_OCTETS, "none");
}

/* A host that knows only the first label of its name is known to clients by all of it. */
static bool is_for(X509 *leaf, const char *names, const char *host)
{
	const size_t octets = strlen(host);

	if (X509_check_host(leaf, host, 0, 0, NULL) == 1)
		return true;
	if (strchr(host, '.') != NULL)
		return false;
	for (const char *name = names; name != NULL && *name != '\0';
		name = strchr(name, ' ') != NULL ? strchr(name, ' ') + 1 : NULL)
		if (strncasecmp(name, host, octets) == 0 && name[octets] == '.')
			return true;
	return false;
}

static void check_names(const struct pair *p, const char *host)
{
	char names[NAMES_OCTETS];

	list_names(p->leaf, names);
	if (is_for(p->leaf, names, host))
		finding_put(
			FINDING_OK, "certificate", "%s is for the name %s", p->cert_path, host);
	else
		finding_put(FINDING_WARNING, "certificate",
			"%s is not for the name %s (its names: %s): clients that connect to "
			"that name "
			"refuse it; get one for it, or give the name that clients use with "
			"pop3d "
			"--hostname",
			p->cert_path, host, names);
}

static void check_dates(const struct pair *p)
{
	int days;
	const char *const problem = pem_date_problem(p->leaf, &days);

	if (problem == NULL)
		finding_put(FINDING_OK, "certificate", "%s is valid for %d more days",
			p->cert_path, days);
	else if (strcmp(problem, PEM_SOON) == 0)
		finding_put(FINDING_WARNING, "certificate",
			"%s expires in %d days: renew it, and see why that was not done by "
			"itself",
			p->cert_path, days);
	else
		finding_put(FINDING_WRONG, "certificate", "%s is %s: %s", p->cert_path,
			strcmp(problem, PEM_EXPIRED) == 0 ? "expired" : "not valid yet",
			strcmp(problem, PEM_EXPIRED) == 0
				? "renew it; clients refuse it"
				: "set the clock of this host, or use an older one; clients "
				  "refuse it");
}

/* Whether clients that trust what this host trusts would trust it. */
static void check_chain(const struct pair *p)
{
	X509_STORE *const store = X509_STORE_new();
	X509_STORE_CTX *const context = X509_STORE_CTX_new();
	int error = X509_V_ERR_UNSPECIFIED;

	if (store != NULL && context != NULL && X509_STORE_set_default_paths(store) == 1 &&
		X509_STORE_CTX_init(context, store, p->leaf, p->rest) == 1) {
		error = X509_verify_cert(context) == 1 ? X509_V_OK
						       : X509_STORE_CTX_get_error(context);
	}
	if (error == X509_V_OK)
		finding_put(FINDING_OK, "certificate",
			"%s is issued by an authority that this host "
			"trusts",
			p->cert_path);
	else if (error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
		finding_put(FINDING_OK, "certificate",
			"%s is self-signed: mail programs ask their users whether to trust it",
			p->cert_path);
	else if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
		 error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
		finding_put(FINDING_WARNING, "certificate",
			"%s: its issuer is neither in the file nor known to this host: put the "
			"intermediate certificates after it (fullchain.pem); an authority of "
			"your own is "
			"to be installed on the clients",
			p->cert_path);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	ERR_clear_error();
}

/* Whether the library would use the two together. */
static bool check_key(const struct pair *p)
{
	SSL_CTX *const context = SSL_CTX_new(TLS_server_method());
	SSL *const ssl = context != NULL ? SSL_new(context) : NULL;
	bool good = false;

	if (X509_check_private_key(p->leaf, p->key) != 1)
		finding_put(FINDING_WRONG, "certificate",
			"the key in %s is not that of the certificate in %s: put the two "
			"together that "
			"were made together",
			p->key_path, p->cert_path);
	else if (ssl == NULL || SSL_use_cert_and_key(ssl, p->leaf, p->key, p->rest, 1) != 1)
		finding_put(FINDING_WRONG, "certificate",
			"the TLS library does not take %s: a key of fewer than 2048 bits, or "
			"an old "
			"signature? Get a new one",
			p->cert_path);
	else
		good = true;
	SSL_free(ssl);
	SSL_CTX_free(context);
	ERR_clear_error();
	return good;
}

/* With several certificates the name that a client asks for chooses: one of them must have it.
 */
static bool is_one_for(struct pair *p, const char *host)
{
	char names[NAMES_OCTETS];

	if (p->leaf == NULL)
		return false;
	list_names(p->leaf, names);
	return is_for(p->leaf, names, host);
}

static void check_pair(struct pair *p, const char *host)
{
	if (p->leaf == NULL || p->rest == NULL)
		finding_put(FINDING_WRONG, "certificate",
			"%s has no certificate in PEM form: put one there, from -----BEGIN on",
			p->cert_path);
	else if (p->key == NULL)
		finding_put(FINDING_WRONG, "certificate",
			"%s has no private key in PEM form, or one with a password: put the "
			"key there "
			"without a password, or give --key FILE",
			p->key_path);
	else if (check_key(p)) {
		check_dates(p);
		check_chain(p);
		if (host != NULL)
			check_names(p, host);
	}
	EVP_PKEY_free(p->key);
	sk_X509_pop_free(p->rest, X509_free);
	X509_free(p->leaf);
	ERR_clear_error();
}

/* Names are looked at where host is not NULL. Returns whether the certificate is for wanted. */
static bool check_files(
	const char *cert_path, const char *key_path, const char *host, const char *wanted)
{
	struct file_octets cert = {NULL, 0}, key = {NULL, 0};
	struct pair p = {.cert_path = cert_path, .key_path = key_path};
	struct stat st;
	bool is_wanted = false;

	if (read_path(cert_path, &cert, NULL) && read_path(key_path, &key, &st)) {
		check_mode(key_path, &st);
		p.leaf = pem_read_certificates(NULL, &cert, &p.rest);
		p.key = pem_read_key(NULL, &key);
		is_wanted = is_one_for(&p, wanted);
		check_pair(&p, host);
	}
	file_forget(&cert);
	file_forget(&key);
	return is_wanted;
}

/* A file NAME.pem is for that name, _.DOMAIN.pem for any below the domain, default.pem for all.
 */
static void check_directory_file(const char *directory, const char *file, const char *host)
{
	char path[1024], name[TLS_NAME_OCTETS + 1];
	const size_t octets = strlen(file) - 4;

	snprintf(path, sizeof path, "%s/%s", directory, file);
	if (strcmp(file, "default.pem") == 0) {
		(void)check_files(path, path, host, host);
		return;
	}
	if (!tls_name_take(name, file, octets)) {
		finding_put(FINDING_WARNING, "certificate",
			"%s is never used: its name is not that of a host with .pem", path);
		return;
	}
	if (name[0] == '_' && name[1] == '.')
		name[0] = 'x';
	(void)check_files(path, path, name, name);
}

static void check_directory(const struct tls_options *o)
{
	DIR *const directory = opendir(o->cert_dir);
	bool has_default = o->pair_count > 0;

	if (directory == NULL) {
		finding_put(FINDING_WRONG, "certificate",
			"%s cannot be read (%s): make it, or mend "
			"--cert-dir",
			o->cert_dir, strerror(errno));
		return;
	}
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		const size_t octets = strlen(entry->d_name);

		if (octets < 5 || strcmp(entry->d_name + octets - 4, ".pem") != 0)
			continue;
		has_default |= strcmp(entry->d_name, "default.pem") == 0;
		check_directory_file(o->cert_dir, entry->d_name, o->check_host);
	}
	closedir(directory);
	if (!has_default)
		finding_put(FINDING_WARNING, "certificate",
			"%s has no default.pem: clients that name no host, or another one, get "
			"no TLS; "
			"make it",
			o->cert_dir);
}

static void check_tickets(const char *path)
{
	static const char *const problems[] = {
		[TICKETFILE_NO_KEYS] =
			"is no file of ticket keys: remove it, and make it anew with pop3d-tls "
			"--make-ticket-keys",
		[TICKETFILE_OPEN] =
			"can be read or written by others, and is not used: make it anew, "
			"with mode "
			"600",
		[TICKETFILE_FOREIGN] =
			"belongs to another user than root, and is not used: make it anew"};
	struct ticket_keys keys;
	struct stat st;
	const enum ticketfile_state state = ticketfile_judge(path, &keys, &st);
	long days;

	explicit_bzero(&keys, sizeof keys);
	if (state == TICKETFILE_UNREADABLE) {
		finding_put(FINDING_WARNING, "tickets",
			"%s cannot be read (%s): sessions cannot be resumed; pop3d-tls "
			"--make-ticket-keys "
			"%s",
			path, strerror(errno), path);
		return;
	}
	days = (long)((time(NULL) - st.st_mtim.tv_sec) / DAY_SECONDS);
	if (state != TICKETFILE_GOOD)
		finding_put(FINDING_WRONG, "tickets", "%s %s", path, problems[state]);
	else if (days >= TICKET_DAYS)
		finding_put(FINDING_WARNING, "tickets",
			"the newest key in %s is %ld days old: who gets it can read the "
			"sessions of that "
			"time; systemctl enable --now pop3d-tickets.timer, or run pop3d-tls "
			"--rotate-ticket-keys every day",
			path, days);
	else
		finding_put(FINDING_OK, "tickets", "the newest key in %s is %ld days old", path,
			days);
}

static void check_response(const char *path)
{
	struct file_octets octets = {NULL, 0};

	if (!read_path(path, &octets, NULL))
		return;
	if (tls_cert_is_current(&octets))
		finding_put(FINDING_OK, "certificate", "the OCSP response %s is current", path);
	else
		finding_put(FINDING_WARNING, "certificate",
			"%s is no OCSP response, or one that is out of date, and is not sent: "
			"fetch a new "
			"one, every few days",
			path);
	file_forget(&octets);
}

static void check_pairs(const struct tls_options *o)
{
	bool is_named = false;

	for (size_t i = 0; i < o->pair_count; i++) {
		const struct tls_pair *const pair = &o->pairs[i];

		is_named |= check_files(pair->cert, pair->key != NULL ? pair->key : pair->cert,
			o->pair_count == 1 ? o->check_host : NULL, o->check_host);
		if (pair->ocsp != NULL)
			check_response(pair->ocsp);
	}
	if (o->pair_count > 1 && !is_named)
		finding_put(FINDING_WARNING, "certificate",
			"none is for the name %s: clients that connect to that name refuse "
			"them; get one "
			"for it, or give the name that clients use with pop3d --hostname",
			o->check_host);
}

int tls_check(const struct tls_options *o)
{
	check_pairs(o);
	if (o->cert_dir != NULL)
		check_directory(o);
	if (o->ticket_keys != NULL)
		check_tickets(o->ticket_keys);
	return fflush(stdout) == 0 ? (int)finding_worst() : TLS_EXIT_USAGE;
}
