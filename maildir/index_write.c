/* index_write: see index.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/large.h"
#include "maildir/index.h"
#include "os/directory.h"
#include "os/file.h"

#define TEMPORARY_PREFIX INDEX_NAME "."
#define BUFFER_PAGES 16
#define WRITER_SECONDS 600 /* longer than any session takes to write an index */

struct writer {
	int fd;
	struct index_header header;
	uint64_t page_number; /* of the page that is being filled */
	size_t used;          /* octets of it */
	size_t buffered;      /* pages before it in the buffer */
	unsigned char buffer[BUFFER_PAGES * INDEX_PAGE_OCTETS];
	unsigned char first_page[INDEX_PAGE_OCTETS]; /* kept until its header is known */
};

/* static, because a process writes at most one index, at its end. */
static struct writer writer LARGE;

static bool write_buffer(struct writer *w)
{
	const size_t octets = w->buffered * INDEX_PAGE_OCTETS;

	w->buffered = 0;
	return file_write(w->fd, w->buffer, octets);
}

static void seal(unsigned char *page, uint64_t nonce, uint64_t page_number)
{
	const uint64_t sum = index_sum(nonce, page_number, page);

	memcpy(page + INDEX_PAYLOAD_OCTETS, &sum, sizeof sum);
}

static bool end_page(struct writer *w)
{
	unsigned char *const page = w->buffer + w->buffered * INDEX_PAGE_OCTETS;

	memset(page + w->used, 0, INDEX_PAYLOAD_OCTETS - w->used);
	if (w->page_number == 0)
		memcpy(w->first_page, page, INDEX_PAYLOAD_OCTETS);
	seal(page, w->header.nonce, w->page_number);
	w->used = 0;
	w->page_number++;
	w->buffered++;
	return w->buffered < BUFFER_PAGES || write_buffer(w);
}

static bool put(struct writer *w, const void *octets, size_t length)
{
	const unsigned char *next = octets;

	while (length > 0) {
		const size_t room = INDEX_PAYLOAD_OCTETS - w->used;
		const size_t part = length < room ? length : room;

		memcpy(w->buffer + w->buffered * INDEX_PAGE_OCTETS + w->used, next, part);
		w->used += part;
		next += part;
		length -= part;
		if (w->used == INDEX_PAYLOAD_OCTETS && !end_page(w))
			return false;
	}
	return true;
}

/* Gets what is written of a message. Returns false if the message is left out, or with errno
 * not 0 if it cannot be read. */
static bool next_message(const struct index_content *c, size_t number, struct message *m)
{
	errno = 0;
	if (c->leave_deleted_out && snapshot_marked(c->snapshot, MARK_DELETED, number))
		return false;
	return snapshot_get(c->snapshot, number, m);
}

static void count(struct index_header *h, const struct message *m, bool has_twin)
{
	h->count++;
	h->new_count += m->place == PLACE_NEW;
	h->verified_count += m->size_verified;
	h->unknown_count += m->size_unknown;
	h->twin_count += has_twin;
	h->total_octets += m->size_octets;
	h->names_octets += m->name_octets + (has_twin ? sizeof(struct index_inodes) : 0);
}

static bool has_twin(const struct message *m)
{
	return m->inode != 0 || m->alias_inode != 0;
}

static bool put_records(struct writer *w, const struct index_content *c)
{
	for (size_t i = 0; i < c->snapshot->count; i++) {
		struct message m;
		struct index_record r = {.name_offset = w->header.names_octets};

		if (!next_message(c, i, &m)) {
			if (errno != 0)
				return false;
			continue;
		}
		r.size_octets = m.size_octets;
		r.name_octets = m.name_octets;
		r.unique_octets = m.unique_octets;
		r.place = m.place;
		r.flags = (uint8_t)((m.size_verified ? INDEX_VERIFIED : 0) |
				    (m.size_unknown ? INDEX_UNKNOWN : 0) |
				    (m.is_second ? INDEX_SECOND : 0) |
				    (has_twin(&m) ? INDEX_TWIN : 0));
		count(&w->header, &m, has_twin(&m));
		if (!put(w, &r, sizeof r))
			return false;
	}
	return true;
}

static bool put_names(struct writer *w, const struct index_content *c)
{
	for (size_t i = 0; i < c->snapshot->count; i++) {
		struct message m;

		if (!next_message(c, i, &m)) {
			if (errno != 0)
				return false;
			continue;
		}
		if (!put(w, m.name, m.name_octets))
			return false;
		if (has_twin(&m)) {
			const struct index_inodes inodes = {m.inode, m.alias_inode};

			if (!put(w, &inodes, sizeof inodes))
				return false;
		}
	}
	return w->used == 0 || end_page(w);
}

/* Whether the file system uses the clock of this host. It may use that of another host, and
 * then its times cannot be compared with those of this host. */
static bool clocks_agree(int fd)
{
	struct timespec now;
	struct stat st;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0 || fstat(fd, &st) != 0)
		return false;
	return now.tv_sec - st.st_ctim.tv_sec >= -1 && now.tv_sec - st.st_ctim.tv_sec <= 1;
}

static bool put_header(struct writer *w)
{
	memcpy(w->first_page, &w->header, sizeof w->header);
	seal(w->first_page, w->header.nonce, 0);
	return lseek(w->fd, 0, SEEK_SET) == 0 &&
	       file_write(w->fd, w->first_page, sizeof w->first_page);
}

static bool write_content(struct writer *w, const struct index_content *c)
{
	const bool agree = clocks_agree(w->fd);
	const struct index_header empty = {0};

	for (int place = PLACE_NEW; place <= PLACE_CUR; place++) {
		w->header.places[place] = c->places[place];
		if (!agree)
			w->header.places[place].is_final = 0;
	}
	return put(w, &empty, sizeof empty) && put_records(w, c) && put_names(w, c) &&
	       write_buffer(w) && w->header.count <= INDEX_COUNT_MOST &&
	       w->header.total_octets <= INDEX_SIZE_MOST && put_header(w);
}

static bool take_left_over(void *context, int directory_fd, const char *name, size_t octets)
{
	const struct timespec *const now = context;
	struct stat st;

	if (octets > sizeof TEMPORARY_PREFIX - 1 &&
		memcmp(name, TEMPORARY_PREFIX, sizeof TEMPORARY_PREFIX - 1) == 0 &&
		fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(st.st_mtim.tv_sec < now->tv_sec - WRITER_SECONDS ||
			st.st_mtim.tv_sec > now->tv_sec + WRITER_SECONDS))
		unlinkat(directory_fd, name, 0);
	return true;
}

static void remove_left_overs(int directory_fd)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) == 0)
		directory_read(directory_fd, take_left_over, &now);
}

bool index_write(int directory_fd, const struct index_content *content)
{
	struct writer *const w = &writer;
	char name[sizeof TEMPORARY_PREFIX + 16];
	uint64_t random[2];
	int error_number = 0;

	remove_left_overs(directory_fd);
	if (getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random)
		return false;
	w->header = (struct index_header){.magic = INDEX_MAGIC,
		.byte_order = INDEX_BYTE_ORDER,
		.version = content->version,
		.nonce = random[0] | 1};
	w->page_number = 0;
	w->used = w->buffered = 0;
	snprintf(name, sizeof name, TEMPORARY_PREFIX "%016llx", (unsigned long long)random[1]);
	w->fd = openat(directory_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return false;
	if (!write_content(w, content))
		error_number = errno != 0 ? errno : EFBIG;
	/* with quotas and on NFS, close can report a failed write */
	if (close(w->fd) != 0 && error_number == 0)
		error_number = errno;
	if (error_number == 0 &&
		syscall(SYS_renameat2, directory_fd, name, directory_fd, INDEX_NAME, 0) == 0)
		return true;
	if (error_number == 0)
		error_number = errno;
	unlinkat(directory_fd, name, 0);
	errno = error_number;
	return false;
}
