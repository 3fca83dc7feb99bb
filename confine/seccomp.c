/* seccomp: see seccomp.h.
 *
 * Lists of calls are turned into BPF here: building that with libseccomp took 0.15 ms at every
 * start of a process, and there are three filters a session.
 *
 * When a filter is set, Linux runs it for every number there is, to know which calls are always
 * allowed; later calls of those numbers do without the filter. That costs 0.1 ms for a session,
 * more than the hundred calls that a short session makes can save. Linux does so only for
 * filters whose instructions it can all follow, and TAX is none of them. So each filter begins
 * with one, and decides each call itself: one comparison after the other takes some 10 ns. */
#include "confine/seccomp.h"

#include "confine/kernel.h"

#ifdef KERNEL_ARCHITECTURE

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define NUMBERS 512 /* above all calls that are asked for here */
#define CALLS 64
#define COMMANDS 4    /* of fcntl, at most */
#define NONBLOCKING 5 /* instructions for that */
#define LENGTH (4 + CALLS + 11 + COMMANDS + NONBLOCKING)

/* Where a comparison goes to. Each is a few instructions after the last comparison. */
enum end {
	END_MEMORY,
	END_NO_ADDRESS,
	END_COMMAND,
	END_OTHERWISE,
	END_ALLOW,
	END_REFUSE,
	ENDS,
	NO_END = 255, /* in no list */
};

struct plan {
	uint8_t end_of[NUMBERS];
	uint8_t at[ENDS]; /* counted from the first instruction after the comparisons */
	size_t count;     /* of numbers in a list */
};

struct code {
	struct kernel_bpf code[LENGTH];
	uint16_t length;
};

static bool add_calls(struct plan *p, struct seccomp_calls calls, enum end end)
{
	for (size_t i = 0; i < calls.count; i++) {
		if (calls.numbers[i] < 0 || calls.numbers[i] >= NUMBERS)
			return false;
		p->count += p->end_of[calls.numbers[i]] == NO_END;
		p->end_of[calls.numbers[i]] = (uint8_t)end;
	}
	return p->count <= CALLS;
}

static bool make_plan(struct plan *p, const struct seccomp_wish *wish)
{
	const size_t otherwise =
		8 + wish->commands.count + (wish->nonblocking ? NONBLOCKING : 0);

	if (wish->commands.count > COMMANDS)
		return false;
	memset(p->end_of, NO_END, sizeof p->end_of);
	p->count = 0;
	p->at[END_MEMORY] = 1;
	p->at[END_NO_ADDRESS] = 3;
	p->at[END_COMMAND] = 7;
	p->at[END_OTHERWISE] = (uint8_t)otherwise;
	p->at[END_ALLOW] = (uint8_t)(otherwise + 1);
	p->at[END_REFUSE] = (uint8_t)(otherwise + 2);
	return add_calls(p, wish->allowed[0], END_ALLOW) &&
	       add_calls(p, wish->allowed[1], END_ALLOW) &&
	       add_calls(p, wish->memory, END_MEMORY) &&
	       add_calls(p, wish->addressless, END_NO_ADDRESS) &&
	       add_calls(p, wish->commanded, END_COMMAND) &&
	       add_calls(p, wish->refused, END_REFUSE);
}

static void emit(struct code *c, uint16_t code, uint32_t value, size_t if_true, size_t if_false)
{
	c->code[c->length++] =
		(struct kernel_bpf){code, (uint8_t)if_true, (uint8_t)if_false, value};
}

/* How far it is from the instruction that comes next to an end. */
static size_t distance(const struct code *c, const struct plan *p, size_t end, enum end to)
{
	return end + p->at[to] - c->length - 1;
}

static void emit_argument(struct code *c, size_t number, size_t half)
{
	emit(c, BPF_LOAD_WORD,
		(uint32_t)(offsetof(struct kernel_seccomp_data, arguments) + 8 * number +
			   4 * half),
		0, 0);
}

static void emit_nonblocking(struct code *c, const struct plan *p, size_t end)
{
	emit(c, BPF_JUMP_EQUAL, F_SETFL, 0, distance(c, p, end, END_OTHERWISE));
	emit_argument(c, 0, 0);
	emit(c, BPF_JUMP_GREATER, 1, distance(c, p, end, END_OTHERWISE), 0);
	emit_argument(c, 2, 0);
	emit(c, BPF_JUMP_EQUAL, O_NONBLOCK, distance(c, p, end, END_ALLOW),
		distance(c, p, end, END_OTHERWISE));
}

/* The ends, in the order and of the length that make_plan gave them. */
static void emit_ends(struct code *c, const struct plan *p, const struct seccomp_wish *wish)
{
	const size_t end = c->length;

	emit(c, BPF_RETURN, wish->otherwise, 0, 0); /* in no list */
	emit_argument(c, 2, 0);
	emit(c, BPF_JUMP_ANY_BIT, PROT_EXEC, distance(c, p, end, END_OTHERWISE),
		distance(c, p, end, END_ALLOW));
	emit_argument(c, 4, 0);
	emit(c, BPF_JUMP_EQUAL, 0, 0, distance(c, p, end, END_OTHERWISE));
	emit_argument(c, 4, 1);
	emit(c, BPF_JUMP_EQUAL, 0, distance(c, p, end, END_ALLOW),
		distance(c, p, end, END_OTHERWISE));
	emit_argument(c, 1, 0);
	for (size_t i = 0; i < wish->commands.count; i++)
		emit(c, BPF_JUMP_EQUAL, (uint32_t)wish->commands.numbers[i],
			distance(c, p, end, END_ALLOW), 0);
	if (wish->nonblocking)
		emit_nonblocking(c, p, end);
	emit(c, BPF_RETURN, wish->otherwise, 0, 0);
	emit(c, BPF_RETURN, SECCOMP_ALLOW, 0, 0);
	emit(c, BPF_RETURN, SECCOMP_ERRNO | EACCES, 0, 0);
}

static void emit_all(struct code *c, const struct plan *p, const struct seccomp_wish *wish)
{
	const size_t end = 4 + p->count; /* of the comparisons */

	c->length = 0;
	emit(c, BPF_TAX, 0, 0, 0); /* changes nothing: see the top of this file */
	emit(c, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, architecture), 0, 0);
	emit(c, BPF_JUMP_EQUAL, KERNEL_ARCHITECTURE, 0, distance(c, p, end, END_OTHERWISE));
	emit(c, BPF_LOAD_WORD, offsetof(struct kernel_seccomp_data, number), 0, 0);
	for (size_t i = 0; i < NUMBERS; i++)
		if (p->end_of[i] != NO_END)
			emit(c, BPF_JUMP_EQUAL, (uint32_t)i,
				distance(c, p, end, (enum end)p->end_of[i]), 0);
	emit_ends(c, p, wish);
}

bool seccomp_set(const struct seccomp_wish *wish)
{
	struct plan plan;
	struct code code;
	struct kernel_bpf_program program = {0, code.code};

	if (!make_plan(&plan, wish)) {
		errno = E2BIG;
		return false;
	}
	emit_all(&code, &plan, wish);
	program.length = code.length;
	/* EINVAL: a kernel that was built without it */
	return prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) == 0 || errno == EINVAL;
}

#else

bool seccomp_set(const struct seccomp_wish *wish)
{
	(void)wish;
	return true;
}

#endif
