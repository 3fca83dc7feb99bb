/* login_attempt: one attempt to log in, from the credentials to the reply. */
#ifndef LOGIN_ATTEMPT_H
#define LOGIN_ATTEMPT_H

#include "auth/conversation.h"

/* What became of an attempt. */
enum login_attempt {
	LOGIN_ATTEMPT_GRANTED,
	LOGIN_ATTEMPT_REFUSED,
	LOGIN_ATTEMPT_REPEATED, /* refused before on this connection: the checker was not asked
				 */
	LOGIN_ATTEMPT_MISCONFIGURED,
	LOGIN_ATTEMPT_TEMPORARY,
	LOGIN_ATTEMPT_UNACCEPTABLE, /* against the limits; the reply was sent */
	LOGIN_ATTEMPT_ORPHAN,       /* the monitor is gone */
};

/* Whether this mechanism is not offered on this connection. If so, sends the reply that says
 * what the client can do instead (RFC 2449 section 8.1.2, RFC 3206). */
bool login_attempt_is_forbidden(struct conversation *c, enum mechanism mechanism);

/* Sends a request to the monitor and waits for its answer, an enum request_verdict; 0 if the
 * monitor is gone. The request is wiped. */
unsigned char login_attempt_ask_monitor(struct conversation *c, struct request *request);

/* Has login and password (or digest, or token) checked. Wipes the command's input. Sends
 * replies that are still in the buffer first, because those of the session follow. */
enum login_attempt login_attempt_make(
	struct conversation *c, enum mechanism kind, struct span login, struct span password);

/* Sends the reply to an attempt and counts it. Returns the result of the command. */
enum command_result login_attempt_answer(struct conversation *c, enum login_attempt attempt);

/* Tells the monitor the login that a client named where no password is taken, for the log; a
 * few times for each connection. */
void login_attempt_tell_name(struct conversation *c, struct span login);

#endif
