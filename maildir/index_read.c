/* index_read: see index.h.
 *
 * The file is read and not mapped. If it is cut short, or the file system fails, a read returns
 * an error, whereas access to a mapping would kill the process. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir/index.h"
#include "os/file.h"

#define RECORDS_START sizeof(struct index_header)

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Every step is reversible, so each change of one word changes the result. */
static uint64_t stir(uint64_t sum, uint64_t word)
{
	return rotate((sum ^ word) * 0x9e3779b97f4a7c15U, 29);
}

static uint64_t word_at(const unsigned char *octets)
{
	uint64_t word;

	memcpy(&word, octets, sizeof word);
	return word;
}

uint64_t index_sum(
	uint64_t nonce, uint64_t page_number, const unsigned char payload[INDEX_PAYLOAD_OCTETS])
{
	uint64_t lanes[4] = {nonce, page_number, 1, 2};
	size_t at = 0;

	/* four sums that the processor can compute at the same time */
	for (; at + 32 <= INDEX_PAYLOAD_OCTETS; at += 32)
		for (size_t i = 0; i < 4; i++)
			lanes[i] = stir(lanes[i], word_at(payload + at + 8 * i));
	for (; at + 8 <= INDEX_PAYLOAD_OCTETS; at += 8)
		lanes[0] = stir(lanes[0], word_at(payload + at));
	return stir(stir(stir(stir(nonce, lanes[0]), lanes[1]), lanes[2]), lanes[3]);
}

static bool makes_no_sense(void)
{
	errno = EBADMSG;
	return false;
}

static bool read_file(int fd, unsigned char *pages, size_t *octets, uint64_t offset)
{
	const ssize_t got = file_read_at(fd, pages, *octets, (off_t)offset);

	if (got < 0)
		return false;
	*octets = (size_t)got;
	return got > 0 || makes_no_sense();
}

static bool read_pages(
	const struct index *ix, unsigned char *pages, size_t *octets, uint64_t offset)
{
	size_t left;

	if (ix->pages == NULL)
		return read_file(ix->fd, pages, octets, offset);
	if (offset >= ix->pages_octets)
		return makes_no_sense();
	left = ix->pages_octets - (size_t)offset;
	if (*octets > left)
		*octets = left;
	memcpy(pages, ix->pages + offset, *octets);
	return true;
}

/* Fills the window with the page that holds the octet at position, and with the pages after it.
 * It reads at most that many octets of the file. */
static bool load(
	const struct index *ix, struct index_window *w, uint64_t position, size_t octets)
{
	const uint64_t first = position / INDEX_PAYLOAD_OCTETS;
	size_t pages;

	uint64_t nonce = ix->header.nonce;

	w->octets = 0;
	if (!read_pages(ix, w->payload, &octets, first * INDEX_PAGE_OCTETS))
		return false;
	pages = octets / INDEX_PAGE_OCTETS;
	if (pages == 0)
		return makes_no_sense();
	/* the header has not been read, or is to be the same again */
	if (first == 0) {
		nonce = word_at(w->payload + offsetof(struct index_header, nonce));
		if (ix->header.nonce != 0 && nonce != ix->header.nonce)
			return makes_no_sense();
	}
	for (size_t i = 0; i < pages; i++) {
		const unsigned char *const page = w->payload + i * INDEX_PAGE_OCTETS;

		if (index_sum(nonce, first + i, page) != word_at(page + INDEX_PAYLOAD_OCTETS))
			return makes_no_sense();
	}
	for (size_t i = 1; i < pages; i++)
		memmove(w->payload + i * INDEX_PAYLOAD_OCTETS,
			w->payload + i * INDEX_PAGE_OCTETS, INDEX_PAYLOAD_OCTETS);
	w->start = first * INDEX_PAYLOAD_OCTETS;
	w->octets = pages * INDEX_PAYLOAD_OCTETS;
	return true;
}

static bool holds(const struct index_window *w, uint64_t position, size_t octets)
{
	return position >= w->start && position - w->start <= w->octets &&
	       octets <= w->octets - (size_t)(position - w->start);
}

/* Returns where octets of the sequence are in memory, until the window is used again. They must
 * fit into one window. NULL with errno. */
static const void *fetch(
	const struct index *ix, struct index_window *w, uint64_t position, size_t octets)
{
	if (!holds(w, position, octets)) {
		if (!load(ix, w, position, sizeof w->payload))
			return NULL;
		if (!holds(w, position, octets)) {
			errno = EBADMSG;
			return NULL;
		}
	}
	return w->payload + (position - w->start);
}

static bool is_sensible(const struct index_header *h, uint64_t file_octets)
{
	uint64_t octets;

	if (h->magic != INDEX_MAGIC || h->byte_order != INDEX_BYTE_ORDER ||
		(h->version != INDEX_VERSION && h->version != INDEX_VERSION_ENDED))
		return false;
	if (h->count > INDEX_COUNT_MOST || h->count > SIZE_MAX / 2 || h->new_count > h->count ||
		h->verified_count > h->count || h->unknown_count > h->count ||
		h->twin_count > h->count || h->total_octets > INDEX_SIZE_MOST)
		return false;
	if (h->names_octets > h->count * (UID_NAME_OCTETS + sizeof(struct index_inodes)))
		return false;
	/* the file has just the pages that its header asks for: it was not cut or extended */
	octets = sizeof *h + h->count * sizeof(struct index_record) + h->names_octets;
	octets = (octets + INDEX_PAYLOAD_OCTETS - 1) / INDEX_PAYLOAD_OCTETS * INDEX_PAGE_OCTETS;
	return octets == file_octets;
}

static bool read_header(struct index *ix, uint64_t file_octets)
{
	/* all of a small index; of a large one only what STAT needs */
	const size_t octets = file_octets <= sizeof ix->records.payload ? (size_t)file_octets
									: INDEX_PAGE_OCTETS;

	if (!load(ix, &ix->records, 0, octets))
		return false;
	memcpy(&ix->header, ix->records.payload, sizeof ix->header);
	return is_sensible(&ix->header, file_octets) || makes_no_sense();
}

/* Reads all of the file into memory, and checks all of its pages. */
static bool read_whole(struct index *ix, size_t file_octets)
{
	size_t got = file_octets;

	ix->pages = malloc(file_octets);
	if (ix->pages == NULL)
		return false;
	ix->pages_octets = file_octets;
	if (!read_file(ix->fd, ix->pages, &got, 0) || got != file_octets ||
		!read_header(ix, file_octets))
		return false;
	for (size_t at = 0; at < file_octets; at += INDEX_PAGE_OCTETS) {
		const unsigned char *const page = ix->pages + at;

		if (index_sum(ix->header.nonce, at / INDEX_PAGE_OCTETS, page) !=
			word_at(page + INDEX_PAYLOAD_OCTETS))
			return makes_no_sense();
	}
	close(ix->fd);
	ix->fd = -1;
	return true;
}

static bool read_start(struct index *ix, const struct index_wish *wish)
{
	struct stat st;

	if (fstat(ix->fd, &st) != 0)
		return false;
	ix->written = st.st_mtim;
	if (!S_ISREG(st.st_mode) || st.st_uid != wish->owner || st.st_size < INDEX_PAGE_OCTETS)
		return makes_no_sense();
	if (wish->whole && st.st_size <= (off_t)INDEX_WHOLE_OCTETS &&
		st.st_size % INDEX_PAGE_OCTETS == 0)
		return read_whole(ix, (size_t)st.st_size);
	return read_header(ix, (uint64_t)st.st_size);
}

bool index_open(struct index *ix, const struct index_wish *wish)
{
	int error_number;

	memset(&ix->header, 0, sizeof ix->header);
	ix->records.octets = ix->names.octets = 0;
	ix->pages = NULL;
	ix->fd = openat(wish->directory_fd, INDEX_NAME,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ix->fd < 0)
		return false;
	if (read_start(ix, wish) && (ix->header.version == wish->version || makes_no_sense()))
		return true;
	error_number = errno;
	index_close(ix);
	errno = error_number;
	return false;
}

void index_close(struct index *ix)
{
	if (ix->fd >= 0)
		close(ix->fd);
	ix->fd = -1;
	free(ix->pages);
	ix->pages = NULL;
}

/* A word with 0x80 in every octet that equals this one. Octets after the first such one may
 * have 0x80 as well, so only the first is certain. */
static uint64_t find_octet(uint64_t word, unsigned char octet)
{
	const uint64_t ones = 0x0101010101010101U;
	const uint64_t difference = word ^ ones * octet;

	return (difference - ones) & ~difference & ones << 7;
}

/* Whether the name contains neither NUL nor '/' nor the third octet. */
static inline bool is_free(const char *name, size_t octets, unsigned char third)
{
	uint64_t word;

	for (; octets >= sizeof word; octets -= sizeof word, name += sizeof word) {
		memcpy(&word, name, sizeof word);
		if ((find_octet(word, '\0') | find_octet(word, '/') |
			    find_octet(word, third)) != 0)
			return false;
	}
	for (; octets > 0; octets--, name++)
		if (*name == '\0' || *name == '/' || *name == (char)third)
			return false;
	return true;
}

/* Whether a directory can contain the name, and whether the name has this unique name. memchr
 * of the library, called four times, took half of the time of UIDL. */
static bool is_name(const char *name, size_t octets, size_t unique_octets)
{
	if (name[0] == '.' || unique_octets > octets)
		return false;
	if (unique_octets < octets && name[unique_octets] != ':' &&
		!uid_is_info(name + unique_octets, octets - unique_octets))
		return false;
	return is_free(name, unique_octets, ':') &&
	       is_free(name + unique_octets, octets - unique_octets,
		       name[unique_octets] == ':' ? '/' : ':');
}

/* Returns the octets that should be the record's name, and puts the inodes after them into
 * *inodes. NULL with errno. */
static const char *fetch_name(
	struct index *ix, const struct index_record *r, struct index_inodes *inodes)
{
	const uint64_t start = RECORDS_START + ix->header.count * sizeof *r + r->name_offset;
	const bool has_inodes = (r->flags & INDEX_TWIN) != 0;
	const size_t octets = r->name_octets + (has_inodes ? sizeof *inodes : 0);
	const char *name;

	errno = EBADMSG;
	if (r->name_octets == 0 || r->unique_octets > r->name_octets || r->place > PLACE_CUR ||
		(r->flags & ~INDEX_FLAGS) != 0)
		return NULL;
	if (r->name_offset > ix->header.names_octets ||
		octets > ix->header.names_octets - r->name_offset)
		return NULL;
	name = fetch(ix, &ix->names, start, octets);
	if (name != NULL && has_inodes)
		memcpy(inodes, name + r->name_octets, sizeof *inodes);
	return name;
}

static bool get_name(
	struct index *ix, const struct index_record *r, struct index_inodes *inodes)
{
	const char *const name = fetch_name(ix, r, inodes);

	if (name == NULL)
		return false;
	if (!is_name(name, r->name_octets, r->unique_octets))
		return makes_no_sense();
	/* copies whole words, past the end of the name, for which the window has room; this is
	 * several times faster than memcpy of musl */
	for (size_t i = 0; i < r->name_octets; i += sizeof(uint64_t))
		memcpy(ix->name + i, name + i, sizeof(uint64_t));
	ix->name[r->name_octets] = '\0';
	return true;
}

static const struct index_record *get_record(struct index *ix, uint64_t number)
{
	const struct index_record *r = NULL;

	errno = EBADMSG;
	if (number < ix->header.count)
		r = fetch(ix, &ix->records, RECORDS_START + number * sizeof *r, sizeof *r);
	if (r != NULL && r->size_octets > INDEX_SIZE_MOST) {
		errno = EBADMSG;
		return NULL;
	}
	return r;
}

bool index_get(struct index *ix, uint64_t number, struct message *m)
{
	const struct index_record *const r = get_record(ix, number);
	struct index_inodes inodes = {0, 0};

	if (r == NULL || !get_name(ix, r, &inodes))
		return false;
	m->name = ix->name;
	m->size_octets = r->size_octets;
	m->inode = inodes.inode;
	m->alias_inode = inodes.alias_inode;
	m->name_octets = r->name_octets;
	m->unique_octets = r->unique_octets;
	m->place = r->place;
	m->size_verified = m->size_is_old = (r->flags & INDEX_VERIFIED) != 0;
	m->size_unknown = (r->flags & INDEX_UNKNOWN) != 0;
	m->is_second = (r->flags & INDEX_SECOND) != 0;
	return true;
}

bool index_get_unique(struct index *ix, uint64_t number, struct unique *unique)
{
	const struct index_record *const r = get_record(ix, number);
	struct index_inodes inodes = {0, 0};
	const char *const name = r != NULL ? fetch_name(ix, r, &inodes) : NULL;

	if (name == NULL)
		return false;
	*unique = (struct unique){
		name, r->unique_octets, (r->flags & INDEX_SECOND) != 0 ? inodes.inode : 0};
	return true;
}

bool index_get_size(struct index *ix, uint64_t number, uint64_t *size_octets)
{
	const struct index_record *const r = get_record(ix, number);

	if (r != NULL)
		*size_octets = r->size_octets;
	return r != NULL;
}
