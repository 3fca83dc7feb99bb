/* ucspi: UCSPI-TLS: the program that started this one does TLS when it is asked to. */
#ifndef UCSPI_H
#define UCSPI_H

#include <stdbool.h>

/* Where the descriptors of SSLCTLFD, SSLREADFD and SSLWRITEFD are after ucspi_take. */
#define UCSPI_CONTROL_FD 10
#define UCSPI_READ_FD 11
#define UCSPI_WRITE_FD 12

/* What the variable UCSPITLS asks for. */
enum ucspi_wish {
	UCSPI_NONE,   /* TLS is not available and not demanded, or "-": do not offer it */
	UCSPI_OFFER,  /* empty or not set */
	UCSPI_DEMAND, /* "!" */
	UCSPI_LACK,   /* "!", but TLS is not available: nobody may log in in clear text */
};

/* Looks for the three descriptors in the environment. If they are open, and not standard
 * descriptors, moves them (close-on-exec). Returns what to do with them. */
enum ucspi_wish ucspi_take(void);

/* Asks for TLS with one octet, y; there is no answer. Replaces descriptors 0 and 1 by the
 * protected ones and closes the three. The caller must have discarded everything that was
 * received in clear text. Returns false with errno; the connection cannot be used then. */
bool ucspi_start_tls(void);

#endif
