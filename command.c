/* command: see command.h. */
#include "command.h"

#include <string.h>
#include <strings.h>

#include "log.h"

bool command_number(const char *octets, size_t length, uint64_t *number)
{
	uint64_t value = 0;

	for (size_t i = 0; i < length; i++) {
		uint64_t digit;

		if (octets[i] < '0' || octets[i] > '9')
			return false;
		digit = (uint64_t)(octets[i] - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*number = value;
	return length > 0;
}

static const char *parse_number(const char *octets, size_t length, struct command_input *input)
{
	input->has_number = true;
	if (command_number(octets, length, &input->number))
		return NULL;
	return "message numbers are decimal and start at 1";
}

static const char *parse_number_and_lines(struct command_input *input)
{
	const char *const octets = input->text.octets;
	const char *const space = memchr(octets, ' ', input->text.length);
	const char *problem;
	size_t first;

	if (space == NULL)
		return "a message number and a number of lines are needed";
	first = (size_t)(space - octets);
	problem = parse_number(octets, first, input);
	if (problem != NULL)
		return problem;
	if (!command_number(space + 1, input->text.length - first - 1, &input->lines))
		return "the number of lines is decimal and not negative";
	return NULL;
}

/* Checks the text behind the keyword; returns what is wrong with it, or NULL. */
static const char *parse_arguments(enum command_arguments rule, struct command_input *input)
{
	const struct wire_text text = input->text;

	switch (rule) {
	case ARGUMENTS_NONE: return text.length == 0 ? NULL : "this command takes no argument";
	case ARGUMENTS_TEXT:
	case ARGUMENTS_TEXT_SECRET: return text.length > 0 ? NULL : "argument missing";
	case ARGUMENTS_REST:
	case ARGUMENTS_REST_SECRET: return NULL;
	case ARGUMENTS_MAYBE_NUMBER:
		return text.length == 0 ? NULL : parse_number(text.octets, text.length, input);
	case ARGUMENTS_NUMBER:
		if (text.length == 0)
			return "message number missing";
		return parse_number(text.octets, text.length, input);
	case ARGUMENTS_NUMBER_AND_LINES: return parse_number_and_lines(input);
	}
	return "unknown command";
}

static const struct command *find(const struct command_table *table, struct wire_text keyword)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct command *const command = &table->commands[i];

		if (strlen(command->keyword) == keyword.length &&
			strncasecmp(command->keyword, keyword.octets, keyword.length) == 0)
			return command;
	}
	return NULL;
}

static enum command_result bad(struct wire *w, const char *text)
{
	wire_reply(w, "-ERR %s", text);
	return COMMAND_BAD;
}

/* For --debug. What stands behind an unknown keyword may be a password as well. */
static void log_command(const struct command *command, struct wire_text arguments)
{
	char quoted[256];
	const bool secret = command == NULL || command->arguments == ARGUMENTS_TEXT_SECRET ||
			    command->arguments == ARGUMENTS_REST_SECRET;

	if (!log_shows_debug())
		return;
	log_event(LOG_DEBUG, "protocol client=%s%s%s", command == NULL ? "?" : command->keyword,
		arguments.length > 0 ? " arguments=" : "",
		arguments.length == 0 ? ""
		: secret
			? "(hidden)"
			: log_quote(quoted, sizeof quoted, arguments.octets, arguments.length));
}

static enum command_result dispatch(
	struct wire *w, const struct command_table *table, void *state, struct wire_text line)
{
	const char *const space = memchr(line.octets, ' ', line.length);
	const size_t keyword = space != NULL ? (size_t)(space - line.octets) : line.length;
	const struct command *command;
	struct command_input input = {.text = {line.octets + line.length, 0}};
	const char *problem;

	if (space != NULL)
		input.text = (struct wire_text){space + 1, line.length - keyword - 1};
	command = find(table, (struct wire_text){line.octets, keyword});
	log_command(command, input.text);
	if (command == NULL)
		return bad(w, "unknown command");
	problem = parse_arguments(command->arguments, &input);
	if (problem != NULL)
		return bad(w, problem);
	return command->run(state, &input);
}

enum command_end command_loop(struct wire *w, const struct command_table *table, void *state)
{
	unsigned bad_commands = 0;

	while (table->bad_allowed == 0 || bad_commands < table->bad_allowed) {
		struct wire_text line;
		enum command_result result = COMMAND_BAD;

		switch (wire_read_line(w, &line)) {
		case WIRE_NO_LINE: return COMMANDS_WIRE_CLOSED;
		case WIRE_LINE_TOO_LONG:
			result = bad(w, "line too long, at most 255 octets");
			break;
		case WIRE_LINE_HAS_NUL: result = bad(w, "NUL in command line"); break;
		case WIRE_LINE: result = dispatch(w, table, state, line); break;
		}
		if (table->secret)
			wire_forget_input(w);
		if (result == COMMAND_END)
			return COMMANDS_ENDED;
		bad_commands += result == COMMAND_BAD;
	}
	return COMMANDS_TOO_MANY_BAD;
}
