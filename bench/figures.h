/* figures: what was measured, and how it is written. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Times that are recorded for each session or each reply. */
enum latency {
	LATENCY_GREETING,     /* connect to greeting */
	LATENCY_PASS,         /* PASS to its answer */
	LATENCY_STAT,         /* STAT to its answer */
	LATENCY_PASS_TO_STAT, /* PASS to the answer of STAT */
	LATENCY_LIST,
	LATENCY_UIDL,
	LATENCY_RETR_FIRST, /* RETR to its status line */
	LATENCY_RETR,
	LATENCY_TOP,
	LATENCY_QUIT,
	LATENCY_SESSION, /* connect to the answer of QUIT */
	LATENCY_CPU,     /* of the program that load started, and of its children */
	LATENCIES
};

struct series {
	float *microseconds;
	size_t count, capacity;
};

struct figures {
	uint64_t sessions, failed;
	uint64_t octets;      /* received in all */
	uint64_t messages;    /* received by RETR or TOP */
	uint64_t wrong_sizes; /* RETR sent another number of octets than LIST gave */
	uint64_t retr_octets; /* on the wire, of sessions that retrieved messages */
	int64_t retr_ns;      /* from the first RETR to the end of the last message, summed */
	int64_t raw_ns;       /* from the first octet to the end of file, summed */
	int64_t elapsed_ns;
	uint64_t reaped;            /* processes started here that have ended */
	int64_t user_us, system_us; /* theirs and their children's */
	int64_t page_faults;
	int64_t most_kb; /* resident memory of the largest of these processes */
	char first_problem[256];
	struct series latencies[LATENCIES];
};

void figures_latency(struct figures *f, enum latency which, int64_t ns);

/* Writes all as one JSON object on one line. Sorts the series. With values, all values of the
 * times of sessions and of their CPU are in it. */
void figures_print(struct figures *f, bool values, FILE *out);

#endif
