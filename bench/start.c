/* start ROUNDS FILE PROGRAM ...: the CPU time of pop3d-checkpw from its start to the exec of
 * the next program.
 *
 * In each round every PROGRAM checks the login joe with the password secret, by the password
 * file FILE, and runs this program again, which reports the CPU time that its process has used
 * so far: exec keeps that clock. Prints a line for each round, in microseconds: the same
 * without a PROGRAM (the process itself and the start of the reporter), a value for each
 * PROGRAM, and the time of the hash alone. */
#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CREDENTIALS_FD 3

static const char credentials[] = "joe\0secret\0";
static const char setting[] = "$5$rounds=1000$pop3dbench$";

static double own_microseconds(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
		exit(111);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int report(void)
{
	const double used = own_microseconds();

	return write(STDOUT_FILENO, &used, sizeof used) == (ssize_t)sizeof used ? 0 : 111;
}

/* The ends of a pipe, above the descriptors that a program is given. */
static void open_pipe(int ends[2])
{
	int low[2];

	if (pipe(low) != 0)
		exit(111);
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
		if (ends[i] < 0)
			exit(111);
		close(low[i]);
	}
}

static double microseconds_of(char **command)
{
	int in[2], out[2], status;
	double used = 0;
	pid_t child;

	open_pipe(in);
	open_pipe(out);
	if (write(in[1], credentials, sizeof credentials - 1) < 0)
		exit(111);
	close(in[1]);
	child = vfork();
	if (child == 0) {
		dup2(in[0], CREDENTIALS_FD);
		dup2(out[1], STDOUT_FILENO);
		execv(command[0], command);
		_exit(126);
	}
	close(in[0]);
	close(out[1]);
	if (child < 0 || read(out[0], &used, sizeof used) != (ssize_t)sizeof used) {
		fprintf(stderr, "start: %s did not run the next program\n", command[0]);
		exit(111);
	}
	close(out[0]);
	waitpid(child, &status, 0);
	return used;
}

static double microseconds_of_hash(void)
{
	static struct crypt_data data;
	const double before = own_microseconds();

	if (crypt_r("secret", setting, &data) == NULL)
		exit(111);
	return own_microseconds() - before;
}

static void measure(char *self, char *file, char **programs, int count)
{
	char *direct[] = {self, NULL};

	printf("%.1f", microseconds_of(direct));
	for (int i = 0; i < count; i++) {
		char *command[] = {programs[i], "-f", file, "--", self, NULL};

		printf(" %.1f", microseconds_of(command));
	}
	printf(" %.1f\n", microseconds_of_hash());
}

int main(int argc, char **argv)
{
	static struct crypt_data data;

	if (argc == 1)
		return report();
	if (argc == 2)
		return puts(crypt_r("secret", setting, &data)) < 0;
	for (int round = atoi(argv[1]); round > 0; round--)
		measure(argv[0], argv[2], argv + 3, argc - 3);
	return 0;
}
