/* material: the files that the engine reads before it confines itself. Their contents are not
 * parsed here, and the owner wipes them. */
#ifndef TLS_MATERIAL_H
#define TLS_MATERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "os/file.h"
#include "tls/options.h"
#include "tls/ticket.h"

struct tls_material_pair {
	struct file_octets cert, key, ocsp; /* without a key, cert holds it as well */
};

struct tls_material {
	struct tls_material_pair pairs[TLS_PAIRS];
	size_t pair_count;
	struct file_octets client_ca;
	struct ticket_keys tickets; /* none: no tickets */
};

/* Reads all files that the options name. If the ticket keys cannot be used, there are none.
 * Returns false after a log line, and keeps nothing then. */
bool tls_material_read(struct tls_material *m, const struct tls_options *o);

/* Logs a warning if users other than the owner and the group may use a file with a private key.
 */
void tls_material_warn_exposed(const char *path, const struct stat *st);

/* Wipes and frees everything: after the handshake none of it is needed. */
void tls_material_forget(struct tls_material *m);

#endif
