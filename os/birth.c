/* birth: see birth.h.
 *
 * By the system call: not every libc has a function for it. */
#include "os/birth.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WANT_BIRTH 0x800U /* STATX_BTIME */

struct kernel_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t unused;
};

/* What statx(2) gives. */
struct kernel_file {
	uint32_t known; /* bits as wanted */
	uint32_t others[15];
	struct kernel_time access, birth, change, modification;
	uint64_t further[16];
};

_Static_assert(sizeof(struct kernel_file) == 256, "as the kernel has it");

struct timespec birth_of(int directory_fd, const char *name)
{
	struct kernel_file file = {0};

	if (syscall(SYS_statx, directory_fd, name, AT_SYMLINK_NOFOLLOW, WANT_BIRTH, &file) !=
			0 ||
		(file.known & WANT_BIRTH) == 0)
		return (struct timespec){.tv_sec = 0};
	return (struct timespec){
		.tv_sec = (time_t)file.birth.seconds, .tv_nsec = (long)file.birth.nanoseconds};
}
