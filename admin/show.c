/* show: pop3d --show MAILDIR: its messages, as a session would list them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/owner.h"
#include "maildir.h"
#include "os/log.h"

#define FILE_OCTETS (4 * UID_NAME_OCTETS + 32)

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "pop3d-admin: %s: %s\n", path, why);
	return ADMIN_EXIT_TROUBLE;
}

/* The flags of the file name, as they stand there; "-" if there are none. */
static void put_flags(char *flags, size_t octets, const struct message *message)
{
	const char *const info = message->name + message->unique_octets;
	const size_t info_octets = (size_t)message->name_octets - message->unique_octets;

	snprintf(flags, octets, "%s", uid_is_info(info, info_octets) ? info + 3 : "-");
	if (flags[0] == '\0')
		snprintf(flags, octets, "-");
}

/* The text itself, or in quotes where octets would not print as themselves. */
static const char *show_text(char *shown, size_t octets, const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '\\')
			return log_quote(shown, octets, text, strlen(text));
	snprintf(shown, octets, "%s", text);
	return shown;
}

static bool put_message(struct maildir *m, size_t number)
{
	static const char *const places[] = {"new", "cur"};
	char uid[MAILDIR_UID_OCTETS], flags[16], file[4 + UID_NAME_OCTETS + 1];
	char shown_uid[4 * MAILDIR_UID_OCTETS], shown_flags[64], shown_file[FILE_OCTETS];
	struct message message;

	if (maildir_uid(m, number, uid) == 0 || !maildir_get(m, number, &message))
		return false;
	put_flags(flags, sizeof flags, &message);
	snprintf(file, sizeof file, "%s/%s", places[message.place], message.name);
	printf("%6zu %11llu%c %-36s %-6s %s\n", number + 1,
		(unsigned long long)message.size_octets, message.size_unknown ? '?' : ' ',
		show_text(shown_uid, sizeof shown_uid, uid),
		show_text(shown_flags, sizeof shown_flags, flags),
		show_text(shown_file, sizeof shown_file, file));
	return true;
}

static int put_table(struct maildir *m, const char *path)
{
	const struct maildir_totals totals = maildir_totals(m);

	printf("%6s %11s  %-36s %-6s %s\n", "number", "octets", "uid", "flags", "file");
	for (size_t i = 0; i < totals.messages; i++)
		if (!put_message(m, i))
			return fail(path,
				maildir_is_broken(m)
					? "the index is damaged: remove pop3d/index there, and "
					  "sessions do without"
					: strerror(errno));
	printf("%zu messages, %llu octets\n", totals.messages,
		(unsigned long long)totals.octets);
	return fflush(stdout) == 0 ? 0 : fail("standard output", strerror(errno));
}

int show_run(char **words)
{
	static struct maildir maildir;
	const struct maildir_wish wish = {.path = ".", .index = true, .read_only = true};
	const char *const path = words[0];
	const char *failed_path = wish.path;
	int status;

	if (words[0] == NULL || words[1] != NULL || words[0][0] == '\0') {
		fprintf(stderr, "usage: pop3d --show MAILDIR\n");
		return ADMIN_EXIT_USAGE;
	}
	if (!owner_enter(path))
		return fail(path, strerror(errno));
	if (maildir_open(&maildir, &wish, &failed_path) != MAILDIR_READY)
		return fail(failed_path == wish.path ? path : failed_path, strerror(errno));
	status = maildir_load(&maildir) ? put_table(&maildir, path)
					: fail(path, strerror(errno));
	maildir_close(&maildir);
	return status;
}
