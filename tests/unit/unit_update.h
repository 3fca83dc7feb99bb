/* unit_update: for tests of the update: counts and hinders the system calls that it makes. */
#ifndef UNIT_UPDATE_H
#define UNIT_UPDATE_H

#include "tests/unit/unit_maildir.h"

#include <dlfcn.h>
#include <sys/syscall.h>

#include "maildir/internal.h"

/* The kernel's renameat2, or, as on NFS, one that cannot refuse to replace a file. */
static bool no_renameat2;

static inline long real_renameat2(
	int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (no_renameat2 && flags != 0) {
		errno = EINVAL;
		return -1;
	}
	return renameat2(from_fd, from, to_fd, to, flags);
}

/* Each removal is counted, and at each this file is there. */
static const char *at_removal;
static unsigned removals, directory_reads;
static bool no_removal; /* As if the process died before it. */

int unlinkat(int directory_fd, const char *name, int flags)
{
	static int (*real_unlinkat)(int, const char *, int);

	if (real_unlinkat == NULL)
		*(void **)&real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
	if (at_removal != NULL) {
		removals++;
		assert_exists(at_removal);
	}
	if (no_removal) {
		errno = EIO;
		return -1;
	}
	return real_unlinkat(directory_fd, name, flags);
}

/* The system calls that the code under test makes by number, and unlinkat. */
long syscall(long number, ...)
{
	va_list arguments;
	int from_fd, to_fd;
	const char *from, *to;
	unsigned flags;

	va_start(arguments, number);
	if (number == SYS_getdents64) {
		const int fd = va_arg(arguments, int);
		void *const buffer = va_arg(arguments, void *);
		const size_t octets = va_arg(arguments, size_t);

		va_end(arguments);
		directory_reads++;
		return getdents64(fd, buffer, octets);
	}
	if (number == SYS_statx) {
		/* a file system that does not tell when a file was made */
		va_end(arguments);
		errno = ENOSYS;
		return -1;
	}
	assert_int_equal(number, SYS_renameat2);
	from_fd = va_arg(arguments, int);
	from = va_arg(arguments, const char *);
	to_fd = va_arg(arguments, int);
	to = va_arg(arguments, const char *);
	flags = va_arg(arguments, unsigned);
	assert_true(flags == RENAME_NOREPLACE || no_renameat2);
	va_end(arguments);
	return real_renameat2(from_fd, from, to_fd, to, flags);
}

static inline void delete (size_t number)
{
	assert_true(maildir_delete(&m, number - 1));
}

static inline void retrieve(size_t number)
{
	maildir_set_retrieved(&m, number - 1);
}

/* An update without failures. */
static inline void updates(size_t removed, uint64_t removed_octets)
{
	const struct maildir_update u = maildir_update(&m);

	if (u.error_number != 0)
		print_error("error: %s\n", strerror(u.error_number));
	assert_int_equal(u.error_number, 0);
	assert_int_equal(u.removed, removed);
	assert_int_equal(u.removed_octets, removed_octets);
	assert_int_equal(u.not_removed, 0);
	assert_int_equal(u.not_moved, 0);
}

#endif
