/* attempts: see attempts.h. */
#include "tests/support/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096
#define ARGUMENTS 6

/* Names that the headers of some C libraries lack. */
#define NO_REPLACE 1
#define READ_IMPLIES_EXEC 0x0400000
#define X32_CALL 0x40000000L
#define CALL_PIDFD_OPEN 434
#define CALL_CLONE3 435
#define CALL_OPENAT2 437
#define CALL_PIDFD_GETFD 438
#define CALL_FCHMODAT2 452

#define HOME AT_FDCWD
#define CREATE (O_CREAT | O_EXCL)
#define NUMBER(n) ((const void *)(long)(n))

enum special {
	PLAIN,     /* One system call. If it returns a descriptor, that is closed. */
	READ_DATA, /* The file that it opens must also be readable. */
	IA32,      /* Through the interface of 32-bit programs. */
};

struct attempt {
	const char *name;
	long call;
	const void *arguments[ARGUMENTS];
	enum special special;
};

static char page[PAGE] __attribute__((aligned(PAGE)));
static char shell[] = "/bin/sh";
static const char *const shell_arguments[] = {shell, NULL};
static const struct sockaddr_in internet = {.sin_family = AF_INET, .sin_port = 0x1900};
static const struct sockaddr_un control_socket = {
	.sun_family = AF_UNIX, .sun_path = "/run/systemd/notify"};
static const int owner[2] = {1, 1}; /* struct f_owner_ex: F_OWNER_PID, init */
static const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
static struct iovec own_part = {page, 16}, their_part = {page, 16};
static struct msghdr message = {.msg_iov = &own_part, .msg_iovlen = 1};
static const unsigned long clone3_arguments[8] = {[4] = SIGCHLD};
static const unsigned long openat2_arguments[3] = {O_RDONLY};

static const struct attempt attempts[] = {
	/* Calls that a session needs. */
	{"list-new", SYS_openat, {NUMBER(HOME), "Maildir/new", NUMBER(O_DIRECTORY)}, PLAIN},
	{"read-message", SYS_openat, {NUMBER(HOME), "Maildir/new/1.a"}, READ_DATA},
	{"unlink-message", SYS_unlinkat, {NUMBER(HOME), "Maildir/new/1.a"}, PLAIN},
	{"rename-new-to-cur", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/cur/1.a:2,S",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"link-new-to-cur", SYS_linkat,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/cur/1.a:2,"}, PLAIN},
	{"unlink-in-tmp", SYS_unlinkat, {NUMBER(HOME), "Maildir/tmp/stale"}, PLAIN},

	/* Files of others. */
	{"read-etc-passwd", SYS_openat, {NUMBER(HOME), "/etc/passwd"}, READ_DATA},
	{"read-through-symlink", SYS_openat, {NUMBER(HOME), "Maildir/cur/symlink"}, READ_DATA},
	{"read-other-maildir", SYS_openat, {NUMBER(HOME), "../other/Maildir/new/1.a"},
		READ_DATA},
	{"list-other-maildir", SYS_openat,
		{NUMBER(HOME), "../other/Maildir/new", NUMBER(O_DIRECTORY)}, PLAIN},
	{"list-home", SYS_openat, {NUMBER(HOME), ".", NUMBER(O_DIRECTORY)}, PLAIN},
	{"read-file-in-home", SYS_openat, {NUMBER(HOME), "diary"}, READ_DATA},
	{"read-in-maildir-root", SYS_openat, {NUMBER(HOME), "Maildir/subscriptions"},
		READ_DATA},
	{"read-parent-memory", SYS_openat, {NUMBER(HOME), "/proc/1/mem"}, PLAIN},
	{"openat2", CALL_OPENAT2,
		{NUMBER(HOME), "/etc/passwd", openat2_arguments,
			NUMBER(sizeof openat2_arguments)},
		PLAIN},
	{"stat-of-etc-passwd", SYS_newfstatat, {NUMBER(HOME), "/etc/passwd", page}, PLAIN},

	/* Writing. */
	{"create-in-new", SYS_openat,
		{NUMBER(HOME), "Maildir/new/made", NUMBER(CREATE | O_WRONLY), NUMBER(0600)},
		PLAIN},
	{"create-in-cur", SYS_openat,
		{NUMBER(HOME), "Maildir/cur/made", NUMBER(CREATE | O_WRONLY), NUMBER(0600)},
		PLAIN},
	{"create-empty-in-cur", SYS_openat,
		{NUMBER(HOME), "Maildir/cur/made", NUMBER(CREATE | O_RDONLY), NUMBER(0600)},
		PLAIN},
	{"create-in-tmp", SYS_openat,
		{NUMBER(HOME), "Maildir/tmp/made", NUMBER(CREATE | O_WRONLY), NUMBER(0600)},
		PLAIN},
	{"create-in-index", SYS_openat,
		{NUMBER(HOME), "Maildir/pop3d/made", NUMBER(CREATE | O_WRONLY), NUMBER(0600)},
		PLAIN},
	{"create-in-maildir-root", SYS_openat,
		{NUMBER(HOME), "Maildir/made", NUMBER(CREATE | O_WRONLY), NUMBER(0600)}, PLAIN},
	{"write-to-uids", SYS_openat, {NUMBER(HOME), "Maildir/pop3d-uids", NUMBER(O_WRONLY)},
		PLAIN},
	{"truncate-uids", SYS_openat,
		{NUMBER(HOME), "Maildir/pop3d-uids", NUMBER(O_RDONLY | O_TRUNC)}, PLAIN},
	{"create-in-home", SYS_openat,
		{NUMBER(HOME), ".forward", NUMBER(CREATE | O_WRONLY), NUMBER(0600)}, PLAIN},
	{"create-unnamed", SYS_openat,
		{NUMBER(HOME), "Maildir/cur", NUMBER(O_TMPFILE | O_RDWR), NUMBER(0600)}, PLAIN},
	{"write-to-message", SYS_openat, {NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(O_WRONLY)},
		PLAIN},
	{"truncate-message", SYS_openat,
		{NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(O_RDONLY | O_TRUNC)}, PLAIN},
	{"truncate", SYS_truncate, {"Maildir/cur/2.b:2,", NUMBER(0)}, PLAIN},
	{"mkdir", SYS_mkdirat, {NUMBER(HOME), "Maildir/cur/made", NUMBER(0700)}, PLAIN},
	{"symlink", SYS_symlinkat, {"/etc/passwd", NUMBER(HOME), "Maildir/cur/made"}, PLAIN},
	{"mkfifo", SYS_mknodat,
		{NUMBER(HOME), "Maildir/cur/made", NUMBER(S_IFIFO | 0600), NUMBER(0)}, PLAIN},
	{"chmod", SYS_fchmodat, {NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(0644)}, PLAIN},
	{"chmod-by-fchmodat2", CALL_FCHMODAT2,
		{NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(0644), NUMBER(0)}, PLAIN},
	{"chown", SYS_fchownat,
		{NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(-1), NUMBER(-1), NUMBER(0)}, PLAIN},
	{"utimes", SYS_utimensat, {NUMBER(HOME), "Maildir/cur/2.b:2,", NULL, NUMBER(0)}, PLAIN},

	/* Moving. */
	{"rename-out-of-maildir", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "stolen", NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-to-maildir-root", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/stolen",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-new-to-index", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/pop3d/stolen",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-index-to-cur", SYS_renameat2,
		{NUMBER(HOME), "Maildir/pop3d/old", NUMBER(HOME), "Maildir/cur/made",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"link-new-to-index", SYS_linkat,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/pop3d/stolen"}, PLAIN},
	{"rename-into-maildir", SYS_renameat2,
		{NUMBER(HOME), "diary", NUMBER(HOME), "Maildir/cur/made", NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-cur-to-new", SYS_renameat2,
		{NUMBER(HOME), "Maildir/cur/2.b:2,", NUMBER(HOME), "Maildir/new/made",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"link-out-of-maildir", SYS_linkat,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "stolen"}, PLAIN},
	{"link-into-maildir", SYS_linkat,
		{NUMBER(HOME), "diary", NUMBER(HOME), "Maildir/cur/made"}, PLAIN},
	{"link-other-maildir-in", SYS_linkat,
		{NUMBER(HOME), "../other/Maildir/new/1.a", NUMBER(HOME), "Maildir/cur/made"},
		PLAIN},
	{"unlink-in-maildir-root", SYS_unlinkat, {NUMBER(HOME), "Maildir/subscriptions"},
		PLAIN},
	{"unlink-uids", SYS_unlinkat, {NUMBER(HOME), "Maildir/pop3d-uids"}, PLAIN},
	{"rename-index-to-uids", SYS_renameat2,
		{NUMBER(HOME), "Maildir/pop3d/old", NUMBER(HOME), "Maildir/pop3d-uids"}, PLAIN},
	{"unlink-in-home", SYS_unlinkat, {NUMBER(HOME), "diary"}, PLAIN},
	{"rmdir", SYS_unlinkat, {NUMBER(HOME), "Maildir/cur/directory", NUMBER(AT_REMOVEDIR)},
		PLAIN},
	{"chdir", SYS_chdir, {"/"}, PLAIN},

	/* The folder of --delete-to. */
	{"list-folder", SYS_openat, {NUMBER(HOME), "Maildir/.Trash/cur", NUMBER(O_DIRECTORY)},
		PLAIN},
	{"read-in-folder", SYS_openat, {NUMBER(HOME), "Maildir/.Trash/cur/3.c:2,"}, READ_DATA},
	{"create-in-folder", SYS_openat,
		{NUMBER(HOME), "Maildir/.Trash/cur/made", NUMBER(CREATE | O_WRONLY),
			NUMBER(0600)},
		PLAIN},
	{"create-empty-in-folder", SYS_openat,
		{NUMBER(HOME), "Maildir/.Trash/cur/made", NUMBER(CREATE | O_RDONLY),
			NUMBER(0600)},
		PLAIN},
	{"unlink-in-folder", SYS_unlinkat, {NUMBER(HOME), "Maildir/.Trash/cur/3.c:2,"}, PLAIN},
	{"rename-new-to-folder", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/.Trash/cur/1.a:2,",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"link-new-to-folder", SYS_linkat,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/.Trash/cur/1.a:2,"},
		PLAIN},
	{"rename-folder-to-cur", SYS_renameat2,
		{NUMBER(HOME), "Maildir/.Trash/cur/3.c:2,", NUMBER(HOME), "Maildir/cur/made",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-new-to-folder-new", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/.Trash/new/made",
			NUMBER(NO_REPLACE)},
		PLAIN},
	{"rename-new-to-sent", SYS_renameat2,
		{NUMBER(HOME), "Maildir/new/1.a", NUMBER(HOME), "Maildir/.Sent/cur/made",
			NUMBER(NO_REPLACE)},
		PLAIN},

	/* Network. */
	{"socket-internet", SYS_socket, {NUMBER(AF_INET), NUMBER(SOCK_STREAM)}, PLAIN},
	{"socket-unix", SYS_socket, {NUMBER(AF_UNIX), NUMBER(SOCK_DGRAM)}, PLAIN},
	{"socketpair", SYS_socketpair, {NUMBER(AF_UNIX), NUMBER(SOCK_STREAM), NUMBER(0), page},
		PLAIN},
	{"connect", SYS_connect, {NUMBER(0), &internet, NUMBER(sizeof internet)}, PLAIN},
	{"bind", SYS_bind, {NUMBER(0), &internet, NUMBER(sizeof internet)}, PLAIN},
	{"listen", SYS_listen, {NUMBER(0), NUMBER(1)}, PLAIN},
	{"accept", SYS_accept4, {NUMBER(0)}, PLAIN},
	{"setsockopt", SYS_setsockopt,
		{NUMBER(0), NUMBER(SOL_SOCKET), NUMBER(SO_KEEPALIVE), page, NUMBER(4)}, PLAIN},
	{"pass-descriptor", SYS_sendmsg, {NUMBER(0), &message}, PLAIN},
	{"receive-descriptor", SYS_recvmsg, {NUMBER(0), &message, NUMBER(MSG_DONTWAIT)}, PLAIN},

	{"send-to-address", SYS_sendto,
		{NUMBER(0), page, NUMBER(0), NUMBER(0), &internet, NUMBER(sizeof internet)},
		PLAIN},
	{"send-to-unix-socket", SYS_sendto,
		{NUMBER(0), page, NUMBER(0), NUMBER(MSG_DONTWAIT), &control_socket,
			NUMBER(sizeof control_socket)},
		PLAIN},

	/* The commands of fcntl. */
	{"signal-owner", SYS_fcntl, {NUMBER(0), NUMBER(F_SETOWN), NUMBER(1)}, PLAIN},
	{"signal-owner-ex", SYS_fcntl, {NUMBER(0), NUMBER(F_SETOWN_EX), owner}, PLAIN},
	{"signal-number", SYS_fcntl, {NUMBER(0), NUMBER(F_SETSIG), NUMBER(SIGKILL)}, PLAIN},
	{"signal-on-input", SYS_fcntl, {NUMBER(0), NUMBER(F_SETFL), NUMBER(O_ASYNC)}, PLAIN},
	{"clear-append", SYS_fcntl, {NUMBER(2), NUMBER(F_SETFL), NUMBER(0)}, PLAIN},
	{"clear-append-of-log", SYS_fcntl, {NUMBER(2), NUMBER(F_SETFL), NUMBER(O_NONBLOCK)},
		PLAIN},
	{"dup-by-fcntl", SYS_fcntl, {NUMBER(0), NUMBER(F_DUPFD), NUMBER(0)}, PLAIN},
	{"pipe-size", SYS_fcntl, {NUMBER(0), NUMBER(F_SETPIPE_SZ), NUMBER(1 << 20)}, PLAIN},
	{"lease", SYS_fcntl, {NUMBER(2), NUMBER(F_SETLEASE), NUMBER(F_RDLCK)}, PLAIN},

	/* Other processes and programs. */
	{"fork", SYS_clone, {NUMBER(SIGCHLD)}, PLAIN},
	{"vfork", SYS_clone, {NUMBER(CLONE_VFORK | SIGCHLD)}, PLAIN},
	{"clone3", CALL_CLONE3, {clone3_arguments, NUMBER(sizeof clone3_arguments)}, PLAIN},
	{"exec", SYS_execve, {shell, shell_arguments, shell_arguments + 1}, PLAIN},
	{"execveat", SYS_execveat,
		{NUMBER(HOME), shell, shell_arguments, shell_arguments + 1, NUMBER(0)}, PLAIN},
	{"memfd-create", SYS_memfd_create, {"x", NUMBER(0)}, PLAIN},
	{"exec-descriptor", SYS_execveat,
		{NUMBER(0), "", shell_arguments, shell_arguments + 1, NUMBER(AT_EMPTY_PATH)},
		PLAIN},
	{"ptrace", SYS_ptrace, {NUMBER(PTRACE_TRACEME)}, PLAIN},
	{"read-memory-of-process", SYS_process_vm_readv,
		{NUMBER(1), &own_part, NUMBER(1), &their_part, NUMBER(1)}, PLAIN},
	{"kill-init", SYS_kill, {NUMBER(1), NUMBER(0)}, PLAIN},
	{"tgkill", SYS_tgkill, {NUMBER(1), NUMBER(1), NUMBER(0)}, PLAIN},
	{"pidfd-open", CALL_PIDFD_OPEN, {NUMBER(1)}, PLAIN},
	{"pidfd-getfd", CALL_PIDFD_GETFD, {NUMBER(0), NUMBER(0)}, PLAIN},
	{"setrlimit", SYS_prlimit64, {NUMBER(0), NUMBER(RLIMIT_NPROC), &unlimited}, PLAIN},
	{"setpriority", SYS_setpriority, {NUMBER(PRIO_PROCESS), NUMBER(0), NUMBER(-5)}, PLAIN},

	/* Identity. */
	{"setuid-0", SYS_setuid, {NUMBER(0)}, PLAIN},
	{"setgroups", SYS_setgroups, {NUMBER(0), NULL}, PLAIN},
	{"capset", SYS_capset, {page, page}, PLAIN},
	{"dumpable", SYS_prctl, {NUMBER(PR_SET_DUMPABLE), NUMBER(1)}, PLAIN},
	{"personality", SYS_personality, {NUMBER(READ_IMPLIES_EXEC)}, PLAIN},
	{"chroot", SYS_chroot, {"/"}, PLAIN},
	{"mount", SYS_mount, {"none", "/tmp", "tmpfs", NUMBER(0), NULL}, PLAIN},
	{"umount", SYS_umount2, {"/proc", NUMBER(0)}, PLAIN},
	{"unshare-user", SYS_unshare, {NUMBER(CLONE_NEWUSER)}, PLAIN},
	{"setns", SYS_setns, {NUMBER(0), NUMBER(0)}, PLAIN},

	/* Memory that could be executed. */
	{"mmap-exec", SYS_mmap,
		{NULL, NUMBER(PAGE), NUMBER(PROT_READ | PROT_EXEC),
			NUMBER(MAP_PRIVATE | MAP_ANONYMOUS), NUMBER(-1), NUMBER(0)},
		PLAIN},
	{"mprotect-exec", SYS_mprotect, {page, NUMBER(PAGE), NUMBER(PROT_READ | PROT_EXEC)},
		PLAIN},
	{"pkey-mprotect-exec", SYS_pkey_mprotect,
		{page, NUMBER(PAGE), NUMBER(PROT_READ | PROT_EXEC), NUMBER(-1)}, PLAIN},

	/* Large interfaces of the kernel. */
	{"io-uring", SYS_io_uring_setup, {NUMBER(1), page}, PLAIN},
	{"bpf", SYS_bpf, {NUMBER(0), page, NUMBER(64)}, PLAIN},
	{"userfaultfd", SYS_userfaultfd, {NUMBER(0)}, PLAIN},
	{"keyctl", SYS_keyctl, {NUMBER(0), NUMBER(-3), NUMBER(0)}, PLAIN},
	{"add-key", SYS_add_key, {"user", "x", "x", NUMBER(1), NUMBER(-3)}, PLAIN},
	{"perf-event", SYS_perf_event_open, {page, NUMBER(0), NUMBER(-1), NUMBER(-1)}, PLAIN},
	{"ioctl", SYS_ioctl, {NUMBER(0), NUMBER(0x541b), page}, PLAIN},
	{"shmget", SYS_shmget, {NUMBER(0), NUMBER(PAGE), NUMBER(0600)}, PLAIN},
	{"inotify", SYS_inotify_init1, {NUMBER(0)}, PLAIN},
	{"open-by-handle", SYS_open_by_handle_at, {NUMBER(HOME), page, NUMBER(0)}, PLAIN},
	{"init-module", SYS_init_module, {page, NUMBER(16), ""}, PLAIN},
	{"reboot", SYS_reboot, {NUMBER(0), NUMBER(0), NUMBER(0)}, PLAIN},
	{"settime", SYS_clock_settime, {NUMBER(0), page}, PLAIN},
	{"dup", SYS_dup, {NUMBER(0)}, PLAIN},
	{"pipe", SYS_pipe2, {page, NUMBER(0)}, PLAIN},
#ifdef __x86_64__
	{"32-bit-call", 20, {NULL}, IA32}, /* getpid */
	{"x32-call", X32_CALL | SYS_getpid, {NULL}, PLAIN},
#endif
};

#ifdef __x86_64__
static long call_ia32(long number)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number)
			 : "memory", "r8", "r9", "r10", "r11");
	result = (int)result;
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}
#else
static long call_ia32(long number)
{
	(void)number;
	errno = ENOSYS;
	return -1;
}
#endif

int attempt_make(const struct attempt *a)
{
	const void *const *const with = a->arguments;
	const pid_t self = getpid();
	const long result = a->special == IA32 ? call_ia32(a->call)
					       : syscall(a->call, with[0], with[1], with[2],
							 with[3], with[4], with[5]);
	int error_number = result < 0 ? errno : 0;

	if (result < 0)
		return error_number;
	if (getpid() != self)
		_exit(0); /* A child that must not be possible. */
	if (a->special == READ_DATA && read((int)result, page, 1) < 0)
		error_number = errno;
	if (a->call == SYS_openat)
		close((int)result);
	return error_number;
}

const struct attempt *attempt_find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		if (strlen(attempts[i].name) == length &&
			memcmp(attempts[i].name, name, length) == 0)
			return &attempts[i];
	return NULL;
}
