/* report: see report.h. */
#include "tls/report.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "os/log.h"
#include "tls/name.h"

#define FIRST_ALERT 1000 /* SSL_R_SSLV3_ALERT_...: 1000 and the number of the alert */
#define LAST_ALERT 1255

struct variables {
	char *text;
	size_t capacity, length;
};

/* Adds the whole variable or nothing: a value that is cut means something else. */
static void add_variable(struct variables *v, const char *name, const char *value)
{
	const size_t room = v->capacity - v->length;
	const int length = snprintf(v->text + v->length, room, "%s=%s", name, value);

	if (length > 0 && (size_t)length < room)
		v->length += (size_t)length + 1;
}

/* In the form of other engines: /CN=..., with \x for characters that are not printable. */
static void add_subject(struct variables *v, X509 *cert)
{
	char *const subject = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0);

	if (subject != NULL)
		add_variable(v, "SSL_PEER_CERT_SUBJECT", subject);
	OPENSSL_free(subject);
}

static void add_hash(struct variables *v, const X509 *cert)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[8 + 2 * EVP_MAX_MD_SIZE] = "SHA256:";
	unsigned length = 0;
	size_t used = strlen(text);

	if (X509_digest(cert, EVP_sha256(), digest, &length) != 1)
		return;
	for (unsigned i = 0; i < length; i++) {
		text[used++] = hex[digest[i] >> 4];
		text[used++] = hex[digest[i] & 15];
	}
	text[used] = '\0';
	add_variable(v, "SSL_PEER_CERT_HASH", text);
}

size_t tls_report_variables(const struct tls *t, char *variables, size_t capacity)
{
	struct variables v = {variables, capacity, 0};
	const char *const asked = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	X509 *const cert = SSL_get0_peer_certificate(t->ssl);
	char name[TLS_NAME_OCTETS + 1];

	add_variable(&v, "SSL_PROTOCOL", SSL_get_version(t->ssl));
	add_variable(&v, "SSL_CIPHER", SSL_get_cipher_name(t->ssl));
	if (asked != NULL && tls_name_take(name, asked, strlen(asked)))
		add_variable(&v, "SSL_TLS_SNI_SERVERNAME", name);
	if (cert != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK) {
		add_hash(&v, cert);
		add_subject(&v, cert);
	}
	return v.length;
}

/* OpenSSL's own texts need half a megabyte of memory, and differ between versions. */
static const char *reason_in_words(int reason)
{
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_BAD_PACKET_LENGTH:
	case SSL_R_UNEXPECTED_MESSAGE: return "not-tls";
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST: return "http-request";
	case SSL_R_NO_SHARED_CIPHER: return "no-shared-cipher";
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS: return "no-shared-group";
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return "no-shared-signature-algorithm";
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_UNSUPPORTED_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW: return "protocol-too-old";
	case SSL_R_INAPPROPRIATE_FALLBACK: return "inappropriate-fallback";
	case SSL_R_NO_APPLICATION_PROTOCOL: return "no-application-protocol";
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "no-client-certificate";
	case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "eof";
	case SSL_R_CALLBACK_FAILED:
	case SSL_R_CLIENTHELLO_TLSEXT: return "no-certificate-for-name";
	case SSL_R_LENGTH_MISMATCH:
	case SSL_R_LENGTH_TOO_SHORT:
	case SSL_R_BAD_EXTENSION:
	case SSL_R_EXCESSIVE_MESSAGE_SIZE:
	case SSL_R_BAD_KEY_SHARE:
	case SSL_R_MISSING_SIGALGS_EXTENSION:
	case SSL_R_NOT_ON_RECORD_BOUNDARY: return "malformed";
	default: return NULL;
	}
}

void tls_report_failure(
	const struct tls *t, int ssl_error, int error_number, char *reason, size_t capacity)
{
	const unsigned long code = ERR_peek_error();
	const int number = ERR_GET_REASON(code);
	const long verified = SSL_get_verify_result(t->ssl);
	const char *const words =
		ERR_GET_LIB(code) == ERR_LIB_SSL ? reason_in_words(number) : NULL;

	if (ssl_error == SSL_ERROR_SYSCALL && code == 0)
		snprintf(reason, capacity, "%s",
			error_number != 0 ? strerror(error_number) : "eof");
	else if (number == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		snprintf(reason, capacity, "client-certificate: %s",
			X509_verify_cert_error_string(verified));
	else if (words != NULL)
		snprintf(reason, capacity, "%s", words);
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL && number >= FIRST_ALERT &&
		 number <= LAST_ALERT)
		snprintf(reason, capacity, "alert: %s",
			SSL_alert_desc_string_long(number - FIRST_ALERT));
	else
		snprintf(reason, capacity, "error %d of library %d", number, ERR_GET_LIB(code));
}

void tls_report_agreement(const struct tls *t, const char *ip)
{
	log_event(LOG_DEBUG, "tls ip=%s protocol=%s cipher=%s resumed=%s", ip,
		SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl),
		SSL_session_reused(t->ssl) ? "yes" : "no");
}
