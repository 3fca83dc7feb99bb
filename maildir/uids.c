/* uids: reading the unique-ids that were taken over; see uids.h. */
#include "maildir/uids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/siphash.h"
#include "os/file.h"

void uids_init(struct uids *u)
{
	*u = (struct uids){.fd = -1};
}

uint64_t uids_sum(const char *octets, size_t length)
{
	static const uint64_t key[2] = {0x706f7033642d7569, 0x64732d7265636f72};

	return siphash(key, octets, length);
}

static bool makes_no_sense(void)
{
	errno = EBADMSG;
	return false;
}

static bool has_sum(const char *digits, const char *octets, size_t length)
{
	char expected[UIDS_SUM_DIGITS];

	number_write_all_hex(expected, uids_sum(octets, length));
	return memcmp(expected, digits, sizeof expected) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes the escapes "%XX" in place. Returns the new length; 0 where one is wrong. */
static size_t unescape(char *text, size_t octets)
{
	size_t to = 0;

	for (size_t i = 0; i < octets; i++) {
		int high, low;

		if (text[i] != '%') {
			text[to++] = text[i];
			continue;
		}
		if (octets - i < 3)
			return 0;
		high = hex_digit(text[i + 1]);
		low = hex_digit(text[i + 2]);
		if (high < 0 || low < 0)
			return 0;
		text[to++] = (char)(16 * high + low);
		i += 2;
	}
	return to;
}

/* "pop3d-uids 1 SUM COUNT KIND" */
static bool take_head(struct uids *u, char *line, size_t octets)
{
	const size_t start = sizeof UIDS_MAGIC - 1, rest = start + UIDS_SUM_DIGITS + 1;
	const char *blank;
	size_t kind_octets;

	if (octets <= rest || memcmp(line, UIDS_MAGIC, start) != 0 || line[rest - 1] != ' ' ||
		!has_sum(line + start, line + rest, octets - rest))
		return makes_no_sense();
	blank = memchr(line + rest, ' ', octets - rest);
	if (blank == NULL ||
		!number_parse(line + rest, (size_t)(blank - line) - rest, &u->claimed) ||
		u->claimed > UINT32_MAX)
		return makes_no_sense();
	kind_octets = octets - (size_t)(blank + 1 - line);
	kind_octets = unescape(line + octets - kind_octets, kind_octets);
	if (kind_octets == 0 || kind_octets >= sizeof u->kind)
		return makes_no_sense();
	memcpy(u->kind, blank + 1, kind_octets);
	u->kind[kind_octets] = '\0';
	return true;
}

static bool read_head(struct uids *u)
{
	char line[sizeof UIDS_MAGIC + UIDS_SUM_DIGITS + NUMBER_DIGITS +
		  3 * FOREIGN_KIND_OCTETS + 4];
	const ssize_t got = file_read_at(u->fd, line, sizeof line, 0);
	const char *end;

	if (got < 0)
		return false;
	end = memchr(line, '\n', (size_t)got);
	return end != NULL ? take_head(u, line, (size_t)(end - line)) : makes_no_sense();
}

static bool is_usable(int fd, uid_t owner)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	errno = EPERM;
	if (!S_ISREG(st.st_mode) || (st.st_uid != owner && st.st_uid != 0))
		return false;
	errno = EFBIG;
	return (uint64_t)st.st_size <= UIDS_MOST_OCTETS;
}

bool uids_open(struct uids *u, int directory_fd, uid_t owner)
{
	int error_number;

	uids_init(u);
	u->fd = openat(directory_fd, UIDS_NAME,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (u->fd < 0)
		return errno == ENOENT;
	u->is_there = true;
	if (is_usable(u->fd, owner) && read_head(u))
		return true;
	error_number = errno;
	uids_close(u);
	errno = error_number;
	return false;
}

/* The slot where the octets stand, or would: by name, or by unique-id. */
static size_t slot_of(const struct uids *u, bool by_name, const char *octets, size_t length)
{
	static const uint64_t key[2] = {0x7461626c65, 0};
	const uint32_t *const table = by_name ? u->by_name : u->by_uid;
	size_t slot = (size_t)siphash(key, octets, length) & (u->slots - 1);

	for (; table[slot] != 0; slot = (slot + 1) & (u->slots - 1)) {
		const struct uids_record *const r = &u->records[table[slot] - 1];
		const size_t start = by_name ? r->name_start : r->uid_start;

		if ((by_name ? r->name_octets : r->uid_octets) == length &&
			memcmp(u->text + start, octets, length) == 0)
			break;
	}
	return slot;
}

/* "SUM UID NAME"; false if it is damaged, or says something again. */
static bool take_record(struct uids *u, char *line, size_t octets)
{
	char *const uid = line + UIDS_SUM_DIGITS + 1;
	size_t uid_octets, name_octets, name_slot, uid_slot;
	char *name;

	if (octets < UIDS_SUM_DIGITS + 2 || uid[-1] != ' ' ||
		!has_sum(line, uid, octets - UIDS_SUM_DIGITS - 1))
		return false;
	name = memchr(uid, ' ', octets - UIDS_SUM_DIGITS - 1);
	if (name == NULL)
		return false;
	name++;
	name_octets = unescape(name, octets - (size_t)(name - line));
	uid_octets = unescape(uid, (size_t)(name - uid) - 1);
	if (!foreign_is_uid(uid, uid_octets) || name_octets == 0 ||
		name_octets > UID_NAME_OCTETS)
		return false;
	name_slot = slot_of(u, true, name, name_octets);
	uid_slot = slot_of(u, false, uid, uid_octets);
	if (u->by_name[name_slot] != 0 || u->by_uid[uid_slot] != 0)
		return false;
	u->records[u->count++] = (struct uids_record){(uint32_t)(uid - u->text),
		(uint32_t)(name - u->text), (uint8_t)uid_octets, (uint8_t)name_octets};
	u->by_name[name_slot] = u->by_uid[uid_slot] = (uint32_t)u->count;
	return true;
}

static size_t count_lines(const char *text, size_t octets)
{
	size_t lines = 0;

	for (size_t i = 0; i < octets; i++)
		lines += text[i] == '\n';
	return lines;
}

static bool make_tables(struct uids *u, size_t record_count)
{
	u->slots = 16;
	while (u->slots < 2 * record_count)
		u->slots *= 2;
	u->records = reallocarray(NULL, record_count + 1, sizeof *u->records);
	u->by_name = calloc(u->slots, sizeof *u->by_name);
	u->by_uid = calloc(u->slots, sizeof *u->by_uid);
	return u->records != NULL && u->by_name != NULL && u->by_uid != NULL;
}

/* A line that was lost altogether shows in the number of the first line only. */
static void take_records(struct uids *u, size_t octets)
{
	char *const first = memchr(u->text, '\n', octets);
	size_t at = first != NULL ? (size_t)(first + 1 - u->text) : octets;

	while (at < octets) {
		char *const end = memchr(u->text + at, '\n', octets - at);
		const size_t length = end != NULL ? (size_t)(end - u->text) - at : octets - at;

		take_record(u, u->text + at, length);
		at += length + 1;
	}
	u->damaged = u->claimed > u->count ? (size_t)(u->claimed - u->count) : 0;
}

static void forget(struct uids *u)
{
	free(u->text);
	free(u->records);
	free(u->by_name);
	free(u->by_uid);
	u->text = NULL;
	u->records = NULL;
	u->by_name = u->by_uid = NULL;
	u->count = u->slots = 0;
	u->is_read = false;
}

static bool read_all(struct uids *u)
{
	struct stat st;
	ssize_t got;

	if (fstat(u->fd, &st) != 0)
		return false;
	errno = EFBIG;
	if (st.st_size <= 0 || (uint64_t)st.st_size > UIDS_MOST_OCTETS)
		return false;
	u->text = malloc((size_t)st.st_size);
	if (u->text == NULL)
		return false;
	got = file_read_at(u->fd, u->text, (size_t)st.st_size, 0);
	if (got < 0)
		return false;
	if (!make_tables(u, count_lines(u->text, (size_t)got) + 1))
		return false;
	take_records(u, (size_t)got);
	return true;
}

bool uids_read(struct uids *u)
{
	int error_number;

	if (u->is_read || !u->is_there)
		return true;
	u->is_read = read_all(u);
	if (u->is_read)
		return true;
	error_number = errno;
	forget(u);
	errno = error_number;
	return false;
}

void uids_close(struct uids *u)
{
	if (u->fd >= 0)
		close(u->fd);
	forget(u);
	uids_init(u);
}

struct span uids_find(const struct uids *u, const char *unique, size_t octets)
{
	struct span text = {NULL, 0};
	uint32_t found;

	if (u->count == 0)
		return text;
	found = u->by_name[slot_of(u, true, unique, octets)];
	if (found != 0)
		text = (struct span){u->text + u->records[found - 1].uid_start,
			u->records[found - 1].uid_octets};
	return text;
}

bool uids_has(const struct uids *u, const char *uid, size_t octets)
{
	return u->count > 0 && u->by_uid[slot_of(u, false, uid, octets)] != 0;
}

size_t uids_give(
	const struct uids *u, const struct unique *unique, char text[FOREIGN_UID_OCTETS + 1])
{
	struct span given = {NULL, 0};
	size_t octets;

	if (unique->shared == 0)
		given = uids_find(u, unique->octets, unique->length);
	if (given.octets != NULL) {
		memcpy(text, given.octets, given.length);
		text[given.length] = '\0';
		return given.length;
	}
	octets = uid_text(text, unique->octets, unique->length, unique->shared);
	/* more than one round would need a hash that somebody was given */
	for (unsigned salt = 1; salt < 16 && uids_has(u, text, octets); salt++)
		octets = uid_hash(text, unique->octets, unique->length, unique->shared, salt);
	return octets;
}
