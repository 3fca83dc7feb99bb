/* index_read: see index.h.
 *
 * It is read, not mapped: where somebody cuts the file short, or the file system loses it, a
 * read fails, while touching a mapping would be the end of the process. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index.h"

#define RECORDS_START sizeof(struct index_header)

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Every step can be undone, so no change of one word is without effect. */
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

	/* four that do not wait for each other */
	for (; at + 32 <= INDEX_PAYLOAD_OCTETS; at += 32)
		for (size_t i = 0; i < 4; i++)
			lanes[i] = stir(lanes[i], word_at(payload + at + 8 * i));
	for (; at + 8 <= INDEX_PAYLOAD_OCTETS; at += 8)
		lanes[0] = stir(lanes[0], word_at(payload + at));
	return stir(stir(stir(stir(nonce, lanes[0]), lanes[1]), lanes[2]), lanes[3]);
}

uint64_t index_number_name(uint64_t numbering, const char *unique, size_t octets)
{
	unsigned char word[8];

	numbering = stir(numbering, octets);
	while (octets > 0) {
		const size_t part = octets < sizeof word ? octets : sizeof word;

		memset(word, 0, sizeof word);
		memcpy(word, unique, part);
		numbering = stir(numbering, word_at(word));
		unique += part;
		octets -= part;
	}
	return numbering;
}

static bool makes_no_sense(void)
{
	errno = EBADMSG;
	return false;
}

static bool read_pages(int fd, unsigned char *pages, size_t *octets, uint64_t offset)
{
	size_t got = 0;

	while (got < *octets) {
		const ssize_t length =
			pread(fd, pages + got, *octets - got, (off_t)(offset + got));

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return false;
		if (length == 0)
			break;
		got += (size_t)length;
	}
	*octets = got;
	return got > 0 || makes_no_sense();
}

/* Fills the window with the page that holds the octet at position, and those behind it. */
static bool load(const struct index *ix, struct index_window *w, uint64_t position)
{
	const uint64_t first = position / INDEX_PAYLOAD_OCTETS;
	size_t octets = sizeof w->payload;
	size_t pages;

	uint64_t nonce = ix->header.nonce;

	w->octets = 0;
	if (!read_pages(ix->fd, w->payload, &octets, first * INDEX_PAGE_OCTETS))
		return false;
	pages = octets / INDEX_PAGE_OCTETS;
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

/* Copies octets of the sequence; there are few enough for a window. */
static bool fetch(const struct index *ix, struct index_window *w, uint64_t position, void *to,
	size_t octets)
{
	if (!holds(w, position, octets)) {
		if (!load(ix, w, position))
			return false;
		if (!holds(w, position, octets))
			return makes_no_sense();
	}
	memcpy(to, w->payload + (position - w->start), octets);
	return true;
}

static bool is_sensible(const struct index_header *h, uint64_t file_octets)
{
	uint64_t octets;

	if (h->magic != INDEX_MAGIC || h->byte_order != INDEX_BYTE_ORDER ||
		h->version != INDEX_VERSION)
		return false;
	if (h->count > INDEX_COUNT_MOST || h->count > SIZE_MAX / 2 || h->new_count > h->count ||
		h->verified_count > h->count || h->unknown_count > h->count ||
		h->twin_count > h->count || h->total_octets > INDEX_SIZE_MOST)
		return false;
	if (h->names_octets > h->count * (UID_NAME_OCTETS + sizeof(struct twin)))
		return false;
	/* it is as long as it says, neither cut nor a sea of holes */
	octets = sizeof *h + h->count * sizeof(struct index_record) + h->names_octets;
	octets = (octets + INDEX_PAYLOAD_OCTETS - 1) / INDEX_PAYLOAD_OCTETS * INDEX_PAGE_OCTETS;
	return octets == file_octets;
}

static bool read_header(struct index *ix, uid_t owner)
{
	struct stat st;

	if (fstat(ix->fd, &st) != 0)
		return false;
	if (!S_ISREG(st.st_mode) || st.st_uid != owner || st.st_size < INDEX_PAGE_OCTETS)
		return makes_no_sense();
	if (!fetch(ix, &ix->records, 0, &ix->header, sizeof ix->header))
		return false;
	return is_sensible(&ix->header, (uint64_t)st.st_size) || makes_no_sense();
}

bool index_open(struct index *ix, int directory_fd, uid_t owner)
{
	int error_number;

	memset(&ix->header, 0, sizeof ix->header);
	ix->records.octets = ix->names.octets = 0;
	ix->fd = openat(directory_fd, INDEX_NAME,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ix->fd < 0)
		return false;
	if (read_header(ix, owner))
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
}

/* A name that a reading of the directory could have given, and this unique name in it. */
static bool is_name(const char *name, const struct index_record *r)
{
	return name[0] != '.' && memchr(name, '/', r->name_octets) == NULL &&
	       memchr(name, '\0', r->name_octets) == NULL &&
	       uid_unique_octets(name, r->name_octets) == r->unique_octets;
}

static bool get_name(struct index *ix, const struct index_record *r, struct twin *twin)
{
	const uint64_t start = RECORDS_START + ix->header.count * sizeof *r + r->name_offset;
	const bool has_twin = (r->flags & INDEX_TWIN) != 0;
	const size_t octets = r->name_octets + (has_twin ? sizeof *twin : 0);

	if (r->name_octets == 0 || r->place > PLACE_CUR || (r->flags & ~INDEX_FLAGS) != 0 ||
		r->size_octets > INDEX_SIZE_MOST)
		return makes_no_sense();
	if (r->name_offset > ix->header.names_octets ||
		octets > ix->header.names_octets - r->name_offset)
		return makes_no_sense();
	if (!fetch(ix, &ix->names, start, ix->name, r->name_octets))
		return false;
	ix->name[r->name_octets] = '\0';
	if (has_twin && !fetch(ix, &ix->names, start + r->name_octets, twin, sizeof *twin))
		return false;
	return is_name(ix->name, r) || makes_no_sense();
}

bool index_get(struct index *ix, uint64_t number, struct message *m)
{
	struct index_record r;
	struct twin twin = {0, 0};

	if (number >= ix->header.count)
		return makes_no_sense();
	if (!fetch(ix, &ix->records, RECORDS_START + number * sizeof r, &r, sizeof r) ||
		!get_name(ix, &r, &twin))
		return false;
	*m = (struct message){
		.name = ix->name,
		.size_octets = r.size_octets,
		.inode = twin.inode,
		.alias_inode = twin.alias_inode,
		.name_octets = r.name_octets,
		.unique_octets = r.unique_octets,
		.place = r.place,
		.size_verified = (r.flags & INDEX_VERIFIED) != 0,
		.size_unknown = (r.flags & INDEX_UNKNOWN) != 0,
	};
	return true;
}
