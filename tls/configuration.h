/* configuration: OpenSSL's configuration file, as an administrator edits it. */
#ifndef TLS_CONFIGURATION_H
#define TLS_CONFIGURATION_H

#include "tls/tls.h"

/* Whether the file, if there is one, asks for more than pop3d-tls does anyway. The library must
 * not have been started. */
bool configuration_is_wanted(void);

/* Adds what the library has read in the file to a context that has the settings of this
 * program: of versions and ciphers those are allowed that both allow. Options of the command
 * line come last. Returns false after a log line. */
bool configuration_apply(const struct tls *t);

#endif
