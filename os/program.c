/* program: see program.h. */
#include "os/program.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path with which this program was executed, if that is absolute and no link. Reading
 * /proc/self/exe would make the kernel set up this process in /proc, and clear it away later.
 */
static size_t executed_path(char *path, size_t octets)
{
	const char *const executed = (const char *)getauxval(AT_EXECFN);
	const size_t length = executed != NULL && executed[0] == '/' ? strlen(executed) : 0;
	struct stat st;

	if (length == 0 || length >= octets || lstat(executed, &st) != 0 ||
		!S_ISREG(st.st_mode))
		return 0;
	memcpy(path, executed, length);
	return length;
}

/* The path as /proc has it. */
static size_t linked_path(char *path, size_t octets)
{
	static const char deleted[] = " (deleted)";
	const ssize_t got = readlink("/proc/self/exe", path, octets);
	const size_t length = got > 0 ? (size_t)got : 0, end = sizeof deleted - 1;

	if (got == 0 || length == octets)
		errno = ENAMETOOLONG;
	if (length == octets)
		return 0;
	/* an upgrade has replaced the file; the new one is at the same path */
	if (length > end && memcmp(path + length - end, deleted, end) == 0)
		return length - end;
	return length;
}

bool program_own_path(char *path, size_t octets)
{
	size_t length = executed_path(path, octets);

	if (length == 0)
		length = linked_path(path, octets);
	if (length > 0)
		path[length] = '\0';
	return length > 0;
}
