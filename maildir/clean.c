/* clean: removes from tmp/ what interrupted deliveries have left; see maildir.h. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir.h"
#include "os/directory.h"

#define TMP_SECONDS (36 * 60 * 60)

static time_t later(time_t a, time_t b)
{
	return a > b ? a : b;
}

/* The latest of the three times counts. On a file system mounted noatime the access time of a
 * new file can be old, and programs that preserve the date of a message set the modification
 * time back. */
static bool is_stale(int fd, const char *name, time_t now)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	return later(later(st.st_atime, st.st_mtime), st.st_ctime) < now - TMP_SECONDS;
}

static bool take_stale(void *context, int directory_fd, const char *name, size_t octets)
{
	(void)octets;
	if (is_stale(directory_fd, name, *(const time_t *)context))
		unlinkat(directory_fd, name, 0);
	return true;
}

void maildir_clean_tmp(const struct maildir *m)
{
	time_t now = time(NULL);

	if (m->tmp_fd >= 0)
		directory_read(m->tmp_fd, take_stale, &now);
}
