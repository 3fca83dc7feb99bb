/* algorithms: see algorithms.h.
 *
 * A context of its own has one provider, which is defined here. Its algorithms are those of the
 * library's default provider, less the ones that no connection uses. The library's context gets
 * another one, for AES-GCM alone. */
#include "tls/algorithms.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tls/gcm.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* More than the tables of a later version are expected to keep. */
#define KEPT 512

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

/* A kind of key that certificates of servers have, and how it is named where one is: by an
 * object identifier (RFC 3279, 8410), or by the label of an older file of a key. */
struct key_kind {
	const char *name, *label;
	unsigned char id[12]; /* with its tag and length */
};

static const struct key_kind key_kinds[] = {
	{"RSA", "RSA PRIVATE KEY", "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"},
	{"RSA-PSS", NULL, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"},
	{"EC", "EC PRIVATE KEY", "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"},
	{"ED25519", NULL, "\x06\x03\x2b\x65\x70"},
	{"ED448", NULL, "\x06\x03\x2b\x65\x71"},
};

/* The property of those in the library's context. Names of properties that the library does not
 * know have a dot. */
#define MENDED "pop3d.mended=yes"

/* Those that gcm.h mends. */
static const char *const mended[] = {"AES-256-GCM", "AES-128-GCM", NULL};

static struct {
	const OSSL_PROVIDER
		*all;         /* that they are from: the library's default provider, mostly */
	char properties[128]; /* of those that are mended in the library's context */
	const struct tls_material *material;
	bool key_occurs[COUNT(key_kinds)];
	bool selected[COUNT(kinds)]; /* those that the library has asked for */
	const OSSL_ALGORITHM *of_kind[COUNT(kinds)];
	OSSL_ALGORITHM kept[KEPT]; /* one kind after the other */
	size_t count;
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

static bool holds(const unsigned char *octets, size_t length, const struct key_kind *key)
{
	return memmem(octets, length, key->id, 2U + key->id[1]) != NULL;
}

static void note_keys(const char *label, const unsigned char *octets, size_t length)
{
	for (size_t i = 0; i < COUNT(key_kinds); i++)
		if ((key_kinds[i].label != NULL && strcmp(label, key_kinds[i].label) == 0) ||
			holds(octets, length, &key_kinds[i]))
			selection.key_occurs[i] = true;
}

/* Notes the kinds of keys in a file of certificates or keys. */
static void note_file(const struct file_octets *pem)
{
	BIO *const memory =
		pem->data != NULL ? BIO_new_mem_buf(pem->data, (int)pem->length) : NULL;
	char *label, *header;
	unsigned char *octets;
	long length;

	while (memory != NULL && PEM_read_bio(memory, &label, &header, &octets, &length) == 1) {
		note_keys(label, octets, (size_t)length);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(octets, (size_t)length);
	}
	BIO_free(memory);
}

static void note_all_files(void)
{
	const struct tls_material *const m = selection.material;

	for (size_t i = 0; i < COUNT(key_kinds); i++)
		selection.key_occurs[i] = m == NULL;
	ERR_set_mark();
	for (size_t i = 0; m != NULL && i < m->pair_count; i++) {
		note_file(&m->pairs[i].cert);
		note_file(&m->pairs[i].key);
	}
	ERR_pop_to_mark(); /* the end of a file is an error */
}

/* Whether it decodes keys that do not occur. */
static bool is_idle_decoder(const OSSL_ALGORITHM *algorithm)
{
	for (size_t i = 0; i < COUNT(key_kinds); i++)
		if (!selection.key_occurs[i] &&
			is_first_name(algorithm->algorithm_names, key_kinds[i].name))
			return true;
	return false;
}

static bool is_kept(const struct kind *kind, const OSSL_ALGORITHM *algorithm)
{
	const char *const names = algorithm->algorithm_names;

	return (kind->only == NULL || is_listed(names, kind->only)) &&
	       (kind->without == NULL || !is_listed(names, kind->without)) &&
	       (kind->operation != OSSL_OP_DECODER || !is_idle_decoder(algorithm));
}

/* Returns false if a cipher that leaves plaintext behind cannot be mended: a connection uses
 * another one then. */
static bool take(const struct kind *kind, const OSSL_ALGORITHM *given, OSSL_ALGORITHM *own)
{
	if (kind->operation == OSSL_OP_CIPHER && is_listed(given->algorithm_names, mended))
		return gcm_wrap(given, own);
	*own = *given;
	return true;
}

/* If there is no room, the library gets all of the kind. */
static const OSSL_ALGORITHM *select_kind(const struct kind *kind, int *no_cache)
{
	const OSSL_ALGORITHM *const all =
		OSSL_PROVIDER_query_operation(selection.all, kind->operation, no_cache);
	OSSL_ALGORITHM *const first = selection.kept + selection.count;

	if (selection.count >= KEPT)
		return all;
	for (const OSSL_ALGORITHM *each = all; each != NULL && each->algorithm_names != NULL;
		each++) {
		if (!is_kept(kind, each))
			continue;
		/* one place is for the end, which is zero */
		if (selection.count + 1 >= KEPT)
			return all;
		selection.count += take(kind, each, &selection.kept[selection.count]);
	}
	selection.count++;
	return first;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (kinds[i].operation != operation)
			continue;
		if (!selection.selected[i]) {
			if (operation == OSSL_OP_DECODER)
				note_all_files();
			selection.selected[i] = true;
			selection.of_kind[i] = select_kind(&kinds[i], no_cache);
		}
		return selection.of_kind[i];
	}
	return OSSL_PROVIDER_query_operation(selection.all, operation, no_cache);
}

/* How the names of groups begin that are not offered in any case. */
static const char *const no_groups[] = {
	"sect", "secp160", "secp192", "secp224", "secp256k1", "brainpool", "ffdhe", NULL};

/* Where the library wants to have the groups. */
struct group_taker {
	OSSL_CALLBACK *callback;
	void *argument;
};

static int take_group(const OSSL_PARAM parameters[], void *argument)
{
	const struct group_taker *const taker = argument;
	const OSSL_PARAM *const name =
		OSSL_PARAM_locate_const(parameters, OSSL_CAPABILITY_TLS_GROUP_NAME);
	const char *text;

	if (name != NULL && OSSL_PARAM_get_utf8_string_ptr(name, &text) == 1)
		for (const char *const *no = no_groups; *no != NULL; no++)
			if (strncmp(text, *no, strlen(*no)) == 0)
				return 1;
	return taker->callback(parameters, taker->argument);
}

/* The groups of TLS are a capability of the provider. */
static int get_capabilities(
	void *context, const char *capability, OSSL_CALLBACK *callback, void *argument)
{
	struct group_taker taker = {callback, argument};

	(void)context;
	if (strcmp(capability, "TLS-GROUP") != 0)
		return OSSL_PROVIDER_get_capabilities(
			selection.all, capability, callback, argument);
	return OSSL_PROVIDER_get_capabilities(selection.all, capability, take_group, &taker);
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

OSSL_LIB_CTX *tls_algorithms_open(const struct tls_material *material)
{
	OSSL_LIB_CTX *const context = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *const all =
		context != NULL ? OSSL_PROVIDER_load(context, "default") : NULL;

	selection.material = material;
	if (all != NULL && hold_default(context) &&
		OSSL_PROVIDER_add_builtin(context, "pop3d", begin) == 1 &&
		OSSL_PROVIDER_unload(all) == 1 && OSSL_PROVIDER_load(context, "pop3d") != NULL)
		return context;
	ERR_clear_error();
	return NULL;
}

static const OSSL_ALGORITHM *query_mended(void *context, int operation, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	return operation == OSSL_OP_CIPHER ? selection.kept : NULL;
}

static int begin_mended(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query_mended}, {0, NULL}};

	(void)handle;
	(void)in;
	*out = functions;
	*context = OSSL_PROVIDER_get0_provider_ctx(selection.all);
	return 1;
}

/* A mended cipher keeps the properties of the given one, by which an administrator may have
 * chosen that. */
static bool set_properties(OSSL_ALGORITHM *own)
{
	const char *const given = own->property_definition;
	const int length = snprintf(selection.properties, sizeof selection.properties, "%s%s%s",
		given != NULL ? given : "", given != NULL && given[0] != '\0' ? "," : "",
		MENDED);

	own->property_definition = selection.properties;
	return length > 0 && (size_t)length < sizeof selection.properties;
}

static bool mend_ciphers(void)
{
	int no_cache;
	const OSSL_ALGORITHM *each =
		OSSL_PROVIDER_query_operation(selection.all, OSSL_OP_CIPHER, &no_cache);
	OSSL_ALGORITHM *own = selection.kept;

	for (; each != NULL && each->algorithm_names != NULL; each++)
		if (is_listed(each->algorithm_names, mended) && gcm_wrap(each, own) &&
			!set_properties(own++))
			return false;
	return true;
}

bool tls_algorithms_mend(void)
{
	EVP_CIPHER *const held = EVP_CIPHER_fetch(NULL, mended[0], NULL);

	if (held == NULL) { /* the administrator does not want it */
		ERR_clear_error();
		return true;
	}
	selection.all = EVP_CIPHER_get0_provider(held);
	if (!mend_ciphers() || OSSL_PROVIDER_add_builtin(NULL, "pop3d", begin_mended) != 1 ||
		OSSL_PROVIDER_try_load(NULL, "pop3d", 1) == NULL)
		return false;
	/* The library looks at a new provider only when what it has does not satisfy it. */
	if (EVP_CIPHER_fetch(NULL, mended[0], MENDED) == NULL)
		ERR_clear_error();
	return true;
}
