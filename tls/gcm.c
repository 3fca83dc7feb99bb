/* gcm: see gcm.h. */
#include "tls/gcm.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define WRAPPED 4
/* More functions than a later version is expected to have. */
#define FUNCTIONS 64

/* The functions of the library that the own ones call. All its AES-GCM share them. */
struct functions {
	OSSL_FUNC_cipher_encrypt_init_fn *begin_encryption;
	OSSL_FUNC_cipher_decrypt_init_fn *begin_decryption;
	OSSL_FUNC_cipher_update_fn *update;
	OSSL_FUNC_cipher_final_fn *end;
	OSSL_FUNC_cipher_get_ctx_params_fn *get_params;
	OSSL_FUNC_cipher_set_ctx_params_fn *set_params;
};

static struct functions library;
static OSSL_DISPATCH tables[WRAPPED][FUNCTIONS + 1];
static size_t wrapped;

/* The context that began to decrypt last. */
static const void *decrypting;

/* Its next octets are a whole record of TLS 1.2. */
static bool has_whole_record;

/* Another message, of one octet, overwrites the block. It begins with the initialization vector
 * that is there, because TLS 1.2 sets a part of that only once. */
static int overwrite_block(void *context)
{
	unsigned char iv[EVP_MAX_IV_LENGTH] = {0}, octet = 0;
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, iv, sizeof iv), OSSL_PARAM_END};
	size_t length;

	return library.get_params(context, params) == 1 && OSSL_PARAM_modified(params) == 1 &&
	       library.begin_decryption(context, NULL, 0, iv, params[0].return_size, NULL) ==
		       1 &&
	       library.update(context, &octet, &length, sizeof octet, &octet, sizeof octet) ==
		       1;
}

static int begin_encryption(void *context, const unsigned char *key, size_t key_length,
	const unsigned char *iv, size_t iv_length, const OSSL_PARAM params[])
{
	if (context == decrypting)
		decrypting = NULL;
	return library.begin_encryption(context, key, key_length, iv, iv_length, params);
}

static int begin_decryption(void *context, const unsigned char *key, size_t key_length,
	const unsigned char *iv, size_t iv_length, const OSSL_PARAM params[])
{
	decrypting = context;
	has_whole_record = false;
	return library.begin_decryption(context, key, key_length, iv, iv_length, params);
}

/* TLS 1.3 ends each record with this. */
static int end(void *context, unsigned char *out, size_t *length, size_t room)
{
	const int done = library.end(context, out, length, room);

	if (context == decrypting && overwrite_block(context) != 1)
		return 0;
	return done;
}

/* TLS 1.2 announces each record with its header, and gives it as a whole. */
static int set_params(void *context, const OSSL_PARAM params[])
{
	if (context == decrypting &&
		OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TLS1_AAD) != NULL)
		has_whole_record = true;
	return library.set_params(context, params);
}

static int update(void *context, unsigned char *out, size_t *length, size_t room,
	const unsigned char *in, size_t in_length)
{
	const int done = library.update(context, out, length, room, in, in_length);

	if (context != decrypting || !has_whole_record)
		return done;
	has_whole_record = false;
	return overwrite_block(context) == 1 ? done : 0;
}

/* Notes the library's function, if it is one of those above, and returns what stands for it. */
static OSSL_DISPATCH replace(OSSL_DISPATCH given, struct functions *found)
{
	switch (given.function_id) {
	case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
		found->begin_encryption = OSSL_FUNC_cipher_encrypt_init(&given);
		given.function = (void (*)(void))begin_encryption;
		break;
	case OSSL_FUNC_CIPHER_DECRYPT_INIT:
		found->begin_decryption = OSSL_FUNC_cipher_decrypt_init(&given);
		given.function = (void (*)(void))begin_decryption;
		break;
	case OSSL_FUNC_CIPHER_UPDATE:
		found->update = OSSL_FUNC_cipher_update(&given);
		given.function = (void (*)(void))update;
		break;
	case OSSL_FUNC_CIPHER_FINAL:
		found->end = OSSL_FUNC_cipher_final(&given);
		given.function = (void (*)(void))end;
		break;
	case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
		found->get_params = OSSL_FUNC_cipher_get_ctx_params(&given);
		break;
	case OSSL_FUNC_CIPHER_SET_CTX_PARAMS:
		found->set_params = OSSL_FUNC_cipher_set_ctx_params(&given);
		given.function = (void (*)(void))set_params;
		break;
	default: break;
	}
	return given;
}

static bool is_complete(const struct functions *f)
{
	return f->begin_encryption != NULL && f->begin_decryption != NULL &&
	       f->update != NULL && f->end != NULL && f->get_params != NULL &&
	       f->set_params != NULL;
}

bool gcm_wrap(const OSSL_ALGORITHM *given, OSSL_ALGORITHM *own)
{
	const OSSL_DISPATCH *const theirs = given->implementation;
	struct functions found = {0};
	size_t count = 0;

	if (wrapped == COUNT(tables))
		return false;
	for (; theirs[count].function_id != 0; count++) {
		if (count == FUNCTIONS)
			return false;
		tables[wrapped][count] = replace(theirs[count], &found);
	}
	tables[wrapped][count] = theirs[count];
	if (!is_complete(&found) ||
		(wrapped > 0 && memcmp(&found, &library, sizeof found) != 0))
		return false;
	library = found;
	*own = *given;
	own->implementation = tables[wrapped++];
	return true;
}
