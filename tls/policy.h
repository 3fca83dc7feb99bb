/* policy: what OpenSSL's configuration file says of TLS.
 *
 * An administrator can set there what all programs with OpenSSL allow (config(5ssl)). The
 * library takes as long for reading the file as for a resumed handshake, and most files say
 * nothing that pop3d-tls does not do anyway. So the file is first looked at here. */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether pop3d-tls, without the file, allows no more than the file does: it configures no
 * module of the library, or only the default provider, and for TLS only versions before 1.3 and
 * the library's own default of ciphers, to level 2 (SSL_CONF_cmd(3ssl)). A file that this
 * function does not understand in full is answered with false. The text need not end in NUL. */
bool policy_is_exceeded(const char *text, size_t length);

#endif
