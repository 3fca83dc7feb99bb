/* signals: the signals that ask a process to end arrive only while it waits. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>

/* From here on signals arrive only while ppoll waits with this mask. */
void signals_take(sigset_t *while_waiting);

/* The signal that has asked this process to end, or 0. */
int signals_end(void);

#endif
