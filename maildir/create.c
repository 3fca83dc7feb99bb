/* create: makes a Maildir for a user who has none; see maildir.h. */
#include <fcntl.h>
#include <unistd.h>

#include "maildir.h"
#include "os/directory.h"

bool maildir_create(const char *path)
{
	static const char *const names[] = {"tmp", "new", "cur"};
	bool made = directory_make(AT_FDCWD, path);
	const int fd = made ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	made = fd >= 0;
	for (size_t i = 0; made && i < sizeof names / sizeof *names; i++)
		made = directory_make(fd, names[i]);
	if (fd >= 0)
		close(fd);
	return made;
}
