/* tls: see tls.h. Runs in the engine's sandbox, where OpenSSL can open no files, except for
 * tls_prepare. */
#include "tls/tls.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "os/log.h"
#include "os/wait.h"
#include "tls/algorithms.h"
#include "tls/cert.h"
#include "tls/configuration.h"
#include "tls/pem.h"
#include "tls/report.h"
#include "tls/resumption.h"
#ifdef WITH_MUSL
#include "tls/musl/memory.h"
#else
/* the system's C library needs no help */
#define tls_memory_begin() true
#endif

/* Of TLS 1.2 only ciphers with forward secrecy and authenticated encryption; all of TLS 1.3
 * have both.
 */
#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* Keys of at least 112 bits of strength: RSA of 2048. */
#define SECURITY_LEVEL 2

/* Four records of 16384 octets, with their headers and tags. */
#define GATHERED_OCTETS 66048

/* More stack than the library's functions use, and the part of it that is wiped by hand. */
#define STACK_OCTETS 32768
#define NEAR_OCTETS 8192
#define PAGE_OCTETS 4096

static bool log_trouble(const char *problem, const char *value)
{
	log_event(LOG_ERR, "tls-configuration problem=\"%s\" value=\"%s\"", problem,
		value != NULL ? value : "");
	return false;
}

/* RFC 7301: a client that asks only for other protocols is refused. A client that asks for none
 * is accepted. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
	const unsigned char *offered, unsigned offered_length, void *argument)
{
	static const unsigned char pop3[] = {'p', 'o', 'p', '3'};

	(void)ssl;
	(void)argument;
	for (unsigned at = 0; at < offered_length; at += 1U + offered[at]) {
		if (offered[at] != sizeof pop3 || offered_length - at <= sizeof pop3 ||
			memcmp(offered + at + 1, pop3, sizeof pop3) != 0)
			continue;
		*chosen = pop3;
		*chosen_length = sizeof pop3;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Counts handshake messages after the handshake: requests for new keys (RFC 8446
 * section 4.6.3), and in TLS 1.2 for a new handshake, which is refused. engine.c limits their
 * number. */
static void count_late_messages(int sent, int version, int type, const void *octets,
	size_t length, SSL *ssl, void *argument)
{
	struct tls *const t = argument;

	(void)version;
	(void)octets;
	(void)length;
	(void)ssl;
	if (!sent && t->established && type == SSL3_RT_HANDSHAKE)
		t->late_messages++;
}

static void set_defaults(struct tls *t)
{
	SSL_CTX *const c = t->context;

	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE |
				       SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	/* SSL_read returns after each record without data, so that the engine can count these
	 */
	SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);
	if (SSL_CTX_get_security_level(c) < SECURITY_LEVEL)
		SSL_CTX_set_security_level(c, SECURITY_LEVEL);
	SSL_CTX_set_max_early_data(c, 0);
	SSL_CTX_set_msg_callback(c, count_late_messages);
	SSL_CTX_set_msg_callback_arg(c, t);
	SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
}

/* With finite-field groups a client can cause much work in the server (CVE-2002-20001). From
 * OpenSSL 3.5 on there is a group that also withstands quantum computers: a client that knows
 * it is asked for it, even if that costs a round trip. The library may be later than the
 * headers that this was compiled with. */
static const char *groups(void)
{
	return OPENSSL_version_major() > 3 ||
			       (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 5)
		       ? "?X25519MLKEM768/X25519:P-256/X448:P-384:P-521"
		       : "X25519:P-256:X448:P-384:P-521";
}

static bool set_strength(struct tls *t)
{
	const struct tls_options *const o = t->options;
	const int version =
		o->min_version == TLS_AT_LEAST_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (SSL_CTX_set_min_proto_version(t->context, version) != 1)
		return log_trouble("the TLS library does not have this version", NULL);
	if (SSL_CTX_set1_groups_list(t->context, groups()) != 1)
		return log_trouble("the TLS library does not have these groups", NULL);
	if (SSL_CTX_set_cipher_list(
		    t->context, o->ciphers != NULL ? o->ciphers : DEFAULT_CIPHERS) != 1)
		return log_trouble("no such ciphers", o->ciphers);
	if (o->ciphersuites != NULL &&
		SSL_CTX_set_ciphersuites(t->context, o->ciphersuites) != 1)
		return log_trouble("no such ciphersuites", o->ciphersuites);
	return true;
}

/* A session of another process is resumed only if that process demands the same client
 * certificates: a ticket must not replace a certificate (CVE-2025-23419). */
static bool bind_sessions(struct tls *t)
{
	static const unsigned char anyone[] = "pop3d-tls";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	const struct file_octets *const ca = &t->material->client_ca;

	if (ca->data == NULL)
		return SSL_CTX_set_session_id_context(t->context, anyone, sizeof anyone - 1) ==
		       1;
	if (EVP_Digest(ca->data, ca->length, digest, &length, EVP_sha256(), NULL) != 1)
		return false;
	digest[0] = t->options->require_client_cert;
	return SSL_CTX_set_session_id_context(t->context, digest, length) == 1;
}

static bool trust_authority(SSL_CTX *context, X509 *authority)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1 &&
	       SSL_CTX_add_client_CA(context, authority) == 1;
}

static bool set_client_authorities(struct tls *t)
{
	const struct file_octets *const ca = &t->material->client_ca;
	BIO *const memory = BIO_new_mem_buf(ca->data, (int)ca->length);
	const int require =
		t->options->require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
	X509 *authority;
	size_t count = 0;
	bool good = memory != NULL;

	while (good && (authority = pem_read_certificate(t->library, memory)) != NULL) {
		good = trust_authority(t->context, authority);
		X509_free(authority);
		count++;
	}
	ERR_clear_error(); /* the end of the file is one */
	BIO_free(memory);
	if (!good || count == 0)
		return log_trouble("no certificates of authorities", t->options->client_ca);
	SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER | require, NULL);
	return true;
}

static bool make_context(struct tls *t)
{
	t->context = SSL_CTX_new_ex(t->library,
		t->library == NULL ? TLS_ALGORITHMS_MENDED : NULL, TLS_server_method());
	if (t->context == NULL)
		return log_trouble("the TLS library does not start", NULL);
	set_defaults(t);
	if (!set_strength(t) || (t->configured && !configuration_apply(t)) || !bind_sessions(t))
		return false;
	/* the file may have asked for less */
	if (t->configured)
		set_defaults(t);
	if (t->material->client_ca.data != NULL && !set_client_authorities(t))
		return false;
	tls_cert_attach(t);
	tls_session_attach(t);
	return true;
}

/* A write for several records costs half as much as one for each. */
static bool gather_records(SSL *ssl)
{
	BIO *const buffer = BIO_new(BIO_f_buffer());
	BIO *const client = BIO_new_socket(1, BIO_NOCLOSE);

	if (buffer == NULL || client == NULL ||
		BIO_set_write_buffer_size(buffer, GATHERED_OCTETS) != 1)
		return false;
	SSL_set0_wbio(ssl, BIO_push(buffer, client));
	return true;
}

/* Whether the algorithms are known before the handshake. Certificates of clients can have any.
 */
static bool is_ordinary(const struct tls *t)
{
	const struct tls_options *const o = t->options;

	return !t->configured && o->ciphers == NULL && o->ciphersuites == NULL &&
	       o->client_ca == NULL;
}

/* The digests that the library looks for by a number: those that sign certificates. */
static bool add_digests(void)
{
	return EVP_add_digest(EVP_sha1()) == 1 && EVP_add_digest(EVP_sha224()) == 1 &&
	       EVP_add_digest(EVP_sha256()) == 1 && EVP_add_digest(EVP_sha384()) == 1 &&
	       EVP_add_digest(EVP_sha512()) == 1;
}

/* Starts the library. Texts of errors and names of old algorithms are not needed. */
static bool start_library(struct tls *t)
{
	const bool ordinary = is_ordinary(t);
	const uint64_t without = OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
				 OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
				 (t->configured ? 0 : OPENSSL_INIT_NO_LOAD_CONFIG) |
				 (ordinary ? OPENSSL_INIT_NO_ADD_ALL_DIGESTS : 0);

	if (OPENSSL_init_ssl(without, NULL) != 1 || (ordinary && !add_digests()))
		return log_trouble("the TLS library does not start",
			t->configured ? "see OpenSSL's configuration file" : NULL);
	if (ordinary)
		t->library =
			tls_algorithms_open(t->options->cert_dir == NULL ? t->material : NULL);
	if (t->library == NULL && !tls_algorithms_mend())
		return log_trouble("the TLS library does not start", NULL);
	return true;
}

bool tls_prepare(struct tls *t)
{
	if (!tls_memory_begin())
		return log_trouble("the TLS library does not start", NULL);
	t->configured = configuration_is_wanted();
	return !t->configured || (start_library(t) && make_context(t));
}

bool tls_open(struct tls *t)
{
	if (t->context == NULL && (!start_library(t) || !make_context(t)))
		return false;
	t->ssl = SSL_new(t->context);
	if (t->ssl == NULL || SSL_set_rfd(t->ssl, 0) != 1 || !gather_records(t->ssl))
		return log_trouble("the TLS library does not start", NULL);
	SSL_set_app_data(t->ssl, t);
	return true;
}

enum tls_verdict tls_handshake(
	struct tls *t, int64_t deadline_ms, char *reason, size_t capacity)
{
	const struct pollfd in = {.fd = 0, .events = POLLIN},
			    out = {.fd = 1, .events = POLLOUT};

	for (;;) {
		struct pollfd polled;
		int done, ssl_error;

		ERR_clear_error();
		errno = 0;
		done = SSL_accept(t->ssl);
		if (done == 1) {
			t->established = true;
			return TLS_ESTABLISHED;
		}
		ssl_error = SSL_get_error(t->ssl, done);
		if (t->misconfigured)
			return TLS_MISCONFIGURED;
		if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE) {
			tls_report_failure(t, ssl_error, errno, reason, capacity);
			return TLS_REFUSED;
		}
		polled = ssl_error == SSL_ERROR_WANT_READ ? in : out;
		if (!wait_until_ready(&polled, 1, deadline_ms)) {
			snprintf(reason, capacity, "timeout");
			return TLS_TIMEOUT;
		}
	}
}

bool tls_has_input(const struct tls *t)
{
	return BIO_number_read(SSL_get_rbio(t->ssl)) > 0;
}

static __attribute__((noinline)) void wipe_near_stack(void)
{
	char below[NEAR_OCTETS];

	explicit_bzero(below, sizeof below);
}

static __attribute__((noinline)) void wipe_stack(void)
{
	char below[STACK_OCTETS];

	explicit_bzero(below, sizeof below);
}

/* The library wipes the memory that it allocates, but not all of its stack. The kernel takes
 * back the pages, which the rest of the session does not need, so that wiping touches no new
 * ones. */
static __attribute__((noinline)) void forget_stack(void)
{
	const uintptr_t near = (uintptr_t)__builtin_frame_address(0) - NEAR_OCTETS / 2;
	const uintptr_t end = near & ~(uintptr_t)(PAGE_OCTETS - 1);

	wipe_near_stack();
	if (getauxval(AT_PAGESZ) != PAGE_OCTETS ||
		madvise((void *)(end - STACK_OCTETS), STACK_OCTETS, MADV_DONTNEED) != 0)
		wipe_stack();
}

void tls_forget_keys(struct tls *t)
{
	if (t->ssl != NULL)
		SSL_certs_clear(t->ssl);
	tls_material_forget(t->material);
	forget_stack();
#ifdef __GLIBC__
	malloc_trim(
		0); /* what the handshake needed is a tenth of the memory of an idle session */
#endif
}
