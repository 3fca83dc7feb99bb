/* pem: see pem.h. */
#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* A certificate with less time left should have been renewed: days, and a part of its time. */
#define RENEWAL_DAYS 14
#define RENEWAL_PART 6

/* Nobody can be asked for the password of a key. */
static int no_password(char *buffer, int size, int writing, void *argument)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)argument;
	return -1;
}

X509 *pem_read_certificate(OSSL_LIB_CTX *library, BIO *memory)
{
	X509 *read = X509_new_ex(library, NULL);

	if (read != NULL && PEM_read_bio_X509(memory, &read, no_password, NULL) == NULL) {
		X509_free(read);
		return NULL;
	}
	return read;
}

X509 *pem_read_leaf(OSSL_LIB_CTX *library, const struct file_octets *pem)
{
	BIO *const memory = BIO_new_mem_buf(pem->data, (int)pem->length);
	X509 *const leaf = memory != NULL ? pem_read_certificate(library, memory) : NULL;

	BIO_free(memory);
	return leaf;
}

X509 *pem_read_certificates(
	OSSL_LIB_CTX *library, const struct file_octets *pem, STACK_OF(X509) * *rest)
{
	BIO *const memory = BIO_new_mem_buf(pem->data, (int)pem->length);
	X509 *const leaf = memory != NULL ? pem_read_certificate(library, memory) : NULL;
	X509 *next;

	*rest = sk_X509_new_null();
	while (leaf != NULL && *rest != NULL &&
		(next = pem_read_certificate(library, memory)) != NULL)
		if (sk_X509_push(*rest, next) == 0)
			X509_free(next);
	ERR_clear_error(); /* the end of the file is one */
	BIO_free(memory);
	return leaf;
}

EVP_PKEY *pem_read_key(OSSL_LIB_CTX *library, const struct file_octets *pem)
{
	BIO *const memory = BIO_new_mem_buf(pem->data, (int)pem->length);
	EVP_PKEY *const key = memory != NULL ? PEM_read_bio_PrivateKey_ex(memory, NULL,
						       no_password, NULL, library, NULL)
					     : NULL;

	BIO_free(memory);
	return key;
}

/* The days from one time to another, or from now if from is NULL; 0 if a time is not valid. A
 * part of a day counts as none. */
static int days_between(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days = 0, seconds = 0;

	return ASN1_TIME_diff(&days, &seconds, from, to) == 1 ? days : 0;
}

const char *pem_date_problem(const X509 *leaf, int *left_days)
{
	const ASN1_TIME *const from = X509_get0_notBefore(leaf), *const until =
									 X509_get0_notAfter(
										 leaf);
	const int part_days = days_between(from, until) / RENEWAL_PART;
	const int warned_days = part_days < RENEWAL_DAYS ? part_days : RENEWAL_DAYS;

	*left_days = days_between(NULL, until);
	if (X509_cmp_current_time(from) > 0)
		return PEM_NOT_YET;
	if (X509_cmp_current_time(until) < 0)
		return PEM_EXPIRED;
	return *left_days < warned_days ? PEM_SOON : NULL;
}
