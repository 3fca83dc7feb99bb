/* ucspi: see ucspi.h. Keeps the launch privileges. */
#include "ucspi.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "number.h"

#define HIGH_FD 64 /* above all that is moved to */

/* A copy, far up, of the descriptor that the variable names; -1 if there is none. */
static int copy_named(const char *name)
{
	const char *const value = getenv(name);
	uint64_t number;

	if (value == NULL || !number_parse(value, strlen(value), &number) || number > 65535)
		return -1;
	return fcntl((int)number, F_DUPFD_CLOEXEC, HIGH_FD);
}

enum ucspi_wish ucspi_take(void)
{
	static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
	const char *const wish = getenv("UCSPITLS");
	int copies[3];

	if (wish != NULL && strcmp(wish, "-") == 0)
		return UCSPI_NONE;
	for (int i = 0; i < 3; i++)
		if ((copies[i] = copy_named(names[i])) < 0)
			return UCSPI_NONE;
	for (int i = 0; i < 3; i++)
		if (dup3(copies[i], UCSPI_CONTROL_FD + i, O_CLOEXEC) < 0)
			return UCSPI_NONE;
	return wish != NULL && strcmp(wish, "!") == 0 ? UCSPI_DEMAND : UCSPI_OFFER;
}

bool ucspi_start_tls(void)
{
	if (write(UCSPI_CONTROL_FD, "y", 1) != 1 || dup2(UCSPI_READ_FD, 0) < 0 ||
		dup2(UCSPI_WRITE_FD, 1) < 0)
		return false;
	for (int fd = UCSPI_CONTROL_FD; fd <= UCSPI_WRITE_FD; fd++)
		close(fd);
	return true;
}
