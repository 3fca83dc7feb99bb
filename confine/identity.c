/* identity: see identity.h. Runs with the launch privileges, to lose them. */
#include "confine/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes a directory that exists no more the current one: nothing is in it, and nothing can be.
 * First where it is most likely to be in memory: in containers /run often is on a disk. Nobody
 * else can rename or remove what root made in a directory with the sticky bit. */
static bool enter_empty_directory(void)
{
	static const char *const places[] = {"/dev/shm", "/run", "/tmp"};

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char path[64];

		snprintf(path, sizeof path, "%s/pop3d-XXXXXX", places[i]);
		if (mkdtemp(path) == NULL)
			continue;
		if (chdir(path) == 0)
			return rmdir(path) == 0;
		rmdir(path);
	}
	return false;
}

static bool empty_root(void)
{
	if (!enter_empty_directory())
		return false;
	return chroot(".") == 0 || errno == EPERM;
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
