/* login_attempt: one attempt to log in, from the credentials to the reply. */
#ifndef LOGIN_ATTEMPT_H
#define LOGIN_ATTEMPT_H

#include "auth/conversation.h"

/* What became of an attempt. */
enum login_attempt {
	LOGIN_ATTEMPT_GRANTED,
	LOGIN_ATTEMPT_REFUSED,
	LOGIN_ATTEMPT_REPEATED, /* refused before on this connection, so nobody was asked */
	LOGIN_ATTEMPT_MISCONFIGURED,
	LOGIN_ATTEMPT_TEMPORARY,
	LOGIN_ATTEMPT_UNACCEPTABLE, /* the limits forbid it, and a reply has said so */
	LOGIN_ATTEMPT_ORPHAN,       /* the monitor is gone */
};

/* Whether the policy of the host forbids this way to log in; then a reply has said what the
 * client can do instead (RFC 2449 section 8.1.2, RFC 3206). Clients that ask first learn it
 * before they send a password. */
bool login_attempt_is_forbidden(struct conversation *c, enum mechanism mechanism);

/* Sends a request to the monitor and waits for its answer, an enum request_verdict; 0 if the
 * monitor is gone. The request is wiped. */
unsigned char login_attempt_ask_monitor(struct conversation *c, struct request *request);

/* Has login and password (digest, token) checked. The command's input is wiped. Replies that
 * wait are sent before: they must not come after the session's. */
enum login_attempt login_attempt_make(
	struct conversation *c, enum mechanism kind, struct span login, struct span password);

/* Replies and counts; for the command that made the attempt to return. */
enum command_result login_attempt_answer(struct conversation *c, enum login_attempt attempt);

#endif
