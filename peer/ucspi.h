/* ucspi: UCSPI-TLS: the program above this one does TLS when it is asked to. */
#ifndef UCSPI_H
#define UCSPI_H

#include <stdbool.h>

/* Where the descriptors of SSLCTLFD, SSLREADFD and SSLWRITEFD are after ucspi_take. */
#define UCSPI_CONTROL_FD 10
#define UCSPI_READ_FD 11
#define UCSPI_WRITE_FD 12

/* What the variable UCSPITLS asks for. */
enum ucspi_wish {
	UCSPI_NONE,   /* no TLS to be had and none demanded, or "-": not to be offered */
	UCSPI_OFFER,  /* empty or not set */
	UCSPI_DEMAND, /* "!" */
	UCSPI_LACK,   /* "!", and no TLS to be had: nobody may log in in clear */
};

/* Looks for the three descriptors in the environment; where they are open, and none of the
 * standard ones, moves them (close-on-exec). Returns what to do with them. */
enum ucspi_wish ucspi_take(void);

/* Asks for TLS (one octet, y, and no answer), and makes descriptors 0 and 1 the protected ones;
 * the three are closed. Everything received in clear must have been thrown away. Returns false
 * with errno; the connection is of no use then. */
bool ucspi_start_tls(void);

#endif
