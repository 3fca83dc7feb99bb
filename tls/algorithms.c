/* algorithms: see algorithms.h.
 *
 * The context has one provider, which is defined here. Its algorithms are those of the
 * library's default provider, less the ones that no connection uses. */
#include "tls/algorithms.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* More than a table of a later version is expected to keep. */
#define KEPT 256

/* A kind of algorithms. The first name of an algorithm says whether it is kept. */
struct kind {
	int operation;
	const char *const *only;    /* if set: these are kept */
	const char *const *without; /* if set: all but these are kept */
};

/* For the default ciphers, the tickets, and the random numbers. The digests are those of
 * signatures and, SHAKE, of some kinds of keys. */
static const char *const ciphers[] = {"AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305",
	"AES-256-CBC", "AES-256-CTR", "AES-256-ECB", NULL};
static const char *const digests[] = {"SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512",
	"MD5-SHA1", "SHA3-256", "SHA3-512", "SHAKE-128", "SHAKE-256", NULL};
static const char *const macs[] = {"HMAC", NULL};
static const char *const derivations[] = {"HKDF", "TLS13-KDF", "TLS1-PRF", NULL};
static const char *const randoms[] = {"CTR-DRBG", "SEED-SRC", NULL};
/* No certificate of a TLS server has such a key. */
static const char *const no_keys[] = {"DH", "DHX", "DSA", "SM2", "X25519", "X448", NULL};
static const char *const no_managers[] = {
	"DH", "DHX", "DSA", "SM2", "SIPHASH", "POLY1305", "CMAC", "SCRYPT", NULL};

static const struct kind kinds[] = {
	{OSSL_OP_CIPHER, ciphers, NULL},
	{OSSL_OP_DIGEST, digests, NULL},
	{OSSL_OP_MAC, macs, NULL},
	{OSSL_OP_KDF, derivations, NULL},
	{OSSL_OP_RAND, randoms, NULL},
	{OSSL_OP_KEYMGMT, NULL, no_managers},
	{OSSL_OP_DECODER, NULL, no_keys},
	{OSSL_OP_SIGNATURE, NULL, no_managers},
	{OSSL_OP_KEYEXCH, NULL, no_managers},
	{OSSL_OP_ASYM_CIPHER, NULL, no_managers},
};

static struct {
	const OSSL_PROVIDER *all; /* the library's default provider */
	OSSL_ALGORITHM kept[COUNT(kinds)][KEPT + 1];
} selection;

/* Names are separated by colons. */
static bool is_first_name(const char *names, const char *name)
{
	const size_t length = strlen(name);

	return strncmp(names, name, length) == 0 &&
	       (names[length] == ':' || names[length] == '\0');
}

static bool is_listed(const char *names, const char *const *list)
{
	for (; *list != NULL; list++)
		if (is_first_name(names, *list))
			return true;
	return false;
}

static bool is_kept(const struct kind *kind, const char *names)
{
	return (kind->only == NULL || is_listed(names, kind->only)) &&
	       (kind->without == NULL || !is_listed(names, kind->without));
}

/* Returns false if the library has more than there is room for. */
static bool select_kind(const struct kind *kind, OSSL_ALGORITHM *kept)
{
	int no_cache;
	const OSSL_ALGORITHM *each =
		OSSL_PROVIDER_query_operation(selection.all, kind->operation, &no_cache);
	size_t count = 0;

	for (; each != NULL && each->algorithm_names != NULL; each++)
		if (is_kept(kind, each->algorithm_names)) {
			if (count == KEPT)
				return false;
			kept[count++] = *each;
		}
	return true;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].operation == operation)
			return selection.kept[i];
	return OSSL_PROVIDER_query_operation(selection.all, operation, no_cache);
}

/* The groups of TLS are a capability of the provider. */
static int get_capabilities(
	void *context, const char *capability, OSSL_CALLBACK *callback, void *argument)
{
	(void)context;
	return OSSL_PROVIDER_get_capabilities(selection.all, capability, callback, argument);
}

/* The algorithms work with what the default provider made at its own start. */
static int begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
		{0, NULL}};

	(void)handle;
	(void)in;
	*out = functions;
	*context = OSSL_PROVIDER_get0_provider_ctx(selection.all);
	return 1;
}

/* An algorithm in use keeps its provider alive after the context has dropped it. */
static bool hold_default(OSSL_LIB_CTX *context)
{
	const EVP_RAND *const held = EVP_RAND_fetch(context, "SEED-SRC", NULL);

	selection.all = held != NULL ? EVP_RAND_get0_provider(held) : NULL;
	return selection.all != NULL;
}

static bool select_all(void)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!select_kind(&kinds[i], selection.kept[i]))
			return false;
	return true;
}

OSSL_LIB_CTX *tls_algorithms_open(void)
{
	OSSL_LIB_CTX *const context = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *const all =
		context != NULL ? OSSL_PROVIDER_load(context, "default") : NULL;

	if (all != NULL && hold_default(context) && select_all() &&
		OSSL_PROVIDER_add_builtin(context, "pop3d", begin) == 1 &&
		OSSL_PROVIDER_unload(all) == 1 && OSSL_PROVIDER_load(context, "pop3d") != NULL)
		return context;
	ERR_clear_error();
	return NULL;
}
