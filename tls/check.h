/* check: pop3d-tls --check: whether certificates, keys and tickets are good. */
#ifndef TLS_CHECK_H
#define TLS_CHECK_H

#include "tls/options.h"

/* Puts a finding for everything that the options name (see os/finding.h). Returns the worst,
 * which is the exit status. */
int tls_check(const struct tls_options *o);

#endif
