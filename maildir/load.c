/* load: taking the snapshot of a maildrop, from its directories and its index; see maildir.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildir.h"
#include "maildir/internal.h"
#include "os/directory.h"
#include "os/log.h"

/* Makes a complete snapshot from what was read: sorted, without duplicates, with sizes. */
static bool settle(struct maildir *m)
{
	if (!maildir_settle_names(m))
		return false;
	if (m->index_use >= INDEX_SIZES && m->index.header.verified_count > 0)
		maildir_take_sizes(m);
	maildir_find_sizes(m);
	maildir_sum(m);
	m->new_count = 0;
	for (size_t i = 0; i < m->snapshot.count; i++)
		m->new_count += m->snapshot.entries[i].place == PLACE_NEW;
	return true;
}

/* Adds the messages of cur/ from the index. */
static bool take_cur_from_index(struct maildir *m)
{
	const size_t before = m->snapshot.count;
	struct message known;

	for (uint64_t i = 0; i < m->index.header.count; i++) {
		bool taken = index_get(&m->index, i, &known);

		if (taken && known.place == PLACE_CUR)
			taken = snapshot_add_known(&m->snapshot, &known);
		if (!taken) {
			snapshot_truncate(&m->snapshot, before);
			return false;
		}
	}
	m->seen[PLACE_CUR] = m->index.header.places[PLACE_CUR];
	return true;
}

/* Reads the directories that have changed since the index was written. cur/ is checked after
 * new/ was read, so that a message which moves in between is found in at least one of them. */
static bool read_changed(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (!maildir_scan_place(m, PLACE_NEW))
		return false;
	if (maildir_place_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]))
		m->index_use = INDEX_CUR;
	if (m->index_use == INDEX_CUR && h->twin_count == 0 && take_cur_from_index(m))
		return true;
	return maildir_scan_place(m, PLACE_CUR);
}

/* Uses the index as the snapshot, if nothing has changed since it was written. Returns whether
 * it did. */
static bool use_listing(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (!maildir_place_unchanged(m, PLACE_NEW, &h->places[PLACE_NEW]) ||
		!maildir_place_unchanged(m, PLACE_CUR, &h->places[PLACE_CUR]))
		return false;
	snapshot_use_index(&m->snapshot, &m->index);
	memcpy(m->seen, h->places, sizeof m->seen);
	m->index_use = INDEX_LISTING;
	m->new_count = (size_t)h->new_count;
	m->all_octets = h->total_octets;
	return true;
}

/* Counts the sizes that must be counted although the index has the listing. Returns false with
 * errno. */
static bool count_the_rest(struct maildir *m)
{
	const struct index_header *const h = &m->index.header;

	if (h->unknown_count == 0 && (!m->verify_sizes || h->verified_count == h->count))
		return true;
	if (!snapshot_materialize(&m->snapshot))
		return false;
	maildir_find_sizes(m);
	maildir_sum(m);
	return true;
}

static bool load_snapshot(struct maildir *m)
{
	if (m->index_use == INDEX_SIZES && use_listing(m)) {
		if (count_the_rest(m))
			return true;
		if (errno == ENOMEM || !maildir_scan_again(m))
			return false;
	} else if (m->index_use == INDEX_SIZES) {
		if (!read_changed(m))
			return false;
	} else if (m->state != MAILDIR_READ && !maildir_scan(m)) {
		return false;
	}
	return settle(m);
}

/* An index of the other kind has sizes that are not those of this session. */
uint32_t maildir_index_version(const struct maildir *m)
{
	return m->body.ends_headers ? INDEX_VERSION_ENDED : INDEX_VERSION;
}

bool maildir_load(struct maildir *m)
{
	const struct index_wish wish = {
		m->index_dir_fd, m->owner, maildir_index_version(m), m->is_remote};
	bool loaded;

	if (m->state != MAILDIR_READ && m->index_dir_fd >= 0 && index_open(&m->index, &wish))
		m->index_use = INDEX_SIZES;
	loaded = load_snapshot(m);
	if (m->snapshot.index == NULL)
		index_close(&m->index);
	/* a search while sizes were counted may have changed the state */
	if (!loaded)
		m->state = MAILDIR_OPEN;
	else if (m->state < MAILDIR_LOADED)
		m->state = MAILDIR_LOADED;
	return loaded;
}

bool maildir_deserves_index(const struct maildir *m)
{
	const struct snapshot *const s = &m->snapshot;

	if (s->count >= MANY_MESSAGES || (m->verify_sizes && s->count > 0))
		return true;
	for (size_t i = 0; i < s->count; i++)
		if ((s->entries[i].flags & ENTRY_SIZED) == 0)
			return true;
	return false;
}
