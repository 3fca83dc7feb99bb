/* takeover: taking over the unique-ids that another server gave; see maildir.h. Runs before the
 * session has locked itself in, once in the life of a Maildir. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/large.h"
#include "maildir/internal.h"
#include "os/file.h"

/* The longest line of a list: fields that are not wanted, and a file name. */
#define LINE_OCTETS 8192

/* How much of a message is looked through for the end of its header. */
#define HEADER_OCTETS_MOST ((size_t)1 << 20)

/* The old server's unique-id of a message; octets 0: none. */
struct given {
	size_t start; /* in the text */
	size_t number;
	uint8_t octets;
	bool is_shared; /* another message has it, too, and keeps it */
};

struct takeover {
	struct maildir *m;
	const struct foreign *from;
	struct given *given; /* by message number */
	char *text;          /* all unique-ids */
	size_t text_octets, text_capacity;
	struct maildir_takeover *found;
};

/* Of one process that takes over once. */
static char list_buffer[LINE_OCTETS] LARGE;

static bool give(struct takeover *t, size_t number, const char *uid, size_t octets)
{
	if (t->text_capacity - t->text_octets < octets) {
		const size_t capacity = 2 * t->text_capacity + 4096;
		char *const text = realloc(t->text, capacity);

		if (text == NULL)
			return false;
		t->text = text;
		t->text_capacity = capacity;
	}
	memcpy(t->text + t->text_octets, uid, octets);
	t->given[number].start = t->text_octets;
	t->given[number].octets = (uint8_t)octets;
	t->text_octets += octets;
	return true;
}

/* A message that stands in the list several times has the unique-id of the last one. */
static bool take_line(
	struct takeover *t, struct foreign_list *list, const char *line, size_t octets)
{
	struct foreign_record record;
	struct entries group;

	switch (foreign_take_line(list, line, octets, &record)) {
	case FOREIGN_HEAD:
	case FOREIGN_NOTHING: return true;
	case FOREIGN_WRONG:
		t->found->wrong++;
		errno = EBADMSG;
		return list->version != 0;
	case FOREIGN_RECORD: break;
	}
	if (record.name_octets > UID_NAME_OCTETS)
		return true;
	group = snapshot_find(&t->m->snapshot, record.name, record.name_octets);
	return group.count == 0 || give(t, (size_t)(group.first - t->m->snapshot.entries),
					   record.uid, record.uid_octets);
}

/* Takes the whole lines of the buffer; returns the octets of the one that is not whole, which
 * then are at its beginning, or SIZE_MAX with errno. */
static size_t take_buffer(struct takeover *t, struct foreign_list *list, size_t filled)
{
	size_t at = 0;

	while (at < filled) {
		const char *const end = memchr(list_buffer + at, '\n', filled - at);

		if (end == NULL)
			break;
		if (!take_line(t, list, list_buffer + at, (size_t)(end - list_buffer) - at))
			return SIZE_MAX;
		at = (size_t)(end - list_buffer) + 1;
	}
	memmove(list_buffer, list_buffer + at, filled - at);
	return filled - at;
}

/* A last line without an end is one that is being written. One that is too long is none of a
 * server's. */
static bool take_list(struct takeover *t, int fd)
{
	struct foreign_list list = {.kind = t->from};
	size_t kept = 0;

	for (;;) {
		const ssize_t got = read(fd, list_buffer + kept, sizeof list_buffer - kept);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		kept = take_buffer(t, &list, kept + (size_t)got);
		errno = kept == sizeof list_buffer ? EBADMSG : errno;
		if (kept >= sizeof list_buffer)
			return false;
	}
	errno = EBADMSG;
	return list.version != 0;
}

/* Without a list the server gave no unique-ids yet. */
static bool take_from_list(struct takeover *t)
{
	const int fd = openat(t->m->root_fd, foreign_list_name(t->from),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	bool taken;

	t->found->has_list = fd >= 0;
	if (fd < 0)
		return errno == ENOENT;
	taken = fstat(fd, &st) == 0;
	if (taken && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		taken = false;
	}
	taken = taken && take_list(t, fd);
	file_close(fd);
	return taken;
}

static bool take_from_names(struct takeover *t)
{
	const struct snapshot *const s = &t->m->snapshot;
	char uid[FOREIGN_UID_OCTETS];

	for (size_t i = 0; i < s->count; i++) {
		const size_t octets = foreign_of_name(
			t->from, uid, s->entries[i].name, s->entries[i].unique_octets);

		if (octets > 0 && !give(t, i, uid, octets))
			return false;
	}
	return true;
}

/* The field of one message. A message that is gone needs none. */
static bool take_header(struct takeover *t, size_t number)
{
	const struct entry *const entry = &t->m->snapshot.entries[number];
	const int fd = openat(t->m->place_fd[entry->place], entry->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct foreign_field field = FOREIGN_FIELD_START;
	size_t seen = 0;
	ssize_t got = 0;

	if (fd < 0)
		return errno == ENOENT;
	do {
		got = read(fd, list_buffer, sizeof list_buffer);
		seen += got > 0 ? (size_t)got : 0;
	} while (got > 0 && seen < HEADER_OCTETS_MOST &&
		 foreign_take_header(&field, list_buffer, (size_t)got));
	file_close(fd);
	if (got < 0)
		return false;
	return field.uid_octets == 0 || give(t, number, field.line, field.uid_octets);
}

static bool take_from_headers(struct takeover *t)
{
	for (size_t i = 0; i < t->m->snapshot.count; i++)
		if (!take_header(t, i))
			return false;
	return true;
}

static bool take_all(struct takeover *t)
{
	t->found->has_list = true;
	switch (foreign_source(t->from)) {
	case FOREIGN_FROM_LIST: return take_from_list(t);
	case FOREIGN_FROM_HEADER: return take_from_headers(t);
	case FOREIGN_FROM_NAME: break;
	}
	return take_from_names(t);
}

/* While unique-ids are compared. */
static const char *compared_text;

static int compare_uids(const void *a, const void *b)
{
	const struct given *const first = a, *const second = b;
	const size_t octets = first->octets < second->octets ? first->octets : second->octets;
	int order = 0;

	/* without any unique-id there is no text */
	if (octets > 0)
		order = memcmp(
			compared_text + first->start, compared_text + second->start, octets);
	if (order != 0)
		return order;
	if (first->octets != second->octets)
		return first->octets < second->octets ? -1 : 1;
	return first->number < second->number ? -1 : first->number > second->number;
}

static bool is_same_uid(const struct takeover *t, const struct given *a, const struct given *b)
{
	return a->octets == b->octets &&
	       memcmp(t->text + a->start, t->text + b->start, a->octets) == 0;
}

/* Of messages with one unique-id the first of the maildrop keeps it. */
static void find_shared(struct takeover *t)
{
	const size_t count = t->m->snapshot.count;

	compared_text = t->text;
	if (count == 0)
		return;
	qsort(t->given, count, sizeof *t->given, compare_uids);
	for (size_t i = 1; i < count; i++)
		t->given[i].is_shared = t->given[i].octets > 0 &&
					is_same_uid(t, &t->given[i - 1], &t->given[i]);
}

/* What becomes of a message: whether it needs a record. */
static bool needs_record(struct takeover *t, const struct given *given)
{
	const struct entry *const entry = &t->m->snapshot.entries[given->number];
	char own[UID_TEXT_OCTETS];
	size_t octets;

	if (given->octets == 0 || (entry->flags & ENTRY_SECOND) != 0) {
		t->found->unknown++;
		return false;
	}
	if (given->is_shared) {
		t->found->shared++;
		return false;
	}
	octets = uid_text(own, entry->name, entry->unique_octets, 0);
	if (octets == given->octets && memcmp(own, t->text + given->start, octets) == 0) {
		t->found->same++;
		return false;
	}
	t->found->taken++;
	return true;
}

/* Counts, and leaves of the messages those that need a record. */
static size_t choose(struct takeover *t)
{
	size_t chosen = 0;

	find_shared(t);
	for (size_t i = 0; i < t->m->snapshot.count; i++)
		if (needs_record(t, &t->given[i]))
			t->given[chosen++] = t->given[i];
	return chosen;
}

static bool write_file(const struct takeover *t, size_t count, const char *kind)
{
	const struct maildir *const m = t->m;
	static struct uids_writer writer LARGE;

	if (!uids_begin(&writer, m->root_fd, kind, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct given *const given = &t->given[i];
		const struct entry *const entry = &m->snapshot.entries[given->number];

		if (!uids_put(&writer, t->text + given->start, given->octets, entry->name,
			    entry->unique_octets))
			return false;
	}
	return uids_end(&writer, false);
}

static bool take_over(struct takeover *t, bool write)
{
	struct snapshot *const s = &t->m->snapshot;
	char kind[FOREIGN_KIND_OCTETS + 1];
	size_t count;

	if (!maildir_scan(t->m) || !maildir_settle_names(t->m))
		return false;
	t->found->messages = s->count;
	t->given = calloc(s->count + 1, sizeof *t->given);
	if (t->given == NULL)
		return false;
	for (size_t i = 0; i < s->count; i++)
		t->given[i].number = i;
	if (!take_all(t))
		return false;
	count = choose(t);
	foreign_write(t->from, kind);
	return !write || write_file(t, count, kind);
}

bool maildir_take_over(struct maildir *m, const struct foreign *from, bool write,
	struct maildir_takeover *found)
{
	struct takeover t = {.m = m, .from = from, .found = found};
	bool taken;
	int error_number;

	*found = (struct maildir_takeover){.messages = 0};
	taken = take_over(&t, write);
	error_number = errno;
	free(t.given);
	free(t.text);
	snapshot_forget(&m->snapshot);
	m->state = MAILDIR_OPEN;
	errno = error_number;
	return taken;
}
