/* figures: see figures.h. */
#include "figures.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const latency_names[LATENCIES] = {
	[LATENCY_GREETING] = "greeting",
	[LATENCY_PASS] = "pass",
	[LATENCY_STAT] = "stat",
	[LATENCY_PASS_TO_STAT] = "pass_to_stat",
	[LATENCY_LIST] = "list",
	[LATENCY_UIDL] = "uidl",
	[LATENCY_RETR_FIRST] = "retr_first",
	[LATENCY_RETR] = "retr",
	[LATENCY_TOP] = "top",
	[LATENCY_QUIT] = "quit",
	[LATENCY_SESSION] = "session",
	[LATENCY_CPU] = "cpu",
};

void figures_latency(struct figures *f, enum latency which, int64_t ns)
{
	struct series *const s = &f->latencies[which];

	if (s->count == s->capacity) {
		const size_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
		float *const grown =
			reallocarray(s->microseconds, capacity, sizeof *s->microseconds);

		if (grown == NULL)
			abort();
		s->microseconds = grown;
		s->capacity = capacity;
	}
	s->microseconds[s->count++] = (float)((double)ns / 1e3);
}

static int compare(const void *left, const void *right)
{
	const float a = *(const float *)left, b = *(const float *)right;

	return (a > b) - (a < b);
}

static double percentile(const struct series *s, size_t percent)
{
	return (double)s->microseconds[(s->count - 1) * percent / 100];
}

static void print_latency(const struct figures *f, enum latency which, FILE *out)
{
	const struct series *const s = &f->latencies[which];

	if (s->count == 0)
		return;
	qsort(s->microseconds, s->count, sizeof *s->microseconds, compare);
	fprintf(out, ", \"%s_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}",
		latency_names[which], percentile(s, 50), percentile(s, 99), percentile(s, 100));
}

static void print_values(const struct figures *f, enum latency which, FILE *out)
{
	const struct series *const s = &f->latencies[which];

	fprintf(out, ", \"%s_values_us\": [", latency_names[which]);
	for (size_t i = 0; i < s->count; i++)
		fprintf(out, "%s%.0f", i > 0 ? ", " : "", (double)s->microseconds[i]);
	fputc(']', out);
}

/* A server's words can contain anything. */
static void print_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

void figures_print(struct figures *f, bool values, FILE *out)
{
	fprintf(out,
		"{\"sessions\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"octets\": %" PRIu64
		", \"messages\": %" PRIu64 ", \"wrong_sizes\": %" PRIu64
		", \"retr_octets\": %" PRIu64 ", \"retr_s\": %.9f, \"raw_s\": %.9f"
		", \"elapsed_s\": %.9f, \"reaped\": %" PRIu64 ", \"user_s\": %.6f"
		", \"system_s\": %.6f, \"page_faults\": %" PRId64 ", \"most_kb\": %" PRId64,
		f->sessions, f->failed, f->octets, f->messages, f->wrong_sizes, f->retr_octets,
		(double)f->retr_ns / 1e9, (double)f->raw_ns / 1e9, (double)f->elapsed_ns / 1e9,
		f->reaped, (double)f->user_us / 1e6, (double)f->system_us / 1e6, f->page_faults,
		f->most_kb);
	for (int i = 0; i < LATENCIES; i++)
		print_latency(f, (enum latency)i, out);
	if (values) {
		print_values(f, LATENCY_SESSION, out);
		print_values(f, LATENCY_CPU, out);
	}
	fputs(", \"first_problem\": ", out);
	print_text(f->first_problem, out);
	fputs("}\n", out);
}
