/* session: see session.h. Runs as the mail user. */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/large.h"
#include "os/clock.h"
#include "os/handover.h"
#include "os/log.h"
#include "pop3/capa.h"
#include "pop3/lang.h"
#include "pop3/reply.h"
#include "session/internal.h"
#include "session/listing.h"
#include "session/send.h"

/* Whether there is a message of this number (RFC 1939: counted from 1 and never renumbered). If
 * not, sends a reply that says what is wrong. */
static bool check_number(struct session *s, uint64_t number)
{
	const size_t count = s->maildir.snapshot.count;

	if (number == 0)
		reply_error(&s->wire, REPLY_NO_CODE, TEXT_BAD_NUMBER);
	else if (number > count)
		reply_error_with(
			&s->wire, REPLY_NO_CODE, TEXT_NO_SUCH_MESSAGE, reply_numbers(count, 0));
	else if (maildir_is_deleted(&s->maildir, (size_t)number - 1))
		reply_error_with(&s->wire, REPLY_NO_CODE, TEXT_MESSAGE_DELETED,
			reply_numbers(number, 0));
	else
		return true;
	return false;
}

/* Ends the session after a fault of the system. */
static enum command_result end_with_fault(struct session *s, const char *reason)
{
	s->end = reason;
	s->exit_status = 111;
	return COMMAND_END;
}

/* Answers that a message cannot be read. If the maildrop is broken, any answer could be wrong,
 * so the session ends without one. */
static enum command_result put_unreadable(struct session *s, uint64_t number)
{
	if (maildir_is_broken(&s->maildir))
		return end_with_fault(s, "index-broken");
	reply_error_with(
		&s->wire, REPLY_SYS_TEMP, TEXT_MESSAGE_UNREADABLE, reply_numbers(number, 0));
	return COMMAND_GOOD;
}

static void put_summary(struct session *s, enum text one, enum text many)
{
	const struct maildir_totals totals = maildir_totals(&s->maildir);

	reply_ok_with(&s->wire, totals.messages == 1 ? one : many,
		reply_numbers(totals.messages, totals.octets));
}

static enum command_result command_capa(void *state, const struct command_input *input)
{
	struct session *const s = state;
	const struct capa capa = {
		CAPA_TRANSACTION, s->options->found.offered, s->options->asked.utf8};

	(void)input;
	capa_reply(&s->wire, &capa);
	return COMMAND_GOOD;
}

static enum command_result command_stat(void *state, const struct command_input *input)
{
	struct session *const s = state;
	const struct maildir_totals totals = maildir_totals(&s->maildir);

	(void)input;
	wire_reply(&s->wire, "+OK %zu %" PRIu64, totals.messages, totals.octets);
	return COMMAND_GOOD;
}

/* LIST and UIDL: the line of one message, or the lines of all messages after the first line of
 * the reply.
 */
static enum command_result put_one(struct session *s, uint64_t number, listing_line *line)
{
	static const char ok[] = {'+', 'O', 'K', ' '};
	char text[sizeof ok + LISTING_LINE_OCTETS], shown[4 * sizeof text];
	size_t octets;

	if (!check_number(s, number))
		return COMMAND_GOOD;
	memcpy(text, ok, sizeof ok);
	octets = line(&s->maildir, (size_t)number, text + sizeof ok);
	if (octets == 0)
		return put_unreadable(s, number);
	octets += sizeof ok;
	wire_put(&s->wire, text, octets);
	if (log_shows_debug())
		log_event(LOG_DEBUG, "protocol server=%s",
			log_quote(shown, sizeof shown, text, octets - 2));
	return COMMAND_GOOD;
}

static enum command_result put_all(struct session *s, listing_line *line)
{
	/* an error cannot be reported in the middle of a reply */
	if (!listing_put(&s->wire, &s->maildir, line))
		return end_with_fault(s, "index-broken");
	wire_puts(&s->wire, ".\r\n");
	return COMMAND_GOOD;
}

static enum command_result command_list(void *state, const struct command_input *input)
{
	struct session *const s = state;

	if (input->has_number)
		return put_one(s, input->number, listing_size);
	put_summary(s, TEXT_ONE_MESSAGE, TEXT_MESSAGES);
	return put_all(s, listing_size);
}

static enum command_result command_uidl(void *state, const struct command_input *input)
{
	struct session *const s = state;

	if (input->has_number)
		return put_one(s, input->number, listing_uid);
	if (!maildir_read_uids(&s->maildir)) {
		reply_error(&s->wire, REPLY_SYS_TEMP, TEXT_UIDS_UNREADABLE);
		return COMMAND_GOOD;
	}
	reply_ok(&s->wire, TEXT_UIDS);
	return put_all(s, listing_uid);
}

/* Records the size that was counted. */
static void learn_size(
	struct session *s, uint64_t number, struct message *message, uint64_t octets)
{
	char quoted[4 * UID_NAME_OCTETS + 8];

	if (octets != message->size_octets && maildir_may_log(&s->maildir))
		log_event(LOG_WARNING, "size-wrong said=%" PRIu64 " is=%" PRIu64 " message=%s",
			message->size_octets, octets,
			log_quote(quoted, sizeof quoted, message->name, message->name_octets));
	maildir_correct_size(&s->maildir, (size_t)number - 1, message, octets);
}

/* Makes sure that the size is that of the octets which will be sent: the size in a name can be
 * wrong, and the file can have been replaced. A file that fits into the chunk is always
 * counted. */
static bool verify_size(struct session *s, uint64_t number, struct message *message)
{
	struct body *const body = &s->maildir.body;
	uint64_t octets;
	struct stat st;

	if (message->size_verified && body->held == sizeof body->chunk) {
		if (fstat(body->fd, &st) != 0)
			return false;
		if (maildir_may_have_size(&s->maildir, message, &st))
			return true;
	}
	if (!body_count(body, &octets) || !body_restart(body))
		return false;
	if (!message->size_verified || octets != message->size_octets)
		learn_size(s, number, message, octets);
	return true;
}

/* Opens a message, reads its first octets, and for RETR makes sure of its size, so that errors
 * show before the reply. Returns its descriptor, which the caller closes. Returns -1 if it sent
 * a reply instead, or if the session must end; *result is what the command returns then. */
static int open_message(struct session *s, uint64_t number, size_t first_octets,
	struct message *message, enum command_result *result)
{
	struct maildir *const m = &s->maildir;
	int fd, error_number;

	*result = COMMAND_GOOD;
	if (!check_number(s, number))
		return -1;
	fd = maildir_open_message(m, (size_t)number - 1, message);
	if (fd < 0 && errno == ENOENT) {
		reply_error_with(
			&s->wire, REPLY_NO_CODE, TEXT_MESSAGE_GONE, reply_numbers(number, 0));
		return -1;
	}
	if (fd >= 0 && body_start(&m->body, fd, first_octets) &&
		(first_octets < sizeof m->body.chunk || verify_size(s, number, message)))
		return fd;
	error_number = errno;
	if (fd >= 0)
		close(fd);
	if (!maildir_is_broken(m))
		maildir_log_message(m, message, "message-unreadable", error_number);
	*result = put_unreadable(s, number);
	return -1;
}

/* Sends the message and the terminating line. After a read error the terminating line must not
 * follow, because the client would then believe that it has the whole message. */
static enum command_result send_message(
	struct session *s, const struct message *message, int fd, struct encode_top *top)
{
	struct tally *const tally = top != NULL ? &s->top : &s->retr;
	const struct message_form form = {top, s->options->asked.no_nul};
	const struct message_sent sent = message_send(&s->wire, &s->maildir.body, &form);

	close(fd);
	tally->octets += sent.octets;
	tally->messages++;
	if (sent.read_error != 0) {
		maildir_log_message(
			&s->maildir, message, "message-read-failed", sent.read_error);
		return end_with_fault(s, "read-error");
	}
	wire_puts(&s->wire, ".\r\n");
	return COMMAND_GOOD;
}

static enum command_result command_retr(void *state, const struct command_input *input)
{
	struct session *const s = state;
	struct message message;
	enum command_result result;
	const int fd = open_message(s, input->number, BODY_CHUNK_OCTETS, &message, &result);
	const uint64_t sent_before = s->retr.octets;

	if (fd < 0)
		return result;
	reply_ok_with(&s->wire, TEXT_OCTETS, reply_numbers(message.size_octets, 0));
	result = send_message(s, &message, fd, NULL);
	if (result != COMMAND_GOOD || s->wire.end != WIRE_OPEN)
		return result;
	/* another program wrote into the file after it was counted */
	if (s->retr.octets - sent_before != message.size_octets)
		learn_size(s, input->number, &message, s->retr.octets - sent_before);
	if (!s->options->asked.no_seen)
		maildir_set_retrieved(&s->maildir, (size_t)input->number - 1);
	return result;
}

static enum command_result command_top(void *state, const struct command_input *input)
{
	struct session *const s = state;
	struct message message;
	enum command_result result;
	const int fd = open_message(s, input->number, SEND_TOP_OCTETS, &message, &result);
	struct encode_top top;

	if (fd < 0)
		return result;
	reply_ok_with(&s->wire, TEXT_TOP, reply_numbers(input->number, 0));
	encode_top_start(&top, input->lines);
	return send_message(s, &message, fd, &top);
}

static enum command_result command_dele(void *state, const struct command_input *input)
{
	struct session *const s = state;

	if (!check_number(s, input->number))
		return COMMAND_GOOD;
	if (!maildir_delete(&s->maildir, (size_t)input->number - 1))
		return put_unreadable(s, input->number);
	reply_ok_with(&s->wire, TEXT_DELETED, reply_numbers(input->number, 0));
	return COMMAND_GOOD;
}

static enum command_result command_noop(void *state, const struct command_input *input)
{
	struct session *const s = state;

	(void)input;
	wire_reply(&s->wire, "+OK");
	return COMMAND_GOOD;
}

static enum command_result command_rset(void *state, const struct command_input *input)
{
	struct session *const s = state;

	(void)input;
	maildir_undelete_all(&s->maildir);
	put_summary(s, TEXT_MAILDROP_ONE_MESSAGE, TEXT_MAILDROP_MESSAGES);
	return COMMAND_GOOD;
}

static enum command_result command_lang(void *state, const struct command_input *input)
{
	struct session *const s = state;

	return lang_reply(&s->wire, input->text) ? COMMAND_GOOD : COMMAND_BAD;
}

static enum command_result command_too_late(void *state, const struct command_input *input)
{
	struct session *const s = state;

	(void)input;
	reply_error(&s->wire, REPLY_NO_CODE, TEXT_ALREADY_IN);
	return COMMAND_GOOD;
}

static const struct command commands[] = {
	{"STAT", ARGUMENTS_NONE, command_stat},
	{"LIST", ARGUMENTS_MAYBE_NUMBER, command_list},
	{"UIDL", ARGUMENTS_MAYBE_NUMBER, command_uidl},
	{"RETR", ARGUMENTS_NUMBER, command_retr},
	{"DELE", ARGUMENTS_NUMBER, command_dele},
	{"TOP", ARGUMENTS_NUMBER_AND_LINES, command_top},
	{"NOOP", ARGUMENTS_NONE, command_noop},
	{"RSET", ARGUMENTS_NONE, command_rset},
	{"CAPA", ARGUMENTS_NONE, command_capa},
	{"QUIT", ARGUMENTS_NONE, session_quit},
	{"LANG", ARGUMENTS_REST, command_lang},
	{"USER", ARGUMENTS_REST, command_too_late},
	{"PASS", ARGUMENTS_VERBATIM_SECRET, command_too_late},
	{"APOP", ARGUMENTS_REST_SECRET, command_too_late},
	{"AUTH", ARGUMENTS_REST_SECRET, command_too_late},
	{"STLS", ARGUMENTS_REST, command_too_late},
	{"UTF8", ARGUMENTS_REST, command_too_late},
};

static const struct command_table table = {
	commands, sizeof commands / sizeof *commands, false, 0};

static const char *end_of_wire(const struct wire *w)
{
	switch (w->end) {
	case WIRE_TIMEOUT: return "timeout";
	case WIRE_BROKEN: return "broken";
	case WIRE_EOF: return "eof";
	case WIRE_ORPHAN:
	case WIRE_OPEN: break;
	}
	return "end";
}

static void log_end(const struct session *s)
{
	const char *const account = getenv("USER");
	char quoted[256];

	log_event(LOG_INFO,
		"logout ip=%s user=%s account=%s reason=%s retr=%" PRIu64 "/%" PRIu64
		" top=%" PRIu64 "/%" PRIu64 " dele=%" PRIu64 "/%" PRIu64 " kept=%" PRIu64
		" sent=%" PRIu64 " seconds=%" PRId64 " tls=%s",
		peer_ip(&s->peer), log_user(),
		account != NULL ? log_quote(quoted, sizeof quoted, account, strlen(account))
				: "-",
		s->end, s->retr.messages, s->retr.octets, s->top.messages, s->top.octets,
		s->dele.messages, s->dele.octets,
		(uint64_t)s->maildir.snapshot.count - s->dele.messages, s->wire.sent_octets,
		(clock_now_ms() - s->started_ms) / 1000, s->options->found.tls ? "yes" : "no");
}

/* Sets the user of all log lines: the login as the client typed it, or, if the checker did not
 * pass POP3D_LOGIN on, the account. */
static void set_log_user(void)
{
	const char *name = getenv("POP3D_LOGIN");

	if (name == NULL)
		name = getenv("USER");
	if (name != NULL)
		log_set_user(name, strlen(name));
}

int session_serve(const struct settings *o)
{
	static struct session s LARGE;
	int announced_fd;
	bool is_open;

	s.options = o;
	s.started_ms = clock_now_ms();
	set_log_user();
	announced_fd = handover_announce(o->found.status_fd, o->found.monitor_takes);
	if (o->found.client_ip != NULL)
		peer_take_ip(&s.peer, o->found.client_ip);
	else
		peer_lookup(&s.peer, 0);
	wire_open(&s.wire, 0, 1, WIRE_AHEAD, o->asked.idle_seconds * 1000);
	s.wire.language = o->found.language;
	is_open = session_open(&s);
	if (is_open)
		put_summary(&s, TEXT_ONE_MESSAGE, TEXT_MESSAGES);
	/* not before: meanwhile the monitor has done its part */
	handover_finish(announced_fd);
	if (is_open && command_loop(&s.wire, &table, &s) == COMMANDS_WIRE_CLOSED)
		s.end = end_of_wire(&s.wire);
	wire_flush(&s.wire);
	log_end(&s);
	maildir_save(&s.maildir);
	maildir_close(&s.maildir);
	return s.exit_status;
}
