/* cert: see cert.h. */
#include "tls/cert.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "os/log.h"
#include "tls/keeper.h"
#include "tls/name.h"
#include "tls/pem.h"

#define OCSP_SKEW_SECONDS 300

/* An old certificate is served all the same: some clients accept it, and a closed port would
 * not tell the administrator more. */
static void warn_of_expiry(const X509 *leaf, const char *cert_name)
{
	int left_days;
	const char *const problem = pem_date_problem(leaf, &left_days);

	if (problem != NULL)
		log_event(LOG_WARNING,
			"tls-certificate file=%s problem=\"%s\" days=%d help=\"renew the "
			"certificate\"",
			cert_name, problem, left_days);
}

/* Returns what is wrong with certificate and key, or NULL if the library uses them now. */
static const char *use_certificate(const struct tls *t, const struct file_octets *cert,
	const struct file_octets *key, const char *cert_name)
{
	STACK_OF(X509) *rest = NULL;
	X509 *const leaf = pem_read_certificates(t->library, cert, &rest);
	EVP_PKEY *const private_key = pem_read_key(t->library, key);
	const char *problem = NULL;

	if (leaf == NULL || rest == NULL)
		problem = "no certificate in PEM form";
	else if (private_key == NULL)
		problem = "no private key in PEM form, or one with a password";
	else if (X509_check_private_key(leaf, private_key) != 1)
		problem = "the key is not that of the certificate";
	else if (SSL_use_cert_and_key(t->ssl, leaf, private_key, rest, 1) != 1)
		problem = "the TLS library does not take the certificate (a short key?)";
	else
		warn_of_expiry(leaf, cert_name);
	EVP_PKEY_free(private_key);
	sk_X509_pop_free(rest, X509_free);
	X509_free(leaf);
	ERR_clear_error();
	return problem;
}

/* The configuration is wrong, which is not the client's fault. So no alert is sent. */
static void give_up_handshake(struct tls *t)
{
	t->misconfigured = true;
	SSL_set0_wbio(t->ssl, BIO_new(BIO_s_null()));
}

static bool take_certificate(struct tls *t, const struct file_octets *cert,
	const struct file_octets *key, const char *cert_name)
{
	char quoted[4 * TLS_NAME_OCTETS];
	const char *const shown =
		log_quote(quoted, sizeof quoted, cert_name, strlen(cert_name));
	const char *const problem = use_certificate(t, cert, key, shown);

	if (problem == NULL)
		return true;
	log_event(LOG_ERR, "tls-configuration file=%s problem=\"%s\"", shown, problem);
	give_up_handshake(t);
	return false;
}

static bool take_pair(struct tls *t, size_t i)
{
	const struct tls_material_pair *const pair = &t->material->pairs[i];
	const struct file_octets *const key = pair->key.data != NULL ? &pair->key : &pair->cert;

	return take_certificate(t, &pair->cert, key, t->options->pairs[i].cert);
}

/* Takes a certificate from the directory; an empty name means the default. */
static enum keeper_answer take_file(struct tls *t, const char *name)
{
	struct file_octets pem = {NULL, 0};
	enum keeper_answer answered = KEEPER_NOT_THERE;

	if (t->options->cert_dir == NULL)
		return answered;
	answered = keeper_ask(t->files, name, &pem);
	if (answered == KEEPER_TROUBLE)
		give_up_handshake(t);
	if (answered == KEEPER_FOUND &&
		!take_certificate(t, &pem, &pem, name[0] != '\0' ? name : "default"))
		answered = KEEPER_TROUBLE;
	file_forget(&pem);
	return answered;
}

static enum keeper_answer take_file_for(struct tls *t, const char *name)
{
	char wildcard[TLS_NAME_OCTETS + 1];
	const enum keeper_answer answered = take_file(t, name);

	if (answered != KEEPER_NOT_THERE || !tls_name_wildcard(wildcard, name))
		return answered;
	return take_file(t, wildcard);
}

/* The kind of key of a certificate that is valid for the name; EVP_PKEY_NONE for other names.
 */
static int kind_if_valid_for(
	const struct tls *t, const struct file_octets *pem, const char *name)
{
	X509 *const leaf = pem_read_leaf(t->library, pem);
	int kind = EVP_PKEY_NONE;

	if (leaf != NULL && X509_check_host(leaf, name, 0, 0, NULL) == 1)
		kind = EVP_PKEY_get_base_id(X509_get0_pubkey(leaf));
	X509_free(leaf);
	ERR_clear_error();
	return kind;
}

/* Takes the first pair of each kind of key for the name. Returns how many were taken. */
static size_t take_pairs_for(struct tls *t, const char *name)
{
	int taken[TLS_PAIRS];
	size_t count = 0;

	/* a single pair needs no choice */
	for (size_t i = 0; i < t->material->pair_count && t->material->pair_count > 1; i++) {
		const int kind = kind_if_valid_for(t, &t->material->pairs[i].cert, name);
		bool is_new = kind != EVP_PKEY_NONE;

		for (size_t j = 0; j < count; j++)
			is_new = is_new && taken[j] != kind;
		if (!is_new)
			continue;
		taken[count++] = kind;
		if (!take_pair(t, i))
			break;
	}
	return count;
}

/* OpenSSL calls this after the client's first message, with or without a name in it. */
static int choose_certificate(SSL *ssl, int *alert, void *argument)
{
	struct tls *const t = argument;
	const char *const asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char name[TLS_NAME_OCTETS + 1];
	enum keeper_answer answered = KEEPER_NOT_THERE;

	*alert = SSL_AD_UNRECOGNIZED_NAME;
	if (t->cert_chosen || SSL_session_reused(ssl))
		return SSL_TLSEXT_ERR_OK;
	t->cert_chosen = true;
	if (asked != NULL && tls_name_take(name, asked, strlen(asked))) {
		answered = take_file_for(t, name);
		if (answered == KEEPER_NOT_THERE && take_pairs_for(t, name) > 0)
			answered = KEEPER_FOUND;
	}
	if (answered == KEEPER_NOT_THERE && t->material->pair_count > 0)
		answered = take_pair(t, 0) ? KEEPER_FOUND : KEEPER_TROUBLE;
	else if (answered == KEEPER_NOT_THERE)
		answered = take_file(t, "");
	if (answered == KEEPER_FOUND && !t->misconfigured)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool tls_cert_is_current(const struct file_octets *response)
{
	const unsigned char *der = (const unsigned char *)response->data;
	OCSP_RESPONSE *const parsed = d2i_OCSP_RESPONSE(NULL, &der, (long)response->length);
	OCSP_BASICRESP *const basic = parsed != NULL ? OCSP_response_get1_basic(parsed) : NULL;
	OCSP_SINGLERESP *const one = basic != NULL ? OCSP_resp_get0(basic, 0) : NULL;
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	bool current = false;

	if (one != NULL) {
		OCSP_single_get0_status(one, NULL, NULL, &from, &until);
		current = OCSP_check_validity(from, until, OCSP_SKEW_SECONDS, -1) == 1;
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(parsed);
	ERR_clear_error();
	return current;
}

static bool is_leaf_of(const struct tls *t, const X509 *cert, const struct file_octets *pem)
{
	X509 *const leaf = pem_read_leaf(t->library, pem);
	const bool same = leaf != NULL && X509_cmp(cert, leaf) == 0;

	X509_free(leaf);
	ERR_clear_error();
	return same;
}

/* The OCSP response for the certificate that this client is shown, or NULL. Only now is it
 * known whether that is a name's RSA or its ECDSA certificate. */
static const struct file_octets *response_for(const struct tls *t, const X509 *cert)
{
	for (size_t i = 0; cert != NULL && i < t->material->pair_count; i++) {
		const struct tls_material_pair *const pair = &t->material->pairs[i];

		if (pair->ocsp.data != NULL && is_leaf_of(t, cert, &pair->cert))
			return &pair->ocsp;
	}
	return NULL;
}

/* OpenSSL calls this for a client that asks for the status of the certificate. */
static int staple_response(SSL *ssl, void *argument)
{
	const struct tls *const t = argument;
	const struct file_octets *const response = response_for(t, SSL_get_certificate(ssl));
	unsigned char *copy;

	if (response == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (!tls_cert_is_current(response)) {
		log_event(LOG_WARNING, "tls-ocsp problem=\"no response, or one that is out of "
				       "date\"");
		return SSL_TLSEXT_ERR_NOACK;
	}
	copy = OPENSSL_memdup(response->data, response->length);
	if (copy == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)response->length);
	return SSL_TLSEXT_ERR_OK;
}

void tls_cert_attach(struct tls *t)
{
	SSL_CTX_set_tlsext_servername_callback(t->context, choose_certificate);
	SSL_CTX_set_tlsext_servername_arg(t->context, t);
	SSL_CTX_set_tlsext_status_cb(t->context, staple_response);
	SSL_CTX_set_tlsext_status_arg(t->context, t);
}
