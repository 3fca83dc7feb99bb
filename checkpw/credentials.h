/* credentials: login and password, as descriptor 3 has them. */
#ifndef PWCREDENTIALS_H
#define PWCREDENTIALS_H

#include <stddef.h>

#include "checkpw/status.h"

#define CREDENTIALS_FD 3
/* What the interface has room for, and what it has with tokens in place of passwords. */
#define CREDENTIALS_MAX 512
#define CREDENTIALS_TOKEN_MAX 13824

/* Holds what must be wiped; login and password point into data. */
struct credentials {
	char data[CREDENTIALS_TOKEN_MAX + 1];
	const char *login;
	const char *password;
};

/* Reads descriptor 3 to its end and closes it. More than most octets are refused. Whatever is
 * not PW_OK is logged. */
enum pw_status credentials_read(struct credentials *credentials, size_t most);

#endif
