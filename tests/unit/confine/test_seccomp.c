/* seccomp: of all existing numbers, the filter permits exactly those in the lists. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "confine/kernel.h"
#include "confine/seccomp.h"

#define NUMBERS 520
#define ROUNDS 60
#define DENIED 55 /* ENOANO, because nothing else in this test gives it. */
#define X32_CALL 0x40000000L

/* uretprobe and uprobe of x86: the kernel answers them before it asks a filter. */
#define FIRST_UNSEEN 335
#define LAST_UNSEEN 336

#ifdef KERNEL_ARCHITECTURE

/* Calls that are harmless with meaningless arguments, and exit_group, which ends the process.
 */
static const int harmless[] = {SYS_exit_group, SYS_close, SYS_read, SYS_write, SYS_lseek,
	SYS_fstat, SYS_fchdir, SYS_fsync, SYS_getpid, SYS_getppid, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_gettid, SYS_getpgid, SYS_getsid, SYS_sched_yield, SYS_dup,
	SYS_dup3, SYS_fcntl, SYS_fdatasync, SYS_flock, SYS_ftruncate, SYS_getdents64,
	SYS_getpeername, SYS_getsockname, SYS_listen, SYS_shutdown, SYS_sysinfo, SYS_times,
	SYS_uname, SYS_unlinkat, SYS_linkat, SYS_renameat2, SYS_readlinkat, SYS_openat,
	SYS_getcpu, SYS_getrandom, SYS_accept4, SYS_bind, SYS_connect, SYS_sendto, SYS_recvfrom,
	SYS_fallocate, SYS_fadvise64, SYS_epoll_ctl, SYS_inotify_rm_watch};
#define HARMLESS (sizeof harmless / sizeof *harmless)

enum list { IN_NONE, IN_FIRST, IN_SECOND, IN_MEMORY, IN_REFUSED, LISTS };

struct lists {
	int numbers[LISTS][HARMLESS];
	size_t count[LISTS];
	enum list of[NUMBERS];
};

static void add(struct lists *l, enum list list, int number)
{
	l->numbers[list][l->count[list]++] = number;
	l->of[number] = list;
}

/* Distributes the harmless calls at random. Any other call may be refused. */
static void make_lists(struct lists *l, uint64_t *random, unsigned share)
{
	memset(l, 0, sizeof *l);
	add(l, IN_FIRST, SYS_exit_group);
	for (size_t i = 1; i < HARMLESS; i++) {
		if (unit_random(random) % 100 >= share)
			continue;
		add(l, (enum list)(IN_FIRST + unit_random(random) % (LISTS - 1)), harmless[i]);
	}
}

static struct seccomp_calls calls_of(const struct lists *l, enum list list)
{
	return (struct seccomp_calls){l->numbers[list], l->count[list]};
}

static int error_of(long number, long third)
{
	errno = 0;
	return syscall(number, -1L, -1L, third, -1L, -1L, -1L) == -1 ? errno : 0;
}

/* What the filter did with a call: an errno, or 0 if the kernel was asked. */
static int verdict_of(long number, long third)
{
	const int error_number = error_of(number, third);

	return error_number == DENIED || error_number == EACCES ? error_number : 0;
}

static int expected(enum list list, long third)
{
	switch (list) {
	case IN_FIRST:
	case IN_SECOND: return 0;
	case IN_MEMORY: return (third & PROT_EXEC) != 0 ? DENIED : 0;
	case IN_REFUSED: return EACCES;
	default: return DENIED;
	}
}

/* Runs in a process of its own, because a filter stays for ever. Returns the number of the
 * first call with a wrong outcome, or 0. */
static int first_wrong(const struct lists *l, int *shared)
{
	const struct seccomp_wish wish = {
		.allowed = {calls_of(l, IN_FIRST), calls_of(l, IN_SECOND)},
		.memory = calls_of(l, IN_MEMORY),
		.refused = calls_of(l, IN_REFUSED),
		.otherwise = SECCOMP_ERRNO | DENIED,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !seccomp_set(&wish))
		return *shared = -1;
	for (int i = 0; i < NUMBERS; i++) {
		if (i == SYS_exit_group || (i >= FIRST_UNSEEN && i <= LAST_UNSEEN))
			continue;
		for (long third = 0; third <= PROT_EXEC; third += PROT_EXEC)
			if (verdict_of(i, third) != expected(l->of[i], third))
				return *shared = i + 1;
	}
	if (verdict_of(X32_CALL | SYS_exit_group, 0) != DENIED || verdict_of(-1, 0) != DENIED)
		return *shared = X32_CALL;
	return *shared = 0;
}

static void check_lists(const struct lists *l)
{
	int *const shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int status;

	assert_ptr_not_equal(shared, MAP_FAILED);
	*shared = -2;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		syscall(SYS_exit_group, first_wrong(l, shared) != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(*shared, 0);
	assert_int_equal(status, 0);
	munmap(shared, sizeof *shared);
}

TEST(every_number_comes_to_what_its_list_says)
{
	uint64_t random = 20261122;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct lists l;

		make_lists(&l, &random, i < 6 ? i * 2 : 100 * i / ROUNDS + 2);
		check_lists(&l);
	}
}

TEST(a_list_that_is_too_long_is_refused)
{
	int numbers[128];
	struct seccomp_wish wish = {.otherwise = SECCOMP_ERRNO | DENIED};

	for (int i = 0; i < 128; i++)
		numbers[i] = i;
	wish.allowed[0] = (struct seccomp_calls){numbers, 128};
	assert_false(seccomp_set(&wish));
	numbers[0] = 4096; /* No call has this number. */
	wish.allowed[0].count = 1;
	assert_false(seccomp_set(&wish));
}

#else

TEST(without_seccomp_nothing_happens)
{
	assert_true(seccomp_set(&(struct seccomp_wish){.otherwise = SECCOMP_KILL_PROCESS}));
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef KERNEL_ARCHITECTURE
		cmocka_unit_test(every_number_comes_to_what_its_list_says),
		cmocka_unit_test(a_list_that_is_too_long_is_refused),
#else
		cmocka_unit_test(without_seccomp_nothing_happens),
#endif
	};

	return UNIT_RUN("filter", tests);
}
