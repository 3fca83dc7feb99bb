/* tls: the server side of TLS for one connection. */
#ifndef TLS_H
#define TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/material.h"
#include "tls/options.h"

struct tls {
	const struct tls_options *options;
	struct tls_material *material;
	int files;             /* the gate of a keeper, for --cert-dir, or -1 */
	OSSL_LIB_CTX *library; /* see algorithms.h; NULL: all that the library has */
	bool configured;       /* by OpenSSL's configuration file as well */
	SSL_CTX *context;
	SSL *ssl;
	bool cert_chosen;
	bool misconfigured; /* logged; nothing more is sent to the client */
	/* handshake messages that came after the handshake */
	bool established;
	uint64_t late_messages;
};

enum tls_verdict {
	TLS_ESTABLISHED,
	TLS_REFUSED, /* by either side, or broken off */
	TLS_NOT_BEGUN,
	TLS_TIMEOUT,
	TLS_MISCONFIGURED
};

/* Before the sandbox: if OpenSSL's configuration file asks for more than this program does by
 * itself, starts the library as the file says, since files must be read for that. The material
 * must have been read. Returns false after a log line. */
bool tls_prepare(struct tls *t);

/* Prepares TLS with the material. Returns false after a log line. */
bool tls_open(struct tls *t);

/* Does the handshake on descriptors 0 and 1, which must not block. If it fails, writes why to
 * reason; TLS_MISCONFIGURED is logged instead. */
enum tls_verdict tls_handshake(
	struct tls *t, int64_t deadline_ms, char *reason, size_t capacity);

/* Whether the client has sent an octet. */
bool tls_has_input(const struct tls *t);

/* Forgets the keys of the server: after the handshake they are not needed. */
void tls_forget_keys(struct tls *t);

#endif
