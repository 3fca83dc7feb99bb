/* sandbox_tls: see sandbox_tls.h. */
#include "sandbox_tls.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "log.h"

#define POLLED_DESCRIPTORS 4

#ifdef KERNEL_ARCHITECTURE

static const int allowed_calls[] = {
	SYS_read,
	SYS_write,
	SYS_recvfrom,
	SYS_sendto,
	SYS_ppoll,
	SYS_shutdown,
	SYS_close,
	SYS_fcntl,
	SYS_fstat,
#ifdef SYS_newfstatat
	SYS_newfstatat, /* fstat of glibc */
#endif
	SYS_wait4,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_futex,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_sysinfo, /* qsort of glibc */
	SYS_getpid,
	SYS_exit,
	SYS_exit_group,
};

/* Memory, but none that could be run. */
static const int memory_calls[] = {SYS_mmap, SYS_mprotect};

/* What libraries try for comfort (a log whose socket was lost, files of configuration): it
 * fails, and is no crime. */
static const int refused_calls[] = {SYS_socket, SYS_connect, SYS_openat};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CALLS (COUNT(allowed_calls) + COUNT(memory_calls) + COUNT(refused_calls))

/* Where the comparisons of the filter jump to. */
enum { HEAD = 3, KILL = HEAD + CALLS, MEMORY, EXECUTABLE, ALLOW, REFUSE, LENGTH };

struct filter {
	struct kernel_bpf code[LENGTH];
	uint16_t length;
};

static void emit(struct filter *f, uint16_t code, uint32_t value)
{
	f->code[f->length++] = (struct kernel_bpf){code, 0, 0, value};
}

/* A comparison that goes to target when it holds. */
static void emit_jump(struct filter *f, uint16_t code, uint32_t value, size_t target)
{
	emit(f, code, value);
	f->code[f->length - 1].jump_true = (uint8_t)(target - f->length);
}

static void emit_calls(struct filter *f, const int *calls, size_t count, size_t target)
{
	for (size_t i = 0; i < count; i++)
		emit_jump(f, BPF_JUMP_EQUAL, (uint32_t)calls[i], target);
}

static bool set_filter(void)
{
	struct filter f = {.length = 0};
	struct kernel_bpf_program program = {LENGTH, f.code};

	emit(&f, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, architecture));
	emit(&f, BPF_JUMP_EQUAL, KERNEL_ARCHITECTURE);
	f.code[1].jump_false = (uint8_t)(KILL - f.length);
	emit(&f, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, number));
	emit_calls(&f, allowed_calls, COUNT(allowed_calls), ALLOW);
	emit_calls(&f, memory_calls, COUNT(memory_calls), MEMORY);
	emit_calls(&f, refused_calls, COUNT(refused_calls), REFUSE);
	emit(&f, BPF_RETURN, SECCOMP_KILL_PROCESS);
	emit(&f, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, arguments[2]));
	emit_jump(&f, BPF_JUMP_ANY_BIT, PROT_EXEC, REFUSE);
	emit(&f, BPF_RETURN, SECCOMP_ALLOW);
	emit(&f, BPF_RETURN, SECCOMP_ERRNO | EACCES);
	/* EINVAL: a kernel that was built without it */
	return prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) == 0 || errno == EINVAL;
}

#else

static bool set_filter(void)
{
	return true;
}

#endif

/* Where the kernel cannot do it, the rest of the sandbox has to do. */
static void landlock(void)
{
	const int abi = (int)syscall(SYSTEM_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);
	const struct kernel_landlock_ruleset ruleset = {
		.filesystem = abi >= 5   ? LANDLOCK_ALL_ABI5
			      : abi >= 3 ? LANDLOCK_ALL_ABI3
			      : abi == 2 ? LANDLOCK_ALL_ABI2
					 : LANDLOCK_ALL_ABI1,
		.network = abi >= 4 ? LANDLOCK_ALL_NETWORK : 0,
		.scoped = abi >= 6 ? LANDLOCK_SCOPE_SOCKETS | LANDLOCK_SCOPE_SIGNALS : 0,
	};
	const size_t octets = abi >= 6   ? sizeof ruleset
			      : abi >= 4 ? offsetof(struct kernel_landlock_ruleset, scoped)
					 : offsetof(struct kernel_landlock_ruleset, network);
	int fd;

	if (abi < 1)
		return;
	fd = (int)syscall(SYSTEM_LANDLOCK_CREATE_RULESET, &ruleset, octets, 0);
	if (fd < 0 || syscall(SYSTEM_LANDLOCK_RESTRICT_SELF, fd, 0) != 0)
		log_event(LOG_DEBUG, "no-landlock abi=%d", abi);
	if (fd >= 0)
		close(fd);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

bool sandbox_engine(void)
{
	static const struct rlimit none = {0, 0},
				   descriptors = {POLLED_DESCRIPTORS, POLLED_DESCRIPTORS};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return false;
	landlock();
	/* poll takes as many descriptors as this at most */
	if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0)
		return false;
	if (!is_file(2) && !is_file(1) && setrlimit(RLIMIT_FSIZE, &none) != 0)
		return false;
	return set_filter();
}
