/* confine: limits what a process can do, with one function for each kind of process. Measures
 * that the kernel or the architecture lacks are left out. doc/SECURITY has the tables. */
#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* For the greeter. A process of root gets an empty root directory and the identity uid:gid
 * without further groups. Then it may touch nothing of the file system, the network, or other
 * processes; it keeps the system calls of talking on descriptors that are open. logs: it keeps
 * standard error and the calls of a log that is open as well; otherwise standard error becomes
 * /dev/null. Returns false with errno if root could not give up its identity, or if
 * no_new_privs or seccomp could not be had on a kernel that has them; a root directory that
 * cannot be changed for want of CAP_SYS_CHROOT is no error. */
bool confine_greeter(uid_t uid, gid_t gid, bool logs);

/* For the monitor, if a signal killed the greeter: removes the directory that the greeter may
 * have left if it was killed in confine_greeter. */
void confine_clean_greeter(pid_t pid);

/* A directory that the session needs, and what may be done beneath it. */
struct confine_place {
	int fd;          /* -1: it is not there */
	unsigned rights; /* of enum confine_right */
};

enum confine_right {
	CONFINE_READ = 1,   /* list the directory, read files */
	CONFINE_REMOVE = 2, /* remove files, rename them away */
	CONFINE_ADD = 4,    /* rename or link files to here */
	CONFINE_WRITE = 8,  /* make, write and remove files, and rename them within */
};

/* For the session: only beneath the places, with the rights given; no network, no other
 * process, no new program. Where Landlock cannot let files move between directories (before ABI
 * 2) it is left out. Returns false with errno as above. */
bool confine_session(const struct confine_place *places, size_t count);

/* For the engine of pop3d-tls, once it has read its files. Root and identity as for the
 * greeter. It keeps talking on descriptors that are open, memory that cannot be run, and
 * waiting for the program; nothing of the file system, the network, or other processes.
 * Standard error becomes /dev/null unless keep_stderr is set. Returns false with errno as
 * above. */
bool confine_engine(uid_t uid, gid_t gid, bool keep_stderr);

/* For the monitor once a session runs: what waiting for it, ending it and logging need. A
 * failure leaves it as it was. */
void confine_monitor(void);

#endif
