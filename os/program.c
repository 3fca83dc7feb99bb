/* program: see program.h. */
#include "os/program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool program_own_path(char *path, size_t octets)
{
	static const char deleted[] = " (deleted)";
	const ssize_t got = readlink("/proc/self/exe", path, octets);
	size_t length = got > 0 ? (size_t)got : 0;

	if (got == 0 || length == octets)
		errno = ENAMETOOLONG;
	if (length == 0 || length == octets)
		return false;
	path[length] = '\0';
	/* an upgrade has replaced the file; the new one is at the same path */
	if (length > sizeof deleted &&
		strcmp(path + length - (sizeof deleted - 1), deleted) == 0)
		path[length - (sizeof deleted - 1)] = '\0';
	return true;
}
