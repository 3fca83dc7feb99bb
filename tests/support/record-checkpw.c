/* record-checkpw FILE program [argument ...]: a checkpassword program that accepts no login.
 * It appends a line to FILE: CONNECTION of the environment, a blank, the octets of descriptor
 * 3 in hexadecimal (4096 at most), a blank and a dot. The line feed comes first, so that a
 * process that is killed while it writes leaves a line without the dot and damages no other.
 * The first of the octets decides how it ends: with a status, by a signal, late, or by
 * claiming that a session runs. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MOST_OCTETS 4096

static char line[64 + 2 * MOST_OCTETS];

int main(int argc, char **argv)
{
	static const int statuses[] = {0, 1, 2, 3, 20, 100, 111, 127};
	static const struct timespec a_moment = {0, 2000000};
	unsigned char octets[MOST_OCTETS];
	const char *const name = getenv("CONNECTION");
	size_t used = 0;
	ssize_t got;
	int length, file;

	while (used < sizeof octets && (got = read(3, octets + used, sizeof octets - used)) > 0)
		used += (size_t)got;
	file = argc > 2 ? open(argv[1], O_WRONLY | O_APPEND) : -1;
	if (file < 0 || name == NULL)
		return 2;
	length = snprintf(line, 64, "\n%.40s ", name);
	for (size_t i = 0; i < used; i++)
		length += snprintf(line + length, 3, "%02x", octets[i]);
	line[length++] = ' ';
	line[length++] = '.';
	if (write(file, line, (size_t)length) != length)
		return 111;
	switch (used > 0 ? octets[0] % 12 : 0) {
	case 8: raise(SIGKILL); break;
	case 9: nanosleep(&a_moment, NULL); break;
	case 10: return write(7, "L", 1) == 1 ? 0 : 1; /* A session that ends at once. */
	case 11:
		return write(7, "LLLLLLLL", 8) == 8
			       ? 0
			       : 1; /* The octets have no agreed meaning. */
	default: return statuses[used > 0 ? octets[0] % 12 : 0];
	}
	return 1;
}
