/* confine: what the engine of pop3d-tls, the monitor and the greeter can still do.
 * tests/confinement/ tests the processes of pop3d as they really run. Each attempt is one
 * system call of a process that has confined itself. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "confine/confine.h"
#include "confine/kernel.h"

#define KILLED (1000 + SIGSYS)
#define WORKS 0

/* An attempt in a process of its own. The exit status is the errno of the call. */
struct attempt {
	const char *name;
	long call;
	long arguments[6];
	int expected; /* WORKS, an errno, or KILLED. */
};

/* A build with sanitizers has no filters, because sanitizers need more calls. */
static bool has_filters(void)
{
#ifdef KERNEL_ARCHITECTURE
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
#else
	return false;
#endif
}

static int make_attempt(bool (*lock_in)(void), const struct attempt *a)
{
	const pid_t pid = fork();

	if (pid == 0) {
		const long *const n = a->arguments;

		if (!lock_in())
			_exit(250);
		errno = 0;
		_exit(syscall(a->call, n[0], n[1], n[2], n[3], n[4], n[5]) < 0 ? errno : WORKS);
	}
	return unit_await(pid);
}

static void make_attempts(bool (*lock_in)(void), const struct attempt *attempts, size_t count)
{
	if (!has_filters())
		skip();
	for (size_t i = 0; i < count; i++) {
		const int got = make_attempt(lock_in, &attempts[i]);

		if (got != attempts[i].expected)
			fail_msg("%s: %d, and not %d", attempts[i].name, got,
				attempts[i].expected);
	}
}

static bool engine(void)
{
	return confine_engine(getuid(), getgid(), true);
}

static bool greeter(void)
{
	return confine_greeter(getuid(), getgid(), false);
}

static bool greeter_with_a_log(void)
{
	return confine_greeter(getuid(), getgid(), true);
}

static bool session(void)
{
	return confine_session(NULL, 0);
}

static bool monitor(void)
{
	confine_monitor();
	return true;
}

#define NEW_MEMORY MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
/* What no confined process can do, and what every one can. */
#define IN_ALL                                                                                 \
	{"execve", SYS_execve, {(long)"/bin/true"}, KILLED},                                   \
		{"clone", SYS_clone, {0}, KILLED}, {"setuid", SYS_setuid, {0}, KILLED},        \
		{"ptrace", SYS_ptrace, {0}, KILLED},                                           \
		{"mkdirat", SYS_mkdirat, {AT_FDCWD, (long)"x"}, KILLED},                       \
		{"prctl", SYS_prctl, {PR_SET_DUMPABLE, 1}, KILLED},                            \
		{"bind", SYS_bind, {0}, KILLED}, {"socket", SYS_socket, {AF_INET}, EACCES},    \
		{"connect", SYS_connect, {0}, EACCES}, {"getpid", SYS_getpid, {0}, WORKS},     \
		{"close", SYS_close, {2}, WORKS},                                              \
		{"sendto", SYS_sendto, {-1, 0, 0, 0, 0, 0}, EBADF},                            \
		{"sendto an address", SYS_sendto, {-1, 0, 0, 0, 1, 0}, KILLED},                \
		{"sendto a high address", SYS_sendto, {-1, 0, 0, 0, 1L << 32, 0}, KILLED},     \
		{"F_SETOWN", SYS_fcntl, {0, F_SETOWN, 1}, KILLED},                             \
	{                                                                                      \
		"read", SYS_read, {-1}, EBADF                                                  \
	}

TEST(engine_keeps_what_moving_octets_needs)
{
	static const struct attempt attempts[] = {IN_ALL,
		{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd"}, EACCES},
		{"kill", SYS_kill, {0, 0}, KILLED},
		{"unlinkat", SYS_unlinkat, {AT_FDCWD, (long)"x"}, KILLED},
		{"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, NEW_MEMORY}, WORKS},
		{"mmap of code", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, NEW_MEMORY},
			KILLED},
		{"mprotect to code", SYS_mprotect, {0, 0, PROT_EXEC}, KILLED},
		{"dup", SYS_dup, {0}, KILLED},
		{"O_NONBLOCK of its client's", SYS_fcntl, {1, F_SETFL, O_NONBLOCK}, WORKS},
		{"O_NONBLOCK alone of its log", SYS_fcntl, {2, F_SETFL, O_NONBLOCK}, KILLED},
		{"another flag", SYS_fcntl, {1, F_SETFL, O_NONBLOCK | O_ASYNC}, KILLED},
		{"F_DUPFD", SYS_fcntl, {0, F_DUPFD, 3}, KILLED},
		{"wait4", SYS_wait4, {-1}, ECHILD}};

	make_attempts(engine, attempts, COUNT_OF(attempts));
}

TEST(greeter_keeps_what_talking_needs)
{
	static const struct attempt attempts[] = {IN_ALL,
		{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd"}, KILLED},
		{"mmap", SYS_mmap, {0, 4096, PROT_READ, NEW_MEMORY}, KILLED},
		{"kill", SYS_kill, {0, 0}, KILLED}, {"wait4", SYS_wait4, {-1}, KILLED}};

	make_attempts(greeter, attempts, COUNT_OF(attempts));
}

TEST(greeter_with_a_log_has_memory_but_no_code)
{
	static const struct attempt attempts[] = {IN_ALL,
		{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/localtime"}, EACCES},
		{"mmap", SYS_mmap, {0, 4096, PROT_READ, NEW_MEMORY}, WORKS},
		{"mmap of code", SYS_mmap, {0, 4096, PROT_EXEC, NEW_MEMORY}, KILLED},
		{"kill", SYS_kill, {0, 0}, KILLED}};

	make_attempts(greeter_with_a_log, attempts, COUNT_OF(attempts));
}

/* If the monitor were killed, nobody would wait for its session. */
TEST(monitor_is_refused_and_not_killed)
{
	static const struct attempt attempts[] = {
		{"execve", SYS_execve, {(long)"/bin/true"}, EPERM},
		{"clone", SYS_clone, {0}, EPERM},
		{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd"}, EPERM},
		{"socket", SYS_socket, {AF_INET}, EACCES}, {"ptrace", SYS_ptrace, {0}, EPERM},
		{"mmap of code", SYS_mmap, {0, 4096, PROT_EXEC, NEW_MEMORY}, EPERM},
		{"kill", SYS_kill, {0, 0}, WORKS}, {"wait4", SYS_wait4, {-1}, ECHILD},
		{"sendto", SYS_sendto, {-1, 0, 0, 0, 0, 0}, EBADF},
		{"sendto an address", SYS_sendto, {-1, 0, 0, 0, 1, 0}, EPERM},
		{"F_SETOWN", SYS_fcntl, {0, F_SETOWN, 1}, EPERM},
		{"read", SYS_read, {-1}, EBADF}};

	make_attempts(monitor, attempts, COUNT_OF(attempts));
}

/* The C libraries look at a descriptor before they list it. */
TEST(session_keeps_two_commands_of_fcntl)
{
	static const struct attempt attempts[] = {IN_ALL,
		{"F_GETFL", SYS_fcntl, {-1, F_GETFL}, EBADF},
		{"F_SETFD", SYS_fcntl, {-1, F_SETFD, FD_CLOEXEC}, EBADF},
		{"F_SETFL", SYS_fcntl, {0, F_SETFL, O_NONBLOCK}, KILLED},
		{"F_SETSIG", SYS_fcntl, {0, F_SETSIG, SIGKILL}, KILLED},
		{"F_DUPFD", SYS_fcntl, {0, F_DUPFD, 3}, KILLED},
		{"F_SETOWN with more bits", SYS_fcntl, {-1, 1L << 32 | F_SETOWN}, KILLED}};

	make_attempts(session, attempts, COUNT_OF(attempts));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(session_keeps_two_commands_of_fcntl),
	cmocka_unit_test(engine_keeps_what_moving_octets_needs),
	cmocka_unit_test(greeter_keeps_what_talking_needs),
	cmocka_unit_test(greeter_with_a_log_has_memory_but_no_code),
	cmocka_unit_test(monitor_is_refused_and_not_killed),
};

int main(void)
{
	return UNIT_RUN("confine", tests);
}
