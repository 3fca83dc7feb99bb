/* signals: the signals that ask a process to end arrive only while it waits. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>

/* From here on signals arrive only while ppoll waits with this mask. */
void signals_take(sigset_t *while_waiting);

/* Forgets a SIGCHLD that is pending, after the child has been waited for: it would interrupt
 * the next wait for nothing. A child that ends later raises the signal again; whoever calls
 * this looks for other children before the next wait. */
void signals_forget_child(void);

/* The signal that has asked this process to end, or 0. */
int signals_end(void);

#endif
