/* name: the host name that a client asks for (SNI, RFC 6066 section 3). It is untrusted until
 * it is checked here. */
#ifndef TLS_NAME_H
#define TLS_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_NAME_OCTETS 253

/* Writes the name in lower case. A name consists of labels of letters, digits, hyphens and
 * underscores, with a dot between two labels; so it is never a path. Returns false for anything
 * else. */
bool tls_name_take(char name[TLS_NAME_OCTETS + 1], const char *text, size_t length);

/* Writes the file name of the wildcard certificate for name: "_." and everything after the
 * first label. Returns false for a name of one label. */
bool tls_name_wildcard(char wildcard[TLS_NAME_OCTETS + 1], const char *name);

#endif
