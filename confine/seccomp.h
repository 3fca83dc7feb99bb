/* seccomp: which system calls this process may make from here on, by a seccomp filter. */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of system calls. */
struct seccomp_calls {
	const int *numbers;
	size_t count;
};

/* What becomes of which calls. A call that stands in several lists is the last one's. */
struct seccomp_wish {
	struct seccomp_calls allowed[2];
	struct seccomp_calls memory; /* allowed where their third argument lacks PROT_EXEC */
	struct seccomp_calls addressless; /* allowed where the fifth argument is 0: sendto */
	struct seccomp_calls commanded; /* allowed where the second is one of commands: fcntl */
	bool nonblocking; /* of those, also F_SETFL with O_NONBLOCK alone, on descriptors 0 and
			     1 */
	struct seccomp_calls commands; /* at most 4 */
	struct seccomp_calls refused;  /* EACCES */
	uint32_t otherwise;            /* all else, and calls of another architecture: a
					  return value of a seccomp filter (seccomp(2)) */
};

/* Sets the filter, which cannot be taken back and is inherited. Needs no_new_privs. Returns
 * false with errno where the kernel has seccomp and refuses; on a kernel or an architecture
 * (kernel.h) without it nothing happens, and that is true. */
bool seccomp_set(const struct seccomp_wish *wish);

#endif
