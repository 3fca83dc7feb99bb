/* filter: see filter.h.
 *
 * Lists of calls are turned into BPF here: building that with libseccomp took 0.15 ms at every
 * start of a process, and there are three filters a session. When one is set, the kernel runs
 * it for every number there is, to know which calls are always allowed; one comparison behind
 * the other for forty calls was a twentieth of the processor time of a whole session. So the
 * comparisons stand in groups, in the order of the numbers, and one leaves a group out. */
#include "confine/seccomp.h"

#include "confine/kernel.h"

#ifdef KERNEL_ARCHITECTURE

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define NUMBERS 512 /* above all calls that are asked for here */
#define CALLS 64
#define GROUP_CALLS 6
#define GROUPS ((CALLS + GROUP_CALLS - 1) / GROUP_CALLS)
#define LENGTH (3 + CALLS + GROUPS + 6)

/* Where a comparison goes to, counted from behind the last of them. */
enum end {
	END_OTHERWISE,
	END_MEMORY,
	END_ALLOW = 3,
	END_REFUSE,
	NO_END = 255, /* in no list */
};

struct plan {
	uint8_t end_of[NUMBERS];
	uint16_t numbers[CALLS]; /* those in a list, ascending */
	size_t count;
};

struct code {
	struct kernel_bpf code[LENGTH];
	uint16_t length;
};

static bool add_calls(struct plan *p, struct filter_calls calls, enum end end)
{
	for (size_t i = 0; i < calls.count; i++) {
		if (calls.numbers[i] < 0 || calls.numbers[i] >= NUMBERS)
			return false;
		p->end_of[calls.numbers[i]] = (uint8_t)end;
	}
	return true;
}

static bool sort(struct plan *p)
{
	p->count = 0;
	for (size_t i = 0; i < NUMBERS; i++) {
		if (p->end_of[i] == NO_END)
			continue;
		if (p->count == CALLS)
			return false;
		p->numbers[p->count++] = (uint16_t)i;
	}
	return true;
}

static bool make_plan(struct plan *p, const struct filter_wish *wish)
{
	memset(p->end_of, NO_END, sizeof p->end_of);
	return add_calls(p, wish->allowed[0], END_ALLOW) &&
	       add_calls(p, wish->allowed[1], END_ALLOW) &&
	       add_calls(p, wish->memory, END_MEMORY) &&
	       add_calls(p, wish->refused, END_REFUSE) && sort(p);
}

static void emit(struct code *c, uint16_t code, uint32_t value, size_t if_true, size_t if_false)
{
	c->code[c->length++] =
		(struct kernel_bpf){code, (uint8_t)if_true, (uint8_t)if_false, value};
}

/* One comparison to leave the group out, one for each of its calls; end is where the
 * comparisons end. */
static void emit_group(struct code *c, const struct plan *p, size_t first, size_t end)
{
	const size_t left = p->count - first;
	const size_t calls = left < GROUP_CALLS ? left : GROUP_CALLS;

	emit(c, BPF_JUMP_GREATER, p->numbers[first + calls - 1], calls, 0);
	for (size_t i = 0; i < calls; i++) {
		const uint16_t number = p->numbers[first + i];
		const size_t behind = end - c->length - 1;

		emit(c, BPF_JUMP_EQUAL, number, behind + p->end_of[number],
			i + 1 < calls ? 0 : behind + END_OTHERWISE);
	}
}

static void emit_all(struct code *c, const struct plan *p, uint32_t otherwise)
{
	const size_t groups = (p->count + GROUP_CALLS - 1) / GROUP_CALLS;
	const size_t end = 3 + p->count + groups;

	c->length = 0;
	emit(c, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, architecture), 0, 0);
	emit(c, BPF_JUMP_EQUAL, KERNEL_ARCHITECTURE, 0, end - 2 + END_OTHERWISE);
	emit(c, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, number), 0, 0);
	for (size_t first = 0; first < p->count; first += GROUP_CALLS)
		emit_group(c, p, first, end);
	/* the ends, as enum end counts them */
	emit(c, BPF_RETURN, otherwise, 0, 0);
	emit(c, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, arguments[2]), 0, 0);
	emit(c, BPF_JUMP_ANY_BIT, PROT_EXEC, 2, 0);
	emit(c, BPF_RETURN, SECCOMP_ALLOW, 0, 0);
	emit(c, BPF_RETURN, SECCOMP_ERRNO | EACCES, 0, 0);
	emit(c, BPF_RETURN, otherwise, 0, 0);
}

bool filter_set(const struct filter_wish *wish)
{
	struct plan plan;
	struct code code;
	struct kernel_bpf_program program = {0, code.code};

	if (!make_plan(&plan, wish)) {
		errno = E2BIG;
		return false;
	}
	emit_all(&code, &plan, wish->otherwise);
	program.length = code.length;
	/* EINVAL: a kernel that was built without it */
	return prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) == 0 || errno == EINVAL;
}

#else

bool filter_set(const struct filter_wish *wish)
{
	(void)wish;
	return true;
}

#endif
