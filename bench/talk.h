/* talk: one POP3 session from the client's side: the script of its commands, the outstanding
 * answers, and the times of the answers. */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "figures.h"
#include "reply.h"

#define TALK_WINDOW 128 /* Commands that can wait for an answer. */
#define TALK_OUTPUT_OCTETS 16384

enum scenario {
	SCENARIO_LOGIN, /* USER PASS STAT QUIT */
	SCENARIO_POLL,  /* USER PASS STAT LIST UIDL QUIT */
	SCENARIO_RETR,  /* USER PASS LIST, RETR of every message, QUIT */
	SCENARIO_TOP,   /* USER PASS LIST, TOP of every message, QUIT */
	SCENARIO_IDLE,  /* USER PASS STAT, wait until the plan is SCENARIO_LOGIN, QUIT */
	SCENARIO_RAW,   /* read to the end of file, say nothing */
};

/* What all sessions of a run have in common. */
struct talk_plan {
	enum scenario scenario;
	const char *user; /* "%" stands for the number of the user */
	const char *password;
	unsigned window; /* commands on their way at once, after login */
	unsigned top_lines;
	bool logged_in; /* the server is a session program: its greeting is the answer of PASS
			 */
	bool checked;   /* messages are looked at line by line */
};

enum talk_command {
	TALK_GREETING,
	TALK_USER,
	TALK_PASS,
	TALK_STAT,
	TALK_LIST,
	TALK_UIDL,
	TALK_RETR,
	TALK_TOP,
	TALK_QUIT,
};

struct talk_waiting {
	enum talk_command command;
	uint64_t number; /* of the message */
	int64_t sent_ns;
};

/* Where the script stands: what is to be sent next. */
enum talk_step {
	STEP_USER,
	STEP_PASS,
	STEP_STAT,
	STEP_LIST,
	STEP_UIDL,
	STEP_MESSAGES,
	STEP_QUIT,
	STEP_END
};

struct talk {
	const struct talk_plan *plan;
	struct figures *figures;
	unsigned user;
	enum talk_step step;
	bool held;                 /* SCENARIO_IDLE: everything but QUIT is done */
	bool said_bye;             /* QUIT has been answered: only the end of file is to come */
	uint64_t messages, octets; /* as STAT or LIST said */
	uint64_t next;             /* message to be retrieved */
	int64_t begun_ns, pass_ns, first_retr_ns, last_retr_ns, first_octet_ns;
	uint64_t retr_octets;
	struct reply reply;
	struct reply_sizes sizes;
	size_t first, count; /* of waiting, a ring */
	struct talk_waiting waiting[TALK_WINDOW];
	size_t out_start, out_end;
	char out[TALK_OUTPUT_OCTETS];
};

int64_t talk_now_ns(void);

/* Begins a session (memory of an earlier one in t is used again). */
void talk_begin(
	struct talk *t, const struct talk_plan *plan, struct figures *figures, unsigned user);

/* Writes the commands that can be sent now to out. */
void talk_prompt(struct talk *t);

/* Takes what the server sent. Returns false if something was wrong; figures has the problem. */
bool talk_hear(struct talk *t, const char *octets, size_t length);

/* The server closed the connection. Returns false if that was too early. */
bool talk_end(struct talk *t);

/* Notes the first problem of all; always returns false. */
bool talk_problem(struct talk *t, const char *problem, const char *detail);

#endif
