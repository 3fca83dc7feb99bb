/* talk: see talk.h. */
#include "talk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const command_names[] = {
	"greeting", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "QUIT"};

int64_t talk_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool talk_problem(struct talk *t, const char *problem, const char *detail)
{
	struct figures *const f = t->figures;
	const char *const command =
		t->count > 0 ? command_names[t->waiting[t->first].command] : "end";

	if (f->first_problem[0] == '\0')
		snprintf(f->first_problem, sizeof f->first_problem, "user %u, %s: %s: %.100s",
			t->user, command, problem, detail);
	return false;
}

static enum reply_shape shape_of(enum talk_command command)
{
	switch (command) {
	case TALK_LIST: return REPLY_SCAN;
	case TALK_UIDL: return REPLY_UIDS;
	case TALK_RETR:
	case TALK_TOP: return REPLY_MESSAGE;
	default: return REPLY_STATUS;
	}
}

/* The reply to the oldest command without one comes next. */
static void expect_next(struct talk *t)
{
	if (t->count > 0)
		reply_expect(
			&t->reply, shape_of(t->waiting[t->first].command), t->plan->checked);
}

static void await_reply(struct talk *t, enum talk_command command, uint64_t number)
{
	t->waiting[(t->first + t->count) % TALK_WINDOW] =
		(struct talk_waiting){command, number, talk_now_ns()};
	t->count++;
	if (t->count == 1)
		expect_next(t);
}

static bool fetches(const struct talk_plan *plan)
{
	return plan->scenario == SCENARIO_RETR || plan->scenario == SCENARIO_TOP;
}

static enum talk_step step_after_pass(const struct talk_plan *plan)
{
	return fetches(plan) ? STEP_LIST : STEP_STAT;
}

void talk_begin(
	struct talk *t, const struct talk_plan *plan, struct figures *figures, unsigned user)
{
	struct reply_sizes sizes = t->sizes;

	memset(t, 0, offsetof(struct talk, out));
	sizes.count = 0;
	t->sizes = sizes;
	t->plan = plan;
	t->figures = figures;
	t->user = user;
	t->next = 1;
	t->step = plan->logged_in ? step_after_pass(plan) : STEP_USER;
	t->begun_ns = t->pass_ns = talk_now_ns();
	if (plan->scenario != SCENARIO_RAW)
		await_reply(t, TALK_GREETING, 0);
}

/* The pattern of user names, with the number in place of "%". */
static void write_user(const struct talk *t, char *line, size_t capacity)
{
	const char *const pattern = t->plan->user;
	const int before = (int)strcspn(pattern, "%");

	if (pattern[before] == '\0')
		snprintf(line, capacity, "USER %s\r\n", pattern);
	else
		snprintf(line, capacity, "USER %.*s%u%s\r\n", before, pattern, t->user,
			pattern + before + 1);
}

static void send_command(struct talk *t, enum talk_command command, uint64_t number)
{
	char line[256];
	size_t length;

	if (command == TALK_USER)
		write_user(t, line, sizeof line);
	else if (command == TALK_PASS)
		snprintf(line, sizeof line, "PASS %s\r\n", t->plan->password);
	else if (command == TALK_RETR)
		snprintf(line, sizeof line, "RETR %" PRIu64 "\r\n", number);
	else if (command == TALK_TOP)
		snprintf(line, sizeof line, "TOP %" PRIu64 " %u\r\n", number,
			t->plan->top_lines);
	else
		snprintf(line, sizeof line, "%s\r\n", command_names[command]);
	length = strlen(line);
	memcpy(t->out + t->out_end, line, length);
	t->out_end += length;
	await_reply(t, command, number);
	if (command == TALK_PASS)
		t->pass_ns = talk_now_ns();
	if (command == TALK_RETR && t->first_retr_ns == 0)
		t->first_retr_ns = talk_now_ns();
}

static bool step_message(struct talk *t)
{
	if (t->next > t->messages) {
		t->step = STEP_QUIT;
		return true;
	}
	send_command(t, t->plan->scenario == SCENARIO_TOP ? TALK_TOP : TALK_RETR, t->next);
	t->next++;
	return true;
}

/* Sends what the script has at its present step and goes on to the next one. Returns false if
 * it has to wait for replies first. */
static bool take_step(struct talk *t)
{
	const enum scenario scenario = t->plan->scenario;

	switch (t->step) {
	case STEP_USER:
		send_command(t, TALK_USER, 0);
		t->step = STEP_PASS;
		return true;
	case STEP_PASS:
		send_command(t, TALK_PASS, 0);
		t->step = step_after_pass(t->plan);
		return true;
	case STEP_STAT:
		send_command(t, TALK_STAT, 0);
		t->step = scenario == SCENARIO_POLL ? STEP_LIST : STEP_QUIT;
		return true;
	case STEP_LIST:
		send_command(t, TALK_LIST, 0);
		t->step = fetches(t->plan) ? STEP_MESSAGES : STEP_UIDL;
		return true;
	case STEP_UIDL:
		send_command(t, TALK_UIDL, 0);
		t->step = STEP_QUIT;
		return true;
	case STEP_MESSAGES: return step_message(t);
	case STEP_QUIT:
		t->held = scenario == SCENARIO_IDLE && t->count == 0;
		if (scenario == SCENARIO_IDLE)
			return false;
		send_command(t, TALK_QUIT, 0);
		t->step = STEP_END;
		return true;
	case STEP_END: break;
	}
	return false;
}

void talk_prompt(struct talk *t)
{
	if (t->plan->scenario == SCENARIO_RAW)
		return;
	for (;;) {
		/* One by one up to and including LIST, whose answer the rest needs. */
		const bool in_turn =
			t->step <= STEP_LIST || (t->step == STEP_MESSAGES && t->next == 1);
		const size_t window = in_turn ? 1 : t->plan->window;

		if (t->count >= window || sizeof t->out - t->out_end < 256 || !take_step(t))
			return;
	}
}

static bool stat_answer(struct talk *t)
{
	char *end;

	t->messages = strtoull(t->reply.line + 3, &end, 10);
	t->octets = strtoull(end, &end, 10);
	return *end == '\0' || talk_problem(t, "not as STAT answers", t->reply.line);
}

static bool list_answer(struct talk *t)
{
	const bool after_stat = t->plan->scenario == SCENARIO_POLL;

	if (after_stat && (t->reply.lines != t->messages || t->reply.sum_octets != t->octets))
		return talk_problem(t, "STAT and LIST", "do not agree");
	t->messages = t->reply.lines;
	t->octets = t->reply.sum_octets;
	return true;
}

static void message_answer(struct talk *t, const struct talk_waiting *w, int64_t now_ns)
{
	t->figures->messages++;
	t->retr_octets += t->reply.wire_octets;
	t->last_retr_ns = now_ns;
	if (w->command == TALK_RETR && t->plan->checked && w->number <= t->sizes.count &&
		t->sizes.octets[w->number - 1] != t->reply.octets)
		t->figures->wrong_sizes++;
}

static void quit_answer(struct talk *t, int64_t now_ns)
{
	t->said_bye = true;
	figures_latency(t->figures, LATENCY_SESSION, now_ns - t->begun_ns);
	if (t->first_retr_ns != 0 && t->last_retr_ns != 0) {
		t->figures->retr_ns += t->last_retr_ns - t->first_retr_ns;
		t->figures->retr_octets += t->retr_octets;
	}
}

/* A reply is complete. */
static bool answered(struct talk *t)
{
	static const enum latency latencies[] = {LATENCY_GREETING, LATENCIES, LATENCY_PASS,
		LATENCY_STAT, LATENCY_LIST, LATENCY_UIDL, LATENCY_RETR, LATENCY_TOP,
		LATENCY_QUIT};
	const struct talk_waiting w = t->waiting[t->first];
	const int64_t now_ns = talk_now_ns();
	bool good = true;

	if (latencies[w.command] != LATENCIES)
		figures_latency(t->figures, latencies[w.command], now_ns - w.sent_ns);
	if (w.command == TALK_STAT) {
		figures_latency(t->figures, LATENCY_PASS_TO_STAT, now_ns - t->pass_ns);
		good = stat_answer(t);
	} else if (w.command == TALK_LIST) {
		good = list_answer(t);
	} else if (w.command == TALK_UIDL && t->reply.lines != t->messages) {
		good = talk_problem(t, "UIDL and LIST", "do not agree");
	} else if (w.command == TALK_RETR || w.command == TALK_TOP) {
		message_answer(t, &w, now_ns);
	} else if (w.command == TALK_QUIT) {
		quit_answer(t, now_ns);
	}
	t->first = (t->first + 1) % TALK_WINDOW;
	t->count--;
	expect_next(t);
	return good;
}

static void started(struct talk *t)
{
	const struct talk_waiting *const w = &t->waiting[t->first];

	if (w->command == TALK_RETR)
		figures_latency(t->figures, LATENCY_RETR_FIRST, talk_now_ns() - w->sent_ns);
	t->reply.sizes = w->command == TALK_LIST && t->plan->scenario == SCENARIO_RETR
				 ? &t->sizes
				 : NULL;
}

bool talk_hear(struct talk *t, const char *octets, size_t length)
{
	t->figures->octets += length;
	if (t->first_octet_ns == 0)
		t->first_octet_ns = talk_now_ns();
	if (t->plan->scenario == SCENARIO_RAW)
		return true;
	while (length > 0) {
		size_t used;

		if (t->count == 0)
			return talk_problem(t, "octets that nobody asked for", "");
		switch (reply_take(&t->reply, octets, length, &used)) {
		case REPLY_WRONG: return talk_problem(t, t->reply.problem, t->reply.line);
		case REPLY_STARTED: started(t); break;
		case REPLY_COMPLETE:
			if (!answered(t))
				return false;
			break;
		case REPLY_MORE: break;
		}
		octets += used;
		length -= used;
	}
	return true;
}

bool talk_end(struct talk *t)
{
	if (t->plan->scenario == SCENARIO_RAW && t->first_octet_ns != 0) {
		t->figures->raw_ns += talk_now_ns() - t->first_octet_ns;
		return true;
	}
	return t->said_bye || talk_problem(t, "the server closed the connection", "");
}
