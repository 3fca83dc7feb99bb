/* signals: see signals.h. */
#include "os/signals.h"

#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t end_signal;

int signals_end(void)
{
	return end_signal;
}

static void on_signal(int signal_number)
{
	if (signal_number != SIGCHLD)
		end_signal = signal_number;
}

/* From here on signals arrive only while ppoll waits. */
void signals_take(sigset_t *while_waiting)
{
	static const int taken[] = {
		SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		sigaction(taken[i], &action, NULL);
		sigaddset(&blocked, taken[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigemptyset(while_waiting);
}

void signals_forget_child(void)
{
	const struct timespec at_once = {0, 0};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &at_once); /* an error: none was pending */
}
