/* open: opening the maildrop after a login; see internal.h. Runs as the mail user. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "confine/confine.h"
#include "os/log.h"
#include "pop3/reply.h"
#include "session/internal.h"

/* The Maildir of the command line has precedence over $MAILDIR, which the checker sets. The
 * argument that pop3d itself appended has precedence only if the checker changed it. */
static const char *maildir_path(const struct settings *o)
{
	const char *const asked = o->asked.maildir;
	const bool is_default = asked == NULL || (o->asked.maildir_appended &&
							 strcmp(asked, OPTIONS_MAILDIR) == 0);
	const char *const checkers = getenv("MAILDIR");

	if (!is_default)
		return asked;
	return checkers != NULL && checkers[0] != '\0' ? checkers : OPTIONS_MAILDIR;
}

/* Answers PASS with an error, and logs the reason for the administrator. */
static void refuse_login(struct session *s, enum maildir_problem problem, const char *maildir,
	const char *failed_path)
{
	char quoted[512], quoted_failed[512];
	const int error_number = errno;

	if (problem == MAILDIR_IN_USE) {
		reply_error(&s->wire, REPLY_IN_USE, TEXT_IN_USE);
		s->end = "in-use";
		return;
	}
	if (problem == MAILDIR_UNUSABLE && error_number == ENOENT && failed_path == maildir)
		reply_error(&s->wire, REPLY_SYS_TEMP, TEXT_NO_MAILDROP);
	else if (problem == MAILDIR_UNUSABLE)
		reply_error(&s->wire, REPLY_SYS_PERM, TEXT_MAILDROP_BROKEN);
	else
		reply_error(&s->wire, REPLY_SYS_TEMP, TEXT_MAILDROP_LATER);
	log_event(LOG_ERR, "maildrop-unusable errno=%d error=\"%s\" maildir=%s at=%s",
		error_number, strerror(error_number),
		log_quote(quoted, sizeof quoted, maildir, strlen(maildir)),
		log_quote(
			quoted_failed, sizeof quoted_failed, failed_path, strlen(failed_path)));
	s->end = "no-maildrop";
	s->exit_status = 111;
}

/* After this the process can reach only the maildrop. */
static bool confine_to_maildrop(const struct maildir *m)
{
	const struct confine_place places[] = {
		{m->place_fd[PLACE_NEW], CONFINE_READ | CONFINE_REMOVE},
		{m->place_fd[PLACE_CUR], CONFINE_READ | CONFINE_REMOVE | CONFINE_ADD},
		{m->tmp_fd, CONFINE_READ | CONFINE_REMOVE},
		{m->index_dir_fd, CONFINE_READ | CONFINE_WRITE},
		{m->folder_fd, CONFINE_ADD},
	};

	return confine_session(places, sizeof places / sizeof *places);
}

bool session_open(struct session *s)
{
	const struct options *const asked = &s->options->asked;
	struct foreign from;
	const bool has_kind =
		asked->uidl_from != NULL && foreign_parse(&from, asked->uidl_from);
	const struct maildir_wish wish = {
		.path = maildir_path(s->options),
		.lock = asked->lock,
		.verify_sizes = asked->verify_sizes,
		.index = !asked->no_index,
		.keep_new = asked->no_move,
		.end_headers = asked->end_of_headers,
		.folder = asked->delete_to,
		.uids_from = has_kind ? &from : NULL,
	};
	const char *failed_path = wish.path;
	enum maildir_problem problem;

	/* without the signal, a file that is too large is an error of write(2) */
	signal(SIGXFSZ, SIG_IGN);
	problem = maildir_open(&s->maildir, &wish, &failed_path);
	if (problem == MAILDIR_UNUSABLE && errno == ENOENT && asked->create_maildir &&
		maildir_create(wish.path))
		problem = maildir_open(&s->maildir, &wish, &failed_path);
	if (problem != MAILDIR_READY) {
		refuse_login(s, problem, wish.path, failed_path);
		return false;
	}
	if (!confine_to_maildrop(&s->maildir)) {
		refuse_login(s, MAILDIR_TEMPORARY, wish.path, "sandbox");
		return false;
	}
	if (!maildir_load(&s->maildir)) {
		refuse_login(s, maildir_problem_of(errno), wish.path, wish.path);
		return false;
	}
	return true;
}
