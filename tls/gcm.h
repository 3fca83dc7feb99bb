/* gcm: AES-GCM that keeps nothing of what it decrypted.
 *
 * The library's code for processors with VAES and AVX-512 (OpenSSL 3.1 and later) works on the
 * incomplete last block of a message in the cipher's context. That leaves up to 15 octets of
 * each received record there until the next record comes: the end of a password stays as long
 * as the client is silent. */
#ifndef TLS_GCM_H
#define TLS_GCM_H

#include <openssl/core.h>
#include <stdbool.h>

/* Makes an algorithm that works as the given one, an AES-GCM of the library's default provider,
 * and overwrites that block after each message that it decrypts. own is valid as long as given
 * is. Of all contexts only the one that began to decrypt last is cleaned: a process serves one
 * connection, which has one at a time. Returns false if this is not an algorithm of the kind
 * that was given at the first call, or more than four were given; *own is undefined then. */
bool gcm_wrap(const OSSL_ALGORITHM *given, OSSL_ALGORITHM *own);

#endif
