/* save: writing the index where that is worth it; see maildir.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir/internal.h"
#include "os/log.h"

/* An index is worth writing for what the next session can do with it: sizes that it need not
 * count, a listing that it need not read, or at least that of cur/. */
static bool is_worth_saving(const struct maildir *m)
{
	const struct index_place *const seen = m->seen;

	if (!m->is_loaded || m->index_dir_fd < 0 || m->snapshot.lost)
		return false;
	if (m->has_learned)
		return m->left > 0 || !m->is_updated;
	if (m->has_listing || m->is_rescanned || m->is_updated || !seen[PLACE_CUR].is_final)
		return false;
	if (!m->had_index && m->snapshot.count < MANY_MESSAGES)
		return false;
	return seen[PLACE_NEW].is_final || !m->had_cur;
}

void maildir_save(struct maildir *m)
{
	struct index_content content = {&m->snapshot, {m->seen[0], m->seen[1]}, m->is_updated};

	if (!is_worth_saving(m))
		return;
	if (m->is_rescanned || m->is_updated)
		content.places[PLACE_NEW].is_final = content.places[PLACE_CUR].is_final = 0;
	if (!index_write(m->index_dir_fd, &content))
		log_event(LOG_DEBUG, "index-not-written errno=%d error=\"%s\"", errno,
			strerror(errno));
}
