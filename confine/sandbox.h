/* sandbox: what each process locks itself into. Every step works without privileges; what the
 * kernel or the architecture does not have is left out. doc/SECURITY has the table. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* For the greeter, after jail_greeter: nothing of the file system, the network, or other
 * processes; the system calls of talking on descriptors that are open; logs: and of a log that
 * is open. Returns false with errno if no_new_privs or seccomp could not be had on a kernel
 * that has them. */
bool sandbox_greeter(bool logs);

/* A directory that the session needs, and what may be done beneath it. */
struct sandbox_place {
	int fd;          /* -1: it is not there */
	unsigned rights; /* of enum sandbox_right */
};

enum sandbox_right {
	SANDBOX_READ = 1,   /* list the directory, read files */
	SANDBOX_REMOVE = 2, /* remove files, rename them away */
	SANDBOX_ADD = 4,    /* rename or link files to here */
	SANDBOX_WRITE = 8,  /* make, write and remove files, and rename them within */
};

/* For the session: only beneath the places, with the rights given; no network, no other
 * process, no new program. Where Landlock cannot let files move between directories (before ABI
 * 2) it is left out. Returns false with errno as above. */
bool sandbox_session(const struct sandbox_place *places, size_t count);

/* For the engine of pop3d-tls, once it has read its files and given up its identity: talking on
 * descriptors that are open, memory that cannot be run, waiting for the program. Nothing of the
 * file system, the network, or other processes. Returns false with errno as above. */
bool sandbox_engine(void);

/* For the monitor once a session runs: what waiting for it, ending it and logging need. A
 * failure leaves it as it was. */
void sandbox_monitor(void);

#endif
