/* inject: runs a program and disturbs one of its system calls.
 *
 *     inject CALL FIRST LAST ERROR program [argument ...]
 *     inject CALL FIRST 0 signal program [argument ...]
 *
 * The calls of that name from number FIRST to LAST, counted from 1, fail with this errno and do
 * nothing. With 0 and signal, the program gets SIGTERM at the call with number FIRST. ptrace
 * does both. strace cannot do the first here: what it replaces the call with meets the seccomp
 * filter, while getpid is permitted. Exits as the program does, with 125 where tracing fails.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct injection {
	long number; /* of the system call */
	long first, last, seen;
	int error_number; /* 0: a signal instead */
};

static const struct {
	const char *name;
	long number;
} calls[] = {{"openat", SYS_openat}, {"read", SYS_read}, {"fstat", SYS_fstat},
	{"newfstatat", SYS_newfstatat}, {"unlinkat", SYS_unlinkat},
	{"getdents64", SYS_getdents64}};

static bool take_arguments(struct injection *in, char **argv)
{
	in->number = -1;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(argv[1], calls[i].name) == 0)
			in->number = calls[i].number;
	in->first = atol(argv[2]);
	in->last = atol(argv[3]);
	in->error_number = atoi(argv[4]);
	return in->number >= 0;
}

/* Puts getpid in the place of the call that begins here. */
static bool replace_call(pid_t pid)
{
	return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax),
		       (long)SYS_getpid) == 0;
}

static bool set_result(pid_t pid, long result)
{
	return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), result) ==
	       0;
}

/* At the beginning or the end of a system call; *replaced passes from one to the other. */
static bool at_call(struct injection *in, pid_t pid, bool *replaced)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		const bool was_replaced = *replaced;

		*replaced = false;
		return !was_replaced || set_result(pid, -in->error_number);
	}
	if ((long)info.entry.nr != in->number || ++in->seen < in->first)
		return true;
	if (in->error_number == 0)
		return in->seen != in->first || kill(pid, SIGTERM) == 0;
	if (in->seen > in->last)
		return true;
	*replaced = true;
	return replace_call(pid);
}

static int run(struct injection *in, pid_t pid)
{
	bool replaced = false;
	int status, signal_number = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, (long)signal_number) != 0 ||
			waitpid(pid, &status, 0) != pid)
			return 125;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
		signal_number = WSTOPSIG(status);
		if (signal_number == (SIGTRAP | 0x80)) {
			signal_number = 0;
			if (!at_call(in, pid, &replaced))
				return 125;
		} else if (signal_number == SIGTRAP) {
			signal_number = 0;
		}
	}
}

int main(int argc, char **argv)
{
	struct injection in = {0};
	int status;
	pid_t pid;

	if (argc < 6 || !take_arguments(&in, argv))
		return 125;
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[5], argv + 5);
		_exit(125);
	}
	/* the injector must not hold the connection */
	close(0);
	close(1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
		ptrace(PTRACE_SETOPTIONS, pid, 0,
			(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) != 0)
		return 125;
	return run(&in, pid);
}
