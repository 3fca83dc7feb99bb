/* save: writes the index if that is worth it; see maildir.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/log.h"

/* An index is worth writing if it saves the next session work: counting sizes, or reading both
 * directories, or reading cur/. */
static bool is_worth_saving(const struct maildir *m)
{
	const struct index_place *const seen = m->seen;

	if (m->state < MAILDIR_LOADED || m->index_dir_fd < 0 || m->index_use == INDEX_BROKEN)
		return false;
	if (m->has_learned)
		return maildir_totals(m).messages > 0 || m->state < MAILDIR_UPDATED;
	if (m->index_use == INDEX_LISTING || m->state > MAILDIR_LOADED ||
		!seen[PLACE_CUR].is_final)
		return false;
	if (m->index_use == INDEX_USELESS && m->snapshot.count < MANY_MESSAGES)
		return false;
	return seen[PLACE_NEW].is_final || m->index_use < INDEX_CUR;
}

void maildir_save(struct maildir *m)
{
	struct index_content content = {maildir_index_version(m), &m->snapshot,
		{m->seen[0], m->seen[1]}, m->state == MAILDIR_UPDATED};

	if (!is_worth_saving(m))
		return;
	if (m->state > MAILDIR_LOADED)
		content.places[PLACE_NEW].is_final = content.places[PLACE_CUR].is_final = 0;
	if (!index_write(m->index_dir_fd, &content))
		log_event(LOG_DEBUG, "index-not-written errno=%d error=\"%s\"", errno,
			strerror(errno));
}
