/* report: what is said of a connection, to the program and to the log. */
#ifndef TLS_REPORT_H
#define TLS_REPORT_H

#include "tls/tls.h"

/* Writes the variables that describe the connection, NAME=value, each ended by NUL. Returns
 * their length. What a client chose and cannot stand there is left out. */
size_t tls_report_variables(const struct tls *t, char *variables, size_t capacity);

/* Writes in words why a handshake failed; error_number is errno at that time. */
void tls_report_failure(
	const struct tls *t, int ssl_error, int error_number, char *reason, size_t capacity);

/* Logs what was agreed on. */
void tls_report_agreement(const struct tls *t, const char *ip);

#endif
