/* quit: the UPDATE state; see internal.h. Runs as the mail user. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "os/log.h"
#include "pop3/reply.h"
#include "session/internal.h"

static void put_farewell(struct session *s, size_t left)
{
	const struct text_values values = {{left, 0}, s->options->asked.host};

	if (left == 0)
		reply_ok_with(&s->wire, TEXT_GOODBYE_EMPTY, values);
	else if (left == 1)
		reply_ok_with(&s->wire, TEXT_GOODBYE_ONE_LEFT, values);
	else
		reply_ok_with(&s->wire, TEXT_GOODBYE_LEFT, values);
}

/* Blocks the signals that would end this process in the middle of the update. */
static void hold_signals(void)
{
	static const int held[] = {
		SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof held / sizeof *held; i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Logs what the update is going to remove. The lines come before the update, so that no message
 * is removed without a line even if this process is killed. */
static void log_deletions(struct session *s)
{
	const char *const folder = s->options->asked.delete_to;
	char uid[MAILDIR_UID_OCTETS], quoted_uid[4 * MAILDIR_UID_OCTETS];
	char quoted[4 * OPTIONS_FOLDER_OCTETS + 8];
	uint64_t size_octets;

	for (size_t i = 0; i < s->maildir.snapshot.count; i++)
		if (maildir_is_deleted(&s->maildir, i) &&
			maildir_get_size(&s->maildir, i, &size_octets)) {
			const size_t octets = maildir_uid(&s->maildir, i, uid);

			log_event(LOG_INFO,
				"deletion message=%zu uid=%s size=%" PRIu64 " folder=%s", i + 1,
				octets > 0
					? log_quote(quoted_uid, sizeof quoted_uid, uid, octets)
					: "-",
				size_octets,
				folder != NULL ? log_quote(quoted, sizeof quoted, folder,
							 strlen(folder))
					       : "-");
		}
}

/* Logs, after the update, which of these messages it did not remove. */
static void log_kept(const struct session *s)
{
	for (size_t i = 0; i < s->maildir.snapshot.count; i++)
		if (maildir_was_kept(&s->maildir, i))
			log_event(LOG_INFO, "deletion-failed message=%zu", i + 1);
}

/* RFC 1939 section 6. The one reply is sent after the update, so that it is true. */
enum command_result session_quit(void *state, const struct command_input *input)
{
	struct session *const s = state;
	struct maildir_update update;
	size_t left;

	(void)input;
	hold_signals();
	if (s->options->asked.log_deletions)
		log_deletions(s);
	update = maildir_update(&s->maildir);
	if (s->options->asked.log_deletions && update.not_removed > 0)
		log_kept(s);
	left = s->maildir.snapshot.count - update.removed;
	s->end = "quit";
	s->dele = (struct tally){update.removed, update.removed_octets};
	if (update.error_number != 0)
		log_event(LOG_ERR,
			"update-failed errno=%d error=\"%s\" not-removed=%zu not-moved=%zu",
			update.error_number, strerror(update.error_number), update.not_removed,
			update.not_moved);
	if (update.not_removed == 0) {
		put_farewell(s, left);
	} else {
		reply_error_with(&s->wire, REPLY_SYS_TEMP,
			update.not_removed == 1 ? TEXT_ONE_NOT_REMOVED : TEXT_NOT_REMOVED,
			reply_numbers(update.not_removed, left));
		s->exit_status = 111;
	}
	wire_flush(&s->wire);
	maildir_clean_tmp(&s->maildir);
	return COMMAND_END;
}
