/* sandbox-probe: pop3d after a break-in. It is all of pop3d, linked with --wrap=command_loop
 * and --wrap=confine_monitor, so that each of its processes does what an attacker wishes, in
 * its own sandbox. Before and after the login, the command "TRY NAME [NUMBER]" makes the
 * process that serves it try the attempt of that name. A process that survives answers "+OK
 * works" or "+OK errno N". The monitor makes the attempt that TRY_MONITOR names as soon as a
 * session runs, and logs "tried errno=N" (0 means that it works). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "confine/confine.h"
#include "lib/number.h"
#include "os/log.h"
#include "pop3/command.h"
#include "tests/support/attempts.h"

#define MAX_COMMANDS 32

/* A signal that the kernel sends to any process for this one: the owner of a descriptor gets
 * the signal of its choice when something can be read there. */
static int signal_by_descriptor(pid_t pid)
{
	if (fcntl(0, F_SETOWN, pid) != 0 || fcntl(0, F_SETSIG, SIGKILL) != 0 ||
		fcntl(0, F_SETFL, O_ASYNC) != 0)
		return errno;
	return 0;
}

static struct wire *wire;

static enum command_result command_try(void *state, const struct command_input *input)
{
	static const char by_descriptor[] = "signal-by-descriptor ";
	const size_t octets = sizeof by_descriptor - 1;
	const struct attempt *const a = attempt_find(input->text.octets, input->text.length);
	uint64_t pid;
	int error_number;

	(void)state;
	if (a != NULL) {
		error_number = attempt_make(a);
	} else if (input->text.length > octets &&
		   memcmp(input->text.octets, by_descriptor, octets) == 0 &&
		   number_parse(
			   input->text.octets + octets, input->text.length - octets, &pid)) {
		error_number = signal_by_descriptor((pid_t)pid);
	} else {
		wire_reply(wire, "-ERR no such attempt");
		return COMMAND_GOOD;
	}
	if (error_number == 0)
		wire_reply(wire, "+OK works");
	else
		wire_reply(wire, "+OK errno %d", error_number);
	return COMMAND_GOOD;
}

__typeof__(command_loop) __real_command_loop, __wrap_command_loop;

enum command_end __wrap_command_loop(
	struct wire *w, const struct command_table *table, void *state)
{
	static struct command commands[MAX_COMMANDS];
	struct command_table longer = *table;

	longer.commands = commands;
	longer.count++;
	if (longer.count > MAX_COMMANDS)
		abort();
	memcpy(commands, table->commands, table->count * sizeof *commands);
	commands[table->count] = (struct command){"TRY", ARGUMENTS_REST, command_try};
	wire = w;
	return __real_command_loop(w, &longer, state);
}

__typeof__(confine_monitor) __real_confine_monitor, __wrap_confine_monitor;

void __wrap_confine_monitor(void)
{
	const char *const name = getenv("TRY_MONITOR");
	const struct attempt *const a = name != NULL ? attempt_find(name, strlen(name)) : NULL;

	__real_confine_monitor();
	if (a != NULL)
		log_event(LOG_INFO, "tried name=%s errno=%d", name, attempt_make(a));
}
