/* glibc_calls: what the system's libcrypt.a calls and musl does not have, beside the functions
 * in os/musl.
 *
 * The archive was compiled for the system's C library. libcrypt needs little of it: memory,
 * strings, errno, and these functions, all of which look the same to it in musl. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *octets, size_t length);

/* Salts are made of these octets: without randomness there must be none. */
void arc4random_buf(void *octets, size_t length)
{
	char *at = octets;

	while (length > 0) {
		const ssize_t got = getrandom(at, length, 0);

		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			at += got;
			length -= (size_t)got;
		}
	}
}
