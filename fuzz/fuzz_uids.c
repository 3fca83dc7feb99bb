/* fuzz_uids: unique ids of other servers: lines of their lists, names and headers of messages,
 * and the file that they are taken over into, whose checksums every second input has corrected.
 */
#include "directory.h"

#include "lib/foreign.h"
#include "maildir/uids.h"

#define MOST_OCTETS 20000

static char file[MOST_OCTETS];

/* Corrects the sum of each line; the first one has it after the magic. */
static void seal(size_t octets)
{
	size_t at = 0, start = sizeof UIDS_MAGIC - 1;

	while (at < octets) {
		char *const end = memchr(file + at, '\n', octets - at);
		const size_t length = end != NULL ? (size_t)(end - file) - at : octets - at;
		char *const sum = file + at + start;
		const size_t before = start + UIDS_SUM_DIGITS + 1;

		if (length > before) {
			number_write_all_hex(
				sum, uids_sum(file + at + before, length - before));
			sum[UIDS_SUM_DIGITS] = ' ';
		}
		at += length + 1;
		start = 0;
	}
}

static void check_record(const struct uids *u, const struct uids_record *r)
{
	const char *const name = u->text + r->name_start, *const uid = u->text + r->uid_start;
	const struct span found = uids_find(u, name, r->name_octets);
	const struct unique unique = {name, r->name_octets, 0};
	char text[FOREIGN_UID_OCTETS + 1];

	CHECK(foreign_is_uid(uid, r->uid_octets) && uids_has(u, uid, r->uid_octets));
	CHECK(found.length == r->uid_octets && memcmp(found.octets, uid, found.length) == 0);
	CHECK(uids_give(u, &unique, text) == found.length);
}

static void read_file(const char *octets, size_t length, int is_sealed)
{
	struct uids u;

	length = length < sizeof file ? length : sizeof file;
	memcpy(file, octets, length);
	if (is_sealed)
		seal(length);
	fuzz_put(UIDS_NAME, file, length);
	if (!uids_open(&u, fuzz_directory(), geteuid()))
		return;
	CHECK(uids_read(&u));
	for (size_t i = 0; i < u.count; i++)
		check_record(&u, &u.records[i]);
	uids_close(&u);
}

static void read_list(const char *kind, const char *octets, size_t length)
{
	struct foreign from;
	struct foreign_list list = {.kind = &from};
	struct foreign_record record;

	CHECK(foreign_parse(&from, kind));
	while (length > 0) {
		const char *const end = memchr(octets, '\n', length);
		const size_t line = end != NULL ? (size_t)(end - octets) : length;
		char *const copy = fuzz_copy(octets, line);

		if (foreign_take_line(&list, copy, line, &record) == FOREIGN_RECORD) {
			CHECK(record.name >= copy && record.name_octets > 0);
			CHECK(record.name + record.name_octets <= copy + line);
			CHECK(record.uid_octets > 0 && record.uid_octets <= sizeof record.uid);
		}
		free(copy);
		octets += line + (end != NULL);
		length -= line + (end != NULL);
	}
}

static void read_name(const char *kind, const char *octets, size_t length)
{
	struct foreign from;
	char uid[FOREIGN_UID_OCTETS];
	size_t octets_of_uid;

	CHECK(foreign_parse(&from, kind));
	octets_of_uid = foreign_of_name(&from, uid, octets, length);
	CHECK(octets_of_uid == 0 || foreign_is_uid(uid, octets_of_uid));
}

static void read_header(const char *octets, size_t length)
{
	struct foreign_field field = FOREIGN_FIELD_START;

	if (!foreign_take_header(&field, octets, length / 2))
		length = 0;
	foreign_take_header(&field, octets + length / 2, length - length / 2);
	CHECK(field.uid_octets == 0 || foreign_is_uid(field.line, field.uid_octets));
}

static void read_kind(const char *octets, size_t length)
{
	char text[256];
	struct foreign from;

	length = length < sizeof text - 1 ? length : sizeof text - 1;
	memcpy(text, octets, length);
	text[length] = '\0';
	if (foreign_parse(&from, text)) {
		char written[FOREIGN_KIND_OCTETS + 1];

		foreign_write(&from, written);
		CHECK(foreign_parse(&from, written));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size < 1)
		return 0;
	copy = fuzz_copy(data + 1, size - 1);
	switch (data[0] % 8) {
	case 0: read_list("dovecot", copy, size - 1); break;
	case 1: read_list("courier", copy, size - 1); break;
	case 2: read_list("dovecot:%f-%Mg-%{uid | hex(8)}", copy, size - 1); break;
	case 3: read_header(copy, size - 1); break;
	case 4: read_name("mailfront", copy, size - 1); break;
	case 5: read_kind(copy, size - 1); break;
	default: read_file(copy, size - 1, data[0] & 1); break;
	}
	free(copy);
	return 0;
}
