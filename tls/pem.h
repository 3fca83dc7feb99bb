/* pem: reads certificates and keys in PEM form. */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "os/file.h"

/* library: whose algorithms the keys are for (see algorithms.h), or NULL. */

/* The next certificate, or NULL. The caller frees it. */
X509 *pem_read_certificate(OSSL_LIB_CTX *library, BIO *memory);

/* The first certificate alone, or NULL. The caller frees it. */
X509 *pem_read_leaf(OSSL_LIB_CTX *library, const struct file_octets *pem);

/* The first certificate, and the others (the chain) in *rest. NULL if there is none or no
 * memory. The caller frees both. */
X509 *pem_read_certificates(
	OSSL_LIB_CTX *library, const struct file_octets *pem, STACK_OF(X509) * *rest);

/* The first private key, or NULL, also if it has a password. The caller frees it. */
EVP_PKEY *pem_read_key(OSSL_LIB_CTX *library, const struct file_octets *pem);

#define PEM_NOT_YET "not valid yet"
#define PEM_EXPIRED "expired"
#define PEM_SOON "expires soon"

/* Which of the three is so at this time, or NULL. *left_days is how long the certificate is
 * still valid. */
const char *pem_date_problem(const X509 *leaf, int *left_days);

#endif
