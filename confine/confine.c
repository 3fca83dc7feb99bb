/* confine: see confine.h.
 *
 * Landlock and seccomp survive exec, so a process that starts checkers has neither. */
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/identity.h"
#include "confine/kernel.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "os/log.h"

/* For every process: reading and writing open descriptors, waiting, exiting. */
static const int talking_calls[] = {
	SYS_read,
	SYS_write,
	SYS_recvfrom,
	SYS_ppoll,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_close,
	SYS_fstat,
#ifdef SYS_newfstatat
	SYS_newfstatat, /* fstat of glibc */
#endif
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_getrandom, /* keys of hashes; malloc of glibc */
	SYS_restart_syscall,
	SYS_rt_sigreturn,
	SYS_getpid,
	SYS_exit,
	SYS_exit_group,
};

/* For the session: files of the Maildir (as far as Landlock permits), memory. */
static const int session_calls[] = {
	SYS_openat,
	SYS_lseek,
	SYS_pread64,
	SYS_getdents64,
	SYS_statx, /* when a file was made */
	SYS_unlinkat,
	SYS_renameat2,
	SYS_linkat,
	SYS_fadvise64,
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_rt_sigprocmask,
	SYS_futex,
	SYS_sysinfo, /* qsort of glibc */
#ifdef SYS_time
	SYS_time,
#endif
};

/* For the monitor: waiting for the session, ending it. */
static const int monitor_calls[] = {
	SYS_wait4,
	SYS_kill,
	SYS_shutdown,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_brk,
	SYS_munmap,
	SYS_futex,
};

/* For the engine of pop3d-tls: memory and random numbers of the TLS library, waiting for the
 * program. */
static const int engine_calls[] = {
	SYS_wait4, SYS_shutdown, SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	SYS_rt_sigprocmask, SYS_futex, SYS_sysinfo, /* qsort of glibc */
};

/* What the library's syslog needs besides. */
static const int logging_calls[] = {SYS_brk, SYS_munmap, SYS_futex};

/* Sending to the other end of a descriptor, but not to a socket of one's choice: the log's
 * descriptor would reach every datagram socket of the host. */
static const int addressless_calls[] = {SYS_sendto};

/* The C libraries' fdopendir looks at a descriptor; the engine makes its client's non-blocking.
 * The other commands could make the kernel signal any process, or let the log be overwritten.
 */
static const int fcntl_calls[] = {SYS_fcntl};
static const int fcntl_commands[] = {F_GETFL, F_SETFD};

/* Memory that is not executable. */
static const int memory_calls[] = {SYS_mmap, SYS_mprotect};

/* Syslog's library opens its socket anew when it was lost: that fails, and is no crime. */
static const int refused_calls[] = {SYS_socket, SYS_connect};

/* It also looks for the time zone, in vain. */
static const int logging_refused_calls[] = {SYS_socket, SYS_connect, SYS_openat};

static struct seccomp_calls calls_of(const int *numbers, size_t octets)
{
	return (struct seccomp_calls){numbers, octets / sizeof *numbers};
}

static bool no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* By the system call: libcs disagree about the type of its first parameter. */
static bool limit(int resource, uint64_t value)
{
	const uint64_t both[2] = {value, value};

	return syscall(SYS_prlimit64, 0, resource, both, NULL) == 0;
}

/* Hides the memory of this process from others: no core dump, no ptrace, no /proc/PID/mem. */
static bool keep_memory_private(void)
{
	return limit(RLIMIT_CORE, 0) && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Limits of a process that talks to strangers: no new file, no new process, and only as many
 * descriptors as it gives to poll, which fails above that limit. */
static bool lock_in_talker(const struct seccomp_wish *wish, uint64_t polled)
{
	if (!no_new_privileges() || !keep_memory_private())
		return false;
	landlock_restrict(LANDLOCK_SCOPE_SOCKETS | LANDLOCK_SCOPE_SIGNALS, NULL, 0);
	if (!limit(RLIMIT_NOFILE, polled) || !limit(RLIMIT_NPROC, 0))
		return false;
	if (!is_file(1) && !is_file(2) && !limit(RLIMIT_FSIZE, 0))
		return false;
	return seccomp_set(wish);
}

bool confine_greeter(uid_t uid, gid_t gid, bool logs)
{
	struct seccomp_wish wish = {
		.allowed = {calls_of(talking_calls, sizeof talking_calls)},
		.addressless = calls_of(addressless_calls, sizeof addressless_calls),
		.refused = calls_of(refused_calls, sizeof refused_calls),
		.otherwise = SECCOMP_KILL_PROCESS,
	};

	if (logs) {
		wish.allowed[1] = calls_of(logging_calls, sizeof logging_calls);
		wish.memory = calls_of(memory_calls, sizeof memory_calls);
		wish.refused = calls_of(logging_refused_calls, sizeof logging_refused_calls);
	}
	return identity_drop(uid, gid, logs) && lock_in_talker(&wish, 2);
}

void confine_clean_greeter(pid_t pid)
{
	identity_clean(pid);
}

bool confine_session(const struct confine_place *places, size_t count)
{
	const struct seccomp_wish wish = {
		.allowed = {calls_of(talking_calls, sizeof talking_calls),
			calls_of(session_calls, sizeof session_calls)},
		.memory = calls_of(memory_calls, sizeof memory_calls),
		.commanded = calls_of(fcntl_calls, sizeof fcntl_calls),
		.commands = calls_of(fcntl_commands, sizeof fcntl_commands),
		.addressless = calls_of(addressless_calls, sizeof addressless_calls),
		.refused = calls_of(refused_calls, sizeof refused_calls),
		.otherwise = SECCOMP_KILL_PROCESS,
	};

	if (!no_new_privileges() || !keep_memory_private() || !limit(RLIMIT_NPROC, 0))
		return false;
	landlock_restrict(LANDLOCK_SCOPE_SOCKETS | LANDLOCK_SCOPE_SIGNALS, places, count);
	return seccomp_set(&wish);
}

bool confine_engine(uid_t uid, gid_t gid, bool keep_stderr)
{
	const struct seccomp_wish wish = {
		.allowed = {calls_of(talking_calls, sizeof talking_calls),
			calls_of(engine_calls, sizeof engine_calls)},
		.memory = calls_of(memory_calls, sizeof memory_calls),
		.commanded = calls_of(fcntl_calls, sizeof fcntl_calls),
		.nonblocking = true,
		.addressless = calls_of(addressless_calls, sizeof addressless_calls),
		.refused = calls_of(logging_refused_calls, sizeof logging_refused_calls),
		.otherwise = SECCOMP_KILL_PROCESS,
	};

	return identity_drop(uid, gid, keep_stderr) && lock_in_talker(&wish, 3);
}

/* Gives up all capabilities of root except the one for ending another user's session. */
static void keep_only_kill(void)
{
	const struct kernel_capability_header header = {CAPABILITY_VERSION, 0};
	const struct kernel_capability_sets sets[2] = {
		{1U << CAPABILITY_KILL, 1U << CAPABILITY_KILL, 0}, {0, 0, 0}};

	if (syscall(SYS_capset, &header, sets) != 0)
		log_event(LOG_DEBUG, "capabilities-kept errno=%d", errno);
}

void confine_monitor(void)
{
	const struct seccomp_wish wish = {
		.allowed = {calls_of(talking_calls, sizeof talking_calls),
			calls_of(monitor_calls, sizeof monitor_calls)},
		.memory = calls_of(memory_calls, sizeof memory_calls),
		.addressless = calls_of(addressless_calls, sizeof addressless_calls),
		.refused = calls_of(refused_calls, sizeof refused_calls),
		.otherwise = SECCOMP_ERRNO | EPERM, /* nobody would wait for the session */
	};

	if (!no_new_privileges() || !keep_memory_private())
		return;
	if (geteuid() == 0)
		keep_only_kill();
	/* signals must reach the session, which would be outside of a Landlock domain for
	 * signals */
	landlock_restrict(LANDLOCK_SCOPE_SOCKETS, NULL, 0);
	seccomp_set(&wish);
}
