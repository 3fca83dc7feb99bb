/* ucspi: see ucspi.h. Keeps the launch privileges. */
#include "peer/ucspi.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/number.h"

/* Copies the descriptor that the variable names to a number above all that descriptors are
 * moved to; -1 if there is none. The standard descriptors are refused: they are the connection
 * in clear text and the log, and passwords would pass unprotected there. */
static int copy_named(const char *name)
{
	const char *const value = getenv(name);
	uint64_t number;

	if (value == NULL || !number_parse(value, strlen(value), &number) || number > 65535 ||
		number <= STDERR_FILENO)
		return -1;
	return fcntl((int)number, F_DUPFD_CLOEXEC, UCSPI_WRITE_FD + 1);
}

static bool take_descriptors(void)
{
	static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
	int copies[3];
	bool taken = true;

	for (int i = 0; i < 3; i++) {
		copies[i] = copy_named(names[i]);
		taken &= copies[i] >= 0;
	}
	for (int i = 0; i < 3; i++) {
		taken = taken && dup3(copies[i], UCSPI_CONTROL_FD + i, O_CLOEXEC) >= 0;
		if (copies[i] >= 0)
			close(copies[i]);
	}
	return taken;
}

enum ucspi_wish ucspi_take(void)
{
	const char *const wish = getenv("UCSPITLS");
	const bool demanded = wish != NULL && strcmp(wish, "!") == 0;

	if (wish != NULL && strcmp(wish, "-") == 0)
		return UCSPI_NONE;
	if (!take_descriptors())
		return demanded ? UCSPI_LACK : UCSPI_NONE;
	return demanded ? UCSPI_DEMAND : UCSPI_OFFER;
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
