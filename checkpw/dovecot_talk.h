/* dovecot_talk: a conversation with one of Dovecot's sockets: what the one that checks
 * passwords and the one that knows users have in common. */
#ifndef PWDOVECOT_TALK_H
#define PWDOVECOT_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "checkpw/auth_line.h"
#include "checkpw/auth_socket.h"
#include "checkpw/status.h"
#include "checkpw/user.h"

/* The only request of a connection. */
#define TALK_ID "1"

/* One conversation; large, so there is one of it. */
struct conversation {
	struct auth_socket socket;
	const char *step, *path, *login;
	struct auth_line reply;
	size_t length;
};

/* Log a problem, and return the status: the one given; of a socket that has failed; of a reply
 * that is out of place. */
enum pw_status talk_unusable(
	const struct conversation *c, const char *problem, enum pw_status status);
enum pw_status talk_broken(const struct conversation *c);
enum pw_status talk_nonsense(const struct conversation *c);

/* Connects to the socket of that path, for the step that the log names, and says hello. */
enum pw_status talk_connect(
	struct conversation *c, const char *step, const char *path, const char *hello);

/* Reads the first line of the server: "VERSION", major, minor. */
enum pw_status talk_read_version(struct conversation *c);

/* Reads the next line into reply, which points into the memory of the socket. */
enum pw_status talk_read(struct conversation *c);

/* Is this the command of the reply? Has it the id of our request in it? */
bool talk_reply_is(const struct conversation *c, const char *command);
bool talk_reply_is_ours(const struct conversation *c);

/* Adds what is known of the client's connection to a request. */
void talk_add_connection(struct auth_text *text);

/* Logs that Dovecot refuses the user, by a code of its own and its reason, or NULL. */
void talk_log_refusal(
	const struct conversation *c, int priority, const char *code, const char *reason);

/* What a reply "FAIL" means: PW_TEMPORARY or PW_REFUSED; logged where it has a reason. */
enum pw_status talk_judge_refusal(const struct conversation *c);

/* Copies a name that Dovecot gives, which goes into the log and the environment. False: it has
 * a control character, or not 1 to PWUSER_NAME_MAX octets. */
bool talk_take_name(const char *value, char name[PWUSER_NAME_MAX + 1]);

#endif
