/* create: makes a Maildir for a user who has none; see maildir.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir.h"

static bool make(int parent_fd, const char *name)
{
	return mkdirat(parent_fd, name, 0700) == 0 || errno == EEXIST;
}

bool maildir_create(const char *path)
{
	static const char *const names[] = {"tmp", "new", "cur"};
	bool made = make(AT_FDCWD, path);
	const int fd = made ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	made = fd >= 0;
	for (size_t i = 0; made && i < sizeof names / sizeof *names; i++)
		made = make(fd, names[i]);
	if (fd >= 0)
		close(fd);
	return made;
}
