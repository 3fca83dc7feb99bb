/* identity: see identity.h. Runs with the launch privileges, to lose them. */
#include "confine/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories in memory come first; /run is often on a disk in containers. */
static const char *const places[] = {"/dev/shm", "/run", "/tmp"};

#define PLACES (sizeof places / sizeof *places)
#define PATH_OCTETS 64

static void write_path(char path[PATH_OCTETS], size_t place, pid_t pid)
{
	snprintf(path, PATH_OCTETS, "%s/pop3d-root%ld", places[place], (long)pid);
}

/* A directory of this name was left by a killed process with the same process id. */
static bool make_directory(const char *path)
{
	if (mkdir(path, 0700) == 0)
		return true;
	return errno == EEXIST && rmdir(path) == 0 && mkdir(path, 0700) == 0;
}

/* Makes a directory that exists no more the current one: nothing is in it, and nothing can be.
 * Nobody else can rename or remove what root made in a directory with the sticky bit. */
static bool enter_empty_directory(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		char path[PATH_OCTETS];

		write_path(path, i, getpid());
		if (!make_directory(path))
			continue;
		if (chdir(path) == 0)
			return rmdir(path) == 0;
		rmdir(path);
	}
	return false;
}

/* No signal but SIGKILL can end this process while the directory has a name. */
static bool empty_root(void)
{
	sigset_t all, before;
	bool entered;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	entered = enter_empty_directory();
	if (sigprocmask(SIG_SETMASK, &before, NULL) != 0 || !entered)
		return false;
	return chroot(".") == 0 || errno == EPERM;
}

void identity_clean(pid_t pid)
{
	char path[PATH_OCTETS];

	for (size_t i = 0; i < PLACES && geteuid() == 0; i++) {
		write_path(path, i, pid);
		rmdir(path);
	}
}

static bool become(uid_t uid, gid_t gid)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
		setresuid(uid, uid, uid) != 0)
		return false;
	if (getresuid(&real, &effective, &saved) != 0 ||
		getresgid(&real_group, &effective_group, &saved_group) != 0)
		return false;
	errno = EPERM;
	return real == uid && effective == uid && saved == uid && real_group == gid &&
	       effective_group == gid && saved_group == gid;
}

static bool silence_stderr(void)
{
	const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, 2) < 0)
		return false;
	return null_fd == 2 || close(null_fd) == 0;
}

bool identity_drop(uid_t uid, gid_t gid, bool keep_stderr)
{
	if (!keep_stderr && !silence_stderr())
		return false;
	return geteuid() != 0 || (empty_root() && become(uid, gid));
}
