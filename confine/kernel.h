/* kernel: numbers of the Linux interface that this room needs and that not every libc's headers
 * have (musl ships none of the kernel's, and those of a distribution are older than the kernels
 * that it meets). They are fixed for ever by the kernel's ABI. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

/* Classic BPF and seccomp (seccomp(2)). */
struct kernel_bpf {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t value;
};

struct kernel_bpf_program {
	uint16_t length;
	const struct kernel_bpf *code;
};

struct kernel_seccomp_data {
	int32_t number;
	uint32_t architecture;
	uint64_t instruction_pointer;
	uint64_t arguments[6];
};

enum {
	BPF_LOAD_WORD = 0x20,    /* BPF_LD | BPF_W | BPF_ABS */
	BPF_JUMP_EQUAL = 0x15,   /* BPF_JMP | BPF_JEQ | BPF_K */
	BPF_JUMP_GREATER = 0x25, /* BPF_JMP | BPF_JGT | BPF_K */
	BPF_JUMP_ANY_BIT = 0x45, /* BPF_JMP | BPF_JSET | BPF_K */
	BPF_RETURN = 0x06,       /* BPF_RET | BPF_K */
	BPF_TAX = 0x07, /* BPF_MISC | BPF_TAX: the accumulator into the index register */
};

#define SECCOMP_KILL_PROCESS 0x80000000U
#define SECCOMP_ERRNO 0x00050000U
#define SECCOMP_ALLOW 0x7fff0000U
#define SECCOMP_FILTER 2 /* mode, for prctl */

/* The run-time of the sanitizers calls what no list of calls could hold. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KERNEL_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KERNEL_SANITIZED
#endif

#if defined(KERNEL_SANITIZED)
/* no filters */
#elif defined(__x86_64__)
#define KERNEL_ARCHITECTURE 0xc000003eU
#elif defined(__aarch64__)
#define KERNEL_ARCHITECTURE 0xc00000b7U
#elif defined(__riscv) && __riscv_xlen == 64
#define KERNEL_ARCHITECTURE 0xc00000f3U
#endif

/* Capabilities (capset(2)). */
#define CAPABILITY_VERSION 0x20080522U
#define CAPABILITY_KILL 5

struct kernel_capability_header {
	uint32_t version;
	int32_t pid;
};

struct kernel_capability_sets {
	uint32_t effective, permitted, inheritable;
};

/* Landlock (landlock(7)); the calls have one number on all architectures. */
enum {
	SYSTEM_LANDLOCK_CREATE_RULESET = 444,
	SYSTEM_LANDLOCK_ADD_RULE = 445,
	SYSTEM_LANDLOCK_RESTRICT_SELF = 446,
};

#define LANDLOCK_VERSION 1U     /* flag: which ABI is there? */
#define LANDLOCK_PATH_BENEATH 1 /* kind of a rule */

struct kernel_landlock_ruleset {
	uint64_t filesystem;
	uint64_t network; /* ABI 4 */
	uint64_t scoped;  /* ABI 6 */
};

struct kernel_landlock_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

enum {
	LANDLOCK_WRITE_FILE = 1 << 1,
	LANDLOCK_READ_FILE = 1 << 2,
	LANDLOCK_READ_DIRECTORY = 1 << 3,
	LANDLOCK_REMOVE_FILE = 1 << 5,
	LANDLOCK_MAKE_REGULAR = 1 << 8,
	LANDLOCK_REFER = 1 << 13,
};

/* All rights that an ABI knows. */
#define LANDLOCK_ALL_ABI1 0x1fffU
#define LANDLOCK_ALL_ABI2 0x3fffU /* REFER */
#define LANDLOCK_ALL_ABI3 0x7fffU /* TRUNCATE */
#define LANDLOCK_ALL_ABI5 0xffffU /* IOCTL_DEV */
#define LANDLOCK_ALL_NETWORK 3U   /* bind, connect: ABI 4 */

/* ABI 6 */
#define LANDLOCK_SCOPE_SOCKETS 1U
#define LANDLOCK_SCOPE_SIGNALS 2U

#endif
