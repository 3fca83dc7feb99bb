/* parting: ends a connection so that the client receives the last reply. */
#ifndef PARTING_H
#define PARTING_H

#include <stdint.h>

/* How long a client may take to close its side. */
#define PARTING_MS 2000

/* Sends the end of the connection on the sockets 0 and 1, and drops what the client still
 * sends, until it closes its side or deadline_ms of clock_now_ms has come, and 1 MiB at most.
 * If a connection is closed while octets from the client are unread, TCP resets it, and the
 * client may lose the last reply. */
void parting_await_client(int64_t deadline_ms);

#endif
