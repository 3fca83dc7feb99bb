/* name: the name that a client asks for (SNI, RFC 6066 section 3), which is hostile until
 * it was looked at. */
#ifndef TLS_NAME_H
#define TLS_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_NAME_OCTETS 253

/* Writes the name in lower case. False where it is not one: labels of letters, digits, hyphen
 * and underscore, with a dot between two of them. So nothing that passes is a path. */
bool tls_name_take(char name[TLS_NAME_OCTETS + 1], const char *text, size_t length);

/* Writes the name of the file that holds the certificate of all hosts beside name: "_." and
 * what is behind its first label. False for a name of one label. */
bool tls_name_wildcard(char wildcard[TLS_NAME_OCTETS + 1], const char *name);

#endif
