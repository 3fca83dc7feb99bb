/* resumption: see resumption.h. */
#include "tls/resumption.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

/* How long a ticket is valid: a client that polls hourly can resume, but not one that was away
 * over night. */
#define SESSION_SECONDS (4 * 60 * 60L)

/* The values that OpenSSL expects from the callback. */
enum { TICKET_ERROR = -1, TICKET_UNKNOWN = 0, TICKET_GOOD = 1, TICKET_GOOD_RENEW = 2 };

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(
						 OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* Prepares the cipher for a ticket, with random octets in iv if it is to be sealed. */
static bool set_cipher(OSSL_LIB_CTX *library, EVP_CIPHER_CTX *cipher, struct ticket_key *key,
	unsigned char *iv, int sealing)
{
	EVP_CIPHER *const kind = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
	const bool good =
		kind != NULL &&
		(!sealing || RAND_bytes_ex(library, iv, (size_t)EVP_CIPHER_get_iv_length(kind),
				     0) == 1) &&
		EVP_CipherInit_ex2(cipher, kind, key->cipher, iv, sealing, NULL) == 1;

	EVP_CIPHER_free(kind);
	return good;
}

static int seal_ticket(OSSL_LIB_CTX *library, struct ticket_key *key, unsigned char *name,
	unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	memcpy(name, key->name, sizeof key->name);
	if (!set_cipher(library, cipher, key, iv, 1) || !set_mac(mac, key))
		return TICKET_ERROR;
	return TICKET_GOOD;
}

static int unseal_ticket(OSSL_LIB_CTX *library, struct ticket_key *key, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (!set_cipher(library, cipher, key, iv, 0) || !set_mac(mac, key))
		return TICKET_ERROR;
	return TICKET_GOOD;
}

/* Seals a new ticket with the first key, or opens one with the key that it names. */
static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int sealing)
{
	struct tls *const t = SSL_get_app_data(ssl);
	struct ticket_keys *const tickets = &t->material->tickets;
	int result;

	if (sealing)
		return seal_ticket(t->library, &tickets->keys[0], name, iv, cipher, mac);
	for (size_t i = 0; i < tickets->count; i++) {
		struct ticket_key *const key = &tickets->keys[i];

		if (memcmp(key->name, name, sizeof key->name) != 0)
			continue;
		result = unseal_ticket(t->library, key, iv, cipher, mac);
		/* a ticket of TLS 1.3 is used once (RFC 8446 appendix C.4) */
		if (result == TICKET_GOOD && (i > 0 || SSL_version(ssl) >= TLS1_3_VERSION))
			return TICKET_GOOD_RENEW;
		return result;
	}
	return TICKET_UNKNOWN;
}

void tls_session_attach(struct tls *t)
{
	SSL_CTX *const c = t->context;

	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	if (t->material->tickets.count == 0) {
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(c, 0);
		return;
	}
	/* a POP3 client makes one connection at a time */
	SSL_CTX_set_num_tickets(c, 1);
	SSL_CTX_set_timeout(c, SESSION_SECONDS);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(c, use_key);
}
