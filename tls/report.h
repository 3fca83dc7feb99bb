/* report: describes a connection to the program and in the log. */
#ifndef TLS_REPORT_H
#define TLS_REPORT_H

#include "tls/tls.h"

/* Writes the variables that describe the connection, NAME=value, each ended by NUL. Returns
 * their length. Values from the client that contain other characters than a variable may are
 * left out. */
size_t tls_report_variables(const struct tls *t, char *variables, size_t capacity);

/* Writes why a handshake failed to reason; error_number is errno at the time of the failure. */
void tls_report_failure(
	const struct tls *t, int ssl_error, int error_number, char *reason, size_t capacity);

/* Logs the protocol and cipher that were agreed on. */
void tls_report_agreement(const struct tls *t, const char *ip);

#endif
