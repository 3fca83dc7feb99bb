/* table-checkpw TABLE program [argument ...]: a checkpassword program for the tests. TABLE
 * has lines "login TAB password TAB home [TAB maildir]". Passwords are compared in clear
 * text. If root runs it, it becomes the owner of the home directory. A fourth field becomes
 * MAILDIR. It exits 1 if the login or the password is wrong, 2 if misused, and 111 if
 * something fails. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIALS_OCTETS 512

struct account {
	char *login, *password, *home, *maildir;
};

static void read_credentials(char *octets)
{
	size_t used = 0;
	ssize_t got;

	while (used < CREDENTIALS_OCTETS &&
		(got = read(3, octets + used, CREDENTIALS_OCTETS - used)) > 0)
		used += (size_t)got;
	close(3);
}

static struct account split(char *line)
{
	struct account a;

	line[strcspn(line, "\n")] = '\0';
	a.login = strsep(&line, "\t");
	a.password = strsep(&line, "\t");
	a.home = strsep(&line, "\t");
	a.maildir = strsep(&line, "\t");
	return a;
}

static int become(const struct account *a, char **program)
{
	struct stat st;

	if (stat(a->home, &st) != 0)
		return 111;
	if (getuid() == 0 &&
		(setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0))
		return 111;
	if (chdir(a->home) != 0 || setenv("HOME", a->home, 1) != 0 ||
		setenv("USER", a->login, 1) != 0)
		return 111;
	if (a->maildir != NULL && setenv("MAILDIR", a->maildir, 1) != 0)
		return 111;
	execvp(program[0], program);
	return 111;
}

int main(int argc, char **argv)
{
	char credentials[CREDENTIALS_OCTETS + 2] = "", line[4096];
	const char *password;
	FILE *table;

	if (argc < 3 || (table = fopen(argv[1], "re")) == NULL)
		return 2;
	read_credentials(credentials);
	password = credentials + strlen(credentials) + 1;
	while (fgets(line, sizeof line, table) != NULL) {
		const struct account a = split(line);

		if (a.home == NULL)
			return 2;
		if (strcmp(a.login, credentials) == 0 && strcmp(a.password, password) == 0)
			return become(&a, argv + 2);
	}
	return 1;
}
