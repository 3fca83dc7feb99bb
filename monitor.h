/* monitor: the process that the superserver started and counts. */
#ifndef MONITOR_H
#define MONITOR_H

#include "auth.h"
#include "auth/request.h"

/* Serves one connection on descriptors 0 and 1: forks the greeter, has its logins served, waits
 * for the session. Returns the exit status of the process: the session's; 0 without one; 100
 * and 111 for faults of the configuration and the system; 128 and a signal's number when that
 * ended it. */
int monitor_serve(struct options *o);

/* Takes notice of what the greeter says of the connection in a permitted request: that TLS is
 * to begin, which is started, or whose connection a proxy passes on. Then other ways to log in
 * are offered. Returns false, having said so in the log and ended the greeter, where the
 * connection is of no use any more. */
bool monitor_take_change(struct monitor *m, const struct request *request);

/* Ends the greeter, if there still is one: gives it grace_ms to end by itself and logs how it
 * ended; with 0 it is killed at once and without a word, as there is nothing left for it to do.
 */
void monitor_end_greeter(struct monitor *m, int64_t grace_ms);

/* Logs a login that came to nothing: refused, or a checker that failed (wait_status as of
 * waitpid) or could not be started. */
void monitor_log_failure(
	const struct monitor *m, enum request_verdict verdict, int wait_status);

/* The signal that asked this process to end, or 0. */
int monitor_end_signal(void);

/* For the log: what a death by this signal (wait_status as of waitpid) means, or an empty text.
 */
const char *monitor_signal_note(int wait_status);

#endif
