/* owner: see owner.h. */
#include "admin/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

bool owner_become(uid_t uid, gid_t gid)
{
	return geteuid() != 0 ||
	       (setgroups(0, NULL) == 0 && setgid(gid) == 0 && setuid(uid) == 0);
}

static bool enter(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || (st.st_uid != 0 && !owner_become(st.st_uid, st.st_gid)))
		return false;
	return fchdir(fd) == 0;
}

/* O_PATH: whether the directory may be read is asked with the rights of its owner. */
bool owner_enter(const char *path)
{
	const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool is_entered;
	int error_number;

	if (fd < 0)
		return false;
	is_entered = enter(fd);
	error_number = errno;
	close(fd);
	errno = error_number;
	return is_entered;
}
