/* directory: see directory.h.
 *
 * Calls getdents64(2) itself: the C library would allocate memory for each directory. */
#include "os/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/large.h"
#include "os/file.h"

#define BUFFER_OCTETS 32768
#define EMPTY_PATH 0x1000U /* AT_EMPTY_PATH and AT_STATX_FORCE_SYNC, likewise */
#define FORCE_SYNC 0x2000U
#define BASIC_STATS 0x7ffU /* STATX_BASIC_STATS */
#define FILE_OCTETS 256    /* of the kernel's struct statx */
#define NAME_NOREPLACE 1U  /* RENAME_NOREPLACE, which not every libc names */

/* An entry as getdents64(2) returns it. */
struct kernel_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t octets; /* of the whole entry */
	uint8_t type;
	char name[];
};

static char buffer[BUFFER_OCTETS] LARGE __attribute__((aligned(8)));

static bool is_regular(int directory_fd, const struct kernel_entry *entry)
{
	struct stat st;

	if (entry->type == DT_REG)
		return true;
	if (entry->type != DT_UNKNOWN)
		return false;
	/* if stat fails, the entry may be a message, which a temporary error must not hide;
	 * opening it will show what it is */
	return fstatat(directory_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	       S_ISREG(st.st_mode);
}

static bool take_buffer(int fd, size_t filled, directory_take *take, void *context)
{
	size_t at = 0;

	while (at < filled) {
		const struct kernel_entry *const entry =
			(const struct kernel_entry *)(const void *)(buffer + at);
		const size_t octets = strlen(entry->name);

		at += entry->octets;
		if (entry->name[0] == '.' || octets == 0 || octets > NAME_MAX ||
			!is_regular(fd, entry))
			continue;
		if (!take(context, fd, entry->name, octets))
			return false;
	}
	return true;
}

bool directory_read(int directory_fd, directory_take *take, void *context)
{
	const int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool complete = fd >= 0;
	long filled = 0;

	while (complete && (filled = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
		complete = take_buffer(fd, (size_t)filled, take, context);
	if (fd >= 0)
		file_close(fd);
	return complete && filled == 0;
}

void directory_refresh(int directory_fd)
{
	uint64_t file[FILE_OCTETS / sizeof(uint64_t)];

	/* kernels before Linux 4.11 cannot do that */
	(void)syscall(SYS_statx, directory_fd, "", EMPTY_PATH | FORCE_SYNC, BASIC_STATS, file);
}

bool directory_make(int parent_fd, const char *name)
{
	return mkdirat(parent_fd, name, 0700) == 0 || errno == EEXIST;
}

/* Returns whether the file system can refuse to replace a file; if so, sets *done to whether it
 * has renamed the file. */
static bool rename_noreplace(
	int from_fd, const char *from, int to_fd, const char *to, bool *done)
{
	*done = syscall(SYS_renameat2, from_fd, from, to_fd, to, NAME_NOREPLACE) == 0;
	return *done || (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP);
}

bool directory_rename(int from_fd, const char *from, int to_fd, const char *to)
{
	bool done;

	if (rename_noreplace(from_fd, from, to_fd, to, &done))
		return done;
	/* link does not replace a file either */
	return linkat(from_fd, from, to_fd, to, 0) == 0 && unlinkat(from_fd, from, 0) == 0;
}

bool directory_move(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat st;
	bool done;

	if (rename_noreplace(from_fd, from, to_fd, to, &done))
		return done;
	if (fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT && syscall(SYS_renameat2, from_fd, from, to_fd, to, 0) == 0;
}
