/* process: see process.h. Runs with the launch privileges. */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/program.h"

static const int inherited_signals[] = {
	SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE};

void process_default_signals(void)
{
	sigset_t none;

	for (size_t i = 0; i < sizeof inherited_signals / sizeof *inherited_signals; i++)
		signal(inherited_signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

bool process_reset(void)
{
	process_default_signals();
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (fcntl(0, F_GETFD) < 0 || fcntl(1, F_GETFD) < 0)
		return false;
	/* 0 and 1 are open, so the lowest free descriptor is 2 if that is closed */
	return fcntl(2, F_GETFD) >= 0 || open("/dev/null", O_RDWR) == 2;
}

static void close_between(unsigned first, unsigned last)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < (unsigned)sysconf(_SC_OPEN_MAX); fd++)
		close((int)fd);
}

void process_close_others(int first, int last)
{
	if (first > last) {
		close_between(3, UINT_MAX);
		return;
	}
	close_between(3, (unsigned)first - 1);
	close_between((unsigned)last + 1, UINT_MAX);
}

bool process_take_low_descriptors(void)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int low = 3; fd >= 0 && low < PROCESS_LOWEST_FREE; low++)
		if (low != fd && dup3(fd, low, O_CLOEXEC) < 0)
			return false;
	return fd >= 0;
}

const char *process_find_program(const char *name, char *path, size_t capacity)
{
	const char *directory = getenv("PATH");

	if (directory == NULL)
		directory = PROCESS_DEFAULT_PATH;
	while (strchr(name, '/') == NULL && directory[0] != '\0') {
		const size_t length = strcspn(directory, ":");

		snprintf(path, capacity, "%.*s/%s", (int)length, directory, name);
		if (length > 0 && access(path, X_OK) == 0)
			return path;
		directory += length + (directory[length] == ':');
	}
	snprintf(path, capacity, "%s", name);
	return path;
}

const char *process_find_beside(const char *name, char *path, size_t capacity)
{
	char *const slash = program_own_path(path, capacity) ? strrchr(path, '/') : NULL;

	if (slash != NULL && (size_t)(slash - path) + strlen(name) + 2 <= capacity) {
		strcpy(slash + 1, name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return process_find_program(name, path, capacity);
}

int process_await(pid_t pid)
{
	int wait_status = 0;

	while (pid > 0 && waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
		;
	return wait_status;
}

const char *process_death_note(int wait_status)
{
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS
		       ? " cause=forbidden-system-call"
		       : "";
}
