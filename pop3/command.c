/* command: see command.h. */
#include "pop3/command.h"

#include <string.h>
#include <strings.h>

#include "lib/number.h"
#include "os/log.h"
#include "pop3/reply.h"

#define NO_PROBLEM TEXT_COUNT

static enum text parse_number(const char *octets, size_t length, struct command_input *input)
{
	input->has_number = true;
	if (number_parse(octets, length, &input->number))
		return NO_PROBLEM;
	return TEXT_BAD_NUMBER;
}

static enum text parse_number_and_lines(struct command_input *input)
{
	const char *const octets = input->text.octets;
	const char *const space = memchr(octets, ' ', input->text.length);
	enum text problem;
	size_t first;

	if (space == NULL)
		return TEXT_NUMBER_AND_LINES;
	first = (size_t)(space - octets);
	problem = parse_number(octets, first, input);
	if (problem != NO_PROBLEM)
		return problem;
	if (!number_parse(space + 1, input->text.length - first - 1, &input->lines))
		return TEXT_BAD_LINES;
	return NO_PROBLEM;
}

/* Checks the text after the keyword; returns what is wrong with it, or NO_PROBLEM. */
static enum text parse_arguments(enum command_arguments rule, struct command_input *input)
{
	const struct span text = input->text;

	switch (rule) {
	case ARGUMENTS_NONE: return text.length == 0 ? NO_PROBLEM : TEXT_NO_ARGUMENT;
	case ARGUMENTS_VERBATIM:
	case ARGUMENTS_TEXT_SECRET: return text.length > 0 ? NO_PROBLEM : TEXT_ARGUMENT_MISSING;
	case ARGUMENTS_REST:
	case ARGUMENTS_REST_SECRET:
	case ARGUMENTS_VERBATIM_SECRET: return NO_PROBLEM;
	case ARGUMENTS_MAYBE_NUMBER:
		return text.length == 0 ? NO_PROBLEM
					: parse_number(text.octets, text.length, input);
	case ARGUMENTS_NUMBER:
		if (text.length == 0)
			return TEXT_NUMBER_MISSING;
		return parse_number(text.octets, text.length, input);
	case ARGUMENTS_NUMBER_AND_LINES: return parse_number_and_lines(input);
	}
	return TEXT_UNKNOWN_COMMAND;
}

static const struct command *find_command(
	const struct command_table *table, struct span keyword)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct command *const command = &table->commands[i];

		if (strlen(command->keyword) == keyword.length &&
			strncasecmp(command->keyword, keyword.octets, keyword.length) == 0)
			return command;
	}
	return NULL;
}

static enum command_result reply_bad(struct wire *w, enum text text)
{
	reply_error(w, REPLY_NO_CODE, text);
	return COMMAND_BAD;
}

/* The text after an unknown keyword may be a password as well: PASS can be mistyped. */
static bool is_secret(const struct command *command)
{
	return command == NULL || command->arguments == ARGUMENTS_TEXT_SECRET ||
	       command->arguments == ARGUMENTS_REST_SECRET ||
	       command->arguments == ARGUMENTS_VERBATIM_SECRET;
}

/* What follows the keyword and one space, by the command's rule. */
static struct span arguments_of(const struct command *command, struct span line, size_t keyword)
{
	struct span text = {line.octets + line.length, 0};

	if (keyword < line.length)
		text = (struct span){line.octets + keyword + 1, line.length - keyword - 1};
	if (command == NULL || command->arguments == ARGUMENTS_VERBATIM ||
		command->arguments == ARGUMENTS_VERBATIM_SECRET)
		return text;
	while (text.length > 0 && text.octets[text.length - 1] == ' ')
		text.length--;
	return text;
}

/* With --debug, logs what the client sent. */
static void log_command(const struct command *command, struct span arguments)
{
	char quoted[256];
	const bool secret = is_secret(command);

	if (!log_shows_debug())
		return;
	log_event(LOG_DEBUG, "protocol client=%s%s%s", command == NULL ? "?" : command->keyword,
		arguments.length > 0 ? " arguments=" : "",
		arguments.length == 0 ? ""
		: secret
			? "(hidden)"
			: log_quote(quoted, sizeof quoted, arguments.octets, arguments.length));
}

static enum command_result run_command(
	struct wire *w, const struct command_table *table, void *state, struct span line)
{
	const char *const space = memchr(line.octets, ' ', line.length);
	const size_t keyword = space != NULL ? (size_t)(space - line.octets) : line.length;
	const struct command *const command =
		find_command(table, (struct span){line.octets, keyword});
	struct command_input input = {.text = arguments_of(command, line, keyword)};
	enum command_result result;
	enum text problem;

	log_command(command, input.text);
	problem = command != NULL ? parse_arguments(command->arguments, &input)
				  : TEXT_UNKNOWN_COMMAND;
	result = problem == NO_PROBLEM ? command->run(state, &input) : reply_bad(w, problem);
	if (is_secret(command))
		wire_forget_input(w); /* even if the table's input is not secret otherwise */
	return result;
}

enum command_end command_loop(struct wire *w, const struct command_table *table, void *state)
{
	unsigned bad_commands = 0;

	while (table->bad_allowed == 0 || bad_commands < table->bad_allowed) {
		struct span line;
		enum command_result result = COMMAND_BAD;

		switch (wire_read_line(w, &line)) {
		case WIRE_NO_LINE: return COMMANDS_WIRE_CLOSED;
		case WIRE_LINE_TOO_LONG: result = reply_bad(w, TEXT_LINE_TOO_LONG); break;
		case WIRE_LINE_HAS_NUL: result = reply_bad(w, TEXT_NUL); break;
		case WIRE_LINE: result = run_command(w, table, state, line); break;
		}
		if (table->secret)
			wire_forget_input(w);
		if (result == COMMAND_END)
			return COMMANDS_ENDED;
		bad_commands += result == COMMAND_BAD;
	}
	return COMMANDS_TOO_MANY_BAD;
}
