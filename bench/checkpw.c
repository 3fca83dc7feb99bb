/* checkpw HOMES PASSWORD program [argument ...]: the cheapest correct checkpassword program.
 * It accepts the users u0, u1, ... whose home is a directory of that name in HOMES, all with
 * one password, and becomes the owner of the home, who must not be root. It exits 1 if login
 * or password is wrong, 2 if misused, and 111 if something fails. It is only for
 * measurements: the time of a comparison is not hidden. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIALS_OCTETS 512
#define LOGIN_OCTETS 12

static void read_credentials(char *octets)
{
	size_t used = 0;
	ssize_t got;

	while (used < CREDENTIALS_OCTETS &&
		(got = read(3, octets + used, CREDENTIALS_OCTETS - used)) > 0)
		used += (size_t)got;
	close(3);
}

static int known(const char *login)
{
	const size_t length = strlen(login);

	return login[0] == 'u' && length > 1 && length <= LOGIN_OCTETS &&
	       strspn(login + 1, "0123456789") == length - 1;
}

static int become_owner(const char *home)
{
	struct stat st;

	if (stat(home, &st) != 0 || st.st_uid == 0)
		return 0;
	return getuid() != 0 ||
	       (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0);
}

int main(int argc, char **argv)
{
	char credentials[CREDENTIALS_OCTETS + 2] = "", home[1024];
	const char *const login = credentials, *password;

	if (argc < 4)
		return 2;
	read_credentials(credentials);
	password = login + strlen(login) + 1;
	if (!known(login) || strcmp(password, argv[2]) != 0)
		return 1;
	if (snprintf(home, sizeof home, "%s/%s", argv[1], login) >= (int)sizeof home ||
		!become_owner(home) || chdir(home) != 0 || setenv("HOME", home, 1) != 0 ||
		setenv("USER", login, 1) != 0)
		return 111;
	execvp(argv[3], argv + 3);
	return 111;
}
