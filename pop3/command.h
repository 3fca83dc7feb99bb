/* command: one table of commands for each state; arguments are checked and bad commands counted
 * here, for all states. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pop3/wire.h"

/* What may follow a keyword and one space (RFC 1939 section 3). Spaces at the end of the line
 * are ignored, as qmail-pop3d and popa3d do, except in the VERBATIM kinds: there they belong to
 * a login or a password. */
enum command_arguments {
	ARGUMENTS_NONE,
	ARGUMENTS_REST,             /* the rest of the line, perhaps nothing */
	ARGUMENTS_NUMBER,           /* a message number */
	ARGUMENTS_MAYBE_NUMBER,     /* a message number or nothing */
	ARGUMENTS_NUMBER_AND_LINES, /* a message number and a count: TOP */
	ARGUMENTS_VERBATIM,         /* all the rest of the line, at least one octet: USER */
	/* never in a log: */
	ARGUMENTS_TEXT_SECRET,    /* the rest of the line, at least one octet: APOP */
	ARGUMENTS_REST_SECRET,    /* the rest of the line, perhaps nothing: AUTH */
	ARGUMENTS_VERBATIM_SECRET /* all the rest of the line, perhaps nothing: PASS */
};

/* A command's arguments, checked. */
struct command_input {
	struct span text;
	bool has_number;
	uint64_t number; /* UINT64_MAX also stands for every larger number */
	uint64_t lines;
};

enum command_result {
	COMMAND_GOOD,
	COMMAND_BAD, /* counts towards the bad commands that a state allows */
	COMMAND_END, /* the state is over */
};

/* Serves one command, and puts its reply on the wire unless the state is over. */
typedef enum command_result command_function(void *state, const struct command_input *input);

struct command {
	const char *keyword; /* upper case */
	enum command_arguments arguments;
	command_function *run;
};

struct command_table {
	const struct command *commands;
	size_t count;
	bool secret;          /* input may hold a password: wipe it after each command */
	unsigned bad_allowed; /* so many bad commands end the state; 0: no limit */
};

enum command_end {
	COMMANDS_ENDED,       /* a command returned COMMAND_END */
	COMMANDS_WIRE_CLOSED, /* see the wire's end */
	COMMANDS_TOO_MANY_BAD
};

/* Reads and serves commands until the state is over. Answers errors of the client itself:
 * unknown commands, wrong arguments, lines that are too long or hold a NUL. */
enum command_end command_loop(struct wire *w, const struct command_table *table, void *state);

#endif
