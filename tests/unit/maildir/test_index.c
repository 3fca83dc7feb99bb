/* index: what is written is read back, and nothing else is believed (doc/INDEX). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>

#include "maildir/index.h"

static struct unit_dir box;
static struct snapshot s;
static struct index ix;
static unsigned char file[1 << 20]; /* The index as it was written. */
static size_t file_octets;

static int setup(void **state)
{
	(void)state;
	unit_dir_make(&box);
	snapshot_init(&s);
	ix.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	index_close(&ix);
	snapshot_free(&s);
	unit_dir_remove(&box);
	return 0;
}

/* A message that differs from its neighbours in every remembered field. */
static void add(size_t number)
{
	char name[256];
	const int octets = snprintf(name, sizeof name, "%zu.M%zuP7.host%.*s%s",
		1000000 + number / 3, number % 3, (int)(number % 40),
		"................................"
		"........",
		number % 2 ? ":2,S" : "");
	const struct message m = {
		.name = name,
		.size_octets = number * 1000003,
		.inode = number % 7 == 3 ? number : 0,
		.alias_inode = number % 11 == 3 ? number + 5 : 0,
		.name_octets = (uint8_t)octets,
		.unique_octets = (uint8_t)uid_unique_octets(name, (size_t)octets),
		.place = number % 2 ? PLACE_CUR : PLACE_NEW,
		.size_verified = number % 3 == 0,
		.size_unknown = number % 5 == 1 && number % 3 != 0,
	};

	assert_true(snapshot_add_known(&s, &m));
}

static void fill(size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(i);
}

static bool write_index(void)
{
	const struct index_content content = {
		INDEX_VERSION, &s, {{1, 2, 3, 4, 5, 6, 1}, {7, 8, 9, 10, 11, 12, 0}}, false};

	return index_write(box.fd, &content);
}

static bool opens(void)
{
	const struct index_wish wish = {box.fd, geteuid(), INDEX_VERSION, false};

	index_close(&ix);
	return index_open(&ix, &wish);
}

static void read_file(void)
{
	const int fd = openat(box.fd, INDEX_NAME, O_RDONLY | O_CLOEXEC);
	const ssize_t length = read(fd, file, sizeof file);

	close(fd);
	assert_in_range(length, INDEX_PAGE_OCTETS, sizeof file - 1);
	file_octets = (size_t)length;
}

static void put_file(size_t octets)
{
	/* The file is not recreated, because file systems would flush it each time. */
	const int fd = openat(box.fd, INDEX_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, file, octets, 0), octets);
	assert_int_equal(ftruncate(fd, (off_t)octets), 0);
	close(fd);
}

static int cut(int directory_fd, const char *name, off_t octets)
{
	const int fd = openat(directory_fd, name, O_WRONLY | O_CLOEXEC);
	const int result = ftruncate(fd, octets);

	close(fd);
	return result;
}

static void seal(size_t page)
{
	uint64_t nonce, sum;
	unsigned char *const start = file + page * INDEX_PAGE_OCTETS;

	memcpy(&nonce, file + offsetof(struct index_header, nonce), sizeof nonce);
	sum = index_sum(nonce, page, start);
	memcpy(start + INDEX_PAYLOAD_OCTETS, &sum, sizeof sum);
}

static void is_same(const struct message *got, const struct message *expected)
{
	assert_string_equal(got->name, expected->name);
	assert_int_equal(got->size_octets, expected->size_octets);
	assert_int_equal(got->inode, expected->inode);
	assert_int_equal(got->alias_inode, expected->alias_inode);
	assert_int_equal(got->name_octets, expected->name_octets);
	assert_int_equal(got->unique_octets, expected->unique_octets);
	assert_int_equal(got->place, expected->place);
	assert_int_equal(got->size_verified, expected->size_verified);
	assert_int_equal(got->size_unknown, expected->size_unknown);
}

/* Every message is as it was written, or is an error. Returns the number of errors. */
static size_t count_errors(void)
{
	size_t errors = 0;

	for (size_t i = 0; i < s.count; i++) {
		struct message got, expected;
		uint64_t size_octets;

		assert_true(snapshot_get(&s, i, &expected));
		errno = 0;
		if (!index_get(&ix, i, &got)) {
			assert_int_equal(errno, EBADMSG);
			errors++;
			continue;
		}
		is_same(&got, &expected);
		assert_true(index_get_size(&ix, i, &size_octets));
		assert_int_equal(size_octets, expected.size_octets);
	}
	return errors;
}

static size_t count_files(void)
{
	DIR *const directory = fdopendir(openat(box.fd, ".", O_RDONLY | O_CLOEXEC));
	size_t files = 0;

	while (readdir(directory) != NULL)
		files++;
	closedir(directory);
	return files - 2;
}

TEST(what_is_written_is_read_back)
{
	static const size_t counts[] = {0, 1, 2, 99, 1000, 5000};

	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		struct message m;

		snapshot_free(&s);
		fill(counts[i]);
		assert_true(write_index());
		assert_int_equal(count_files(), 1);
		assert_true(opens());
		assert_int_equal(ix.header.count, counts[i]);
		assert_int_equal(count_errors(), 0);
		assert_int_equal(ix.header.places[PLACE_NEW].inode, 2);
		assert_int_equal(ix.header.places[PLACE_CUR].ctime_nanoseconds, 12);
		errno = 0;
		assert_false(index_get(&ix, counts[i], &m));
		assert_false(index_get(&ix, UINT64_MAX, &m));
		assert_int_equal(errno, EBADMSG);
	}
}

TEST(messages_are_read_in_any_order)
{
	uint64_t random = 3;

	fill(3000);
	assert_true(write_index());
	assert_true(opens());
	for (int i = 0; i < 3000; i++) {
		const size_t number = unit_random(&random) % s.count;
		struct message got, expected;

		assert_true(snapshot_get(&s, number, &expected));
		assert_true(index_get(&ix, number, &got));
		is_same(&got, &expected);
	}
}

TEST(header_has_the_totals)
{
	uint64_t octets = 0, verified = 0, new_count = 0;

	fill(500);
	for (size_t i = 0; i < 500; i++) {
		octets += s.entries[i].size_octets;
		verified += (s.entries[i].flags & ENTRY_VERIFIED) != 0;
		new_count += s.entries[i].place == PLACE_NEW;
	}
	assert_true(write_index());
	assert_true(opens());
	assert_int_equal(ix.header.total_octets, octets);
	assert_int_equal(ix.header.verified_count, verified);
	assert_int_equal(ix.header.new_count, new_count);
	assert_int_equal(ix.header.unknown_count, 67);
}

TEST(deleted_messages_are_left_out_where_they_were_removed)
{
	struct index_content content = {
		.version = INDEX_VERSION, .snapshot = &s, .leave_deleted_out = true};
	struct message m;

	fill(100);
	for (size_t i = 0; i < 100; i += 2)
		assert_true(snapshot_mark(&s, MARK_DELETED, i));
	assert_true(index_write(box.fd, &content));
	assert_true(opens());
	assert_int_equal(ix.header.count, 50);
	for (size_t i = 0; i < 50; i++) {
		assert_true(index_get(&ix, i, &m));
		assert_string_equal(m.name, s.entries[2 * i + 1].name);
	}
}

/* This test uses the clock of the file system. */
TEST(times_that_were_final_stay_so)
{
	fill(1);
	assert_true(write_index());
	assert_true(opens());
	assert_int_equal(ix.header.places[PLACE_NEW].is_final, 1);
	assert_int_equal(ix.header.places[PLACE_CUR].is_final, 0);
}

TEST(index_cut_at_any_length_is_none)
{
	fill(60);
	assert_true(write_index());
	read_file();
	for (size_t octets = file_octets; octets-- > 0;) {
		assert_int_equal(cut(box.fd, INDEX_NAME, (off_t)octets), 0);
		assert_false(opens());
	}
	/* Nor one with more octets at the end. */
	memset(file + file_octets, 0, INDEX_PAGE_OCTETS);
	put_file(file_octets + 1);
	assert_false(opens());
	put_file(file_octets + INDEX_PAGE_OCTETS);
	assert_false(opens());
	put_file(file_octets);
	assert_true(opens());
}

TEST(flipped_octets_never_change_a_message)
{
	fill(280);
	assert_true(write_index());
	read_file();
	assert_in_range(file_octets, 5 * INDEX_PAGE_OCTETS, 9 * INDEX_PAGE_OCTETS);
	/* all of them take some ten seconds: the inner loop samples */
	const size_t step = unit_all() ? 1 : 31;

	for (size_t at = 0; at < file_octets; at += step) {
		const unsigned char was = file[at];
		const int fd = openat(box.fd, INDEX_NAME, O_WRONLY | O_CLOEXEC);

		file[at] ^= (unsigned char)(1 << at % 8);
		assert_int_equal(pwrite(fd, file + at, 1, (off_t)at), 1);
		if (opens())
			assert_true(count_errors() > 0);
		file[at] = was;
		assert_int_equal(pwrite(fd, file + at, 1, (off_t)at), 1);
		close(fd);
	}
	assert_true(opens());
	assert_int_equal(count_errors(), 0);
}

/* A page of another index, although it is valid there. */
TEST(pages_of_two_indexes_do_not_mix)
{
	static unsigned char other[INDEX_PAGE_OCTETS];

	fill(2000);
	assert_true(write_index());
	read_file();
	memcpy(other, file + 8 * INDEX_PAGE_OCTETS, sizeof other);
	assert_true(write_index());
	read_file();
	memcpy(file + 8 * INDEX_PAGE_OCTETS, other, sizeof other);
	put_file(file_octets);
	assert_true(opens());
	assert_true(count_errors() > 0);
	/* Nor a page of another place of the same index. */
	assert_true(write_index());
	read_file();
	memcpy(file + 8 * INDEX_PAGE_OCTETS, file + 9 * INDEX_PAGE_OCTETS, INDEX_PAGE_OCTETS);
	put_file(file_octets);
	assert_true(opens());
	assert_true(count_errors() > 0);
}

/* Headers that are intact but belong to another machine, or are inconsistent. */
TEST(other_headers_are_not_believed)
{
	static const struct {
		size_t offset, octets;
		uint64_t value;
	} changes[] = {
		{offsetof(struct index_header, magic), 8, 0x6f70703364697868},
		{offsetof(struct index_header, byte_order), 4, 0x04030201},
		{offsetof(struct index_header, version), 4, INDEX_VERSION - 1},
		{offsetof(struct index_header, version), 4, INDEX_VERSION_ENDED},
		{offsetof(struct index_header, version), 4, INDEX_VERSION_ENDED + 1},
		{offsetof(struct index_header, version), 4, 0},
		{offsetof(struct index_header, count), 8, 1000},
		{offsetof(struct index_header, count), 8, UINT64_MAX},
		{offsetof(struct index_header, count), 8, UINT64_MAX / 24},
		{offsetof(struct index_header, count), 8, (uint64_t)1 << 33},
		{offsetof(struct index_header, new_count), 8, 51},
		{offsetof(struct index_header, total_octets), 8, UINT64_MAX},
		{offsetof(struct index_header, names_octets), 8, UINT64_MAX},
		{offsetof(struct index_header, names_octets), 8, 1 << 20},
	};

	fill(50);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		assert_true(write_index());
		read_file();
		memcpy(file + changes[i].offset, &changes[i].value, changes[i].octets);
		seal(0);
		put_file(file_octets);
		if (opens())
			fail_msg("change %zu is believed", i);
	}
}

static void change_record(size_t number, size_t offset, uint64_t value, size_t octets)
{
	memcpy(file + sizeof(struct index_header) + number * sizeof(struct index_record) +
			offset,
		&value, octets);
}

/* The index as it was before it was changed. */
static unsigned char good[sizeof file];

static void write_good(void)
{
	fill(20);
	assert_true(write_index());
	read_file();
	memcpy(good, file, file_octets);
}

static void is_refused(const char *what)
{
	struct message m;

	seal(0);
	put_file(file_octets);
	assert_true(opens());
	errno = 0;
	if (index_get(&ix, 1, &m))
		fail_msg("believed: %s", what);
	assert_int_equal(errno, EBADMSG);
	assert_true(index_get(&ix, 0, &m));
	memcpy(file, good, file_octets);
}

TEST(records_that_make_no_sense_are_not_believed)
{
#define FIELD(name) offsetof(struct index_record, name)
	write_good();
	change_record(1, FIELD(size_octets), UINT64_MAX, 8);
	is_refused("a size");
	change_record(1, FIELD(name_offset), UINT64_MAX, 8);
	is_refused("an offset that wraps");
	change_record(1, FIELD(name_offset), 1 << 16, 8);
	is_refused("an offset after the end");
	change_record(1, FIELD(name_octets), 0, 1);
	is_refused("an empty name");
	change_record(1, FIELD(name_octets), 255, 1);
	is_refused("a name that goes on");
	change_record(1, FIELD(unique_octets), 255, 1);
	is_refused("a unique name longer than the name");
	change_record(1, FIELD(unique_octets), 4, 1);
	is_refused("another unique name");
	change_record(1, FIELD(place), 2, 1);
	is_refused("a third place");
	change_record(1, FIELD(flags), 0x80, 1);
	is_refused("a flag that there is not");
}

static void change_name(const char *octets, size_t length)
{
	const size_t names = sizeof(struct index_header) +
			     s.count * sizeof(struct index_record) + s.entries[0].name_octets;

	memcpy(file + names, octets, length);
}

TEST(names_that_lead_elsewhere_are_not_believed)
{
	write_good();
	change_name("../cur", 6);
	is_refused("a name with a dot in front and a slash");
	change_name(".", 1);
	is_refused("a name with a dot in front");
	change_name("/etc/passwd", 11);
	is_refused("a path");
	for (uint8_t i = 0; i < s.entries[1].name_octets; i++) {
		static const char bad[] = {'/', '\0', ':'};

		for (size_t j = 0; j < sizeof bad; j++) {
			char name[256];

			memcpy(name, s.entries[1].name, 255);
			if (bad[j] == ':' && i >= s.entries[1].unique_octets)
				continue;
			name[i] = bad[j];
			change_name(name, s.entries[1].name_octets);
			is_refused("a slash, a NUL or a colon in a name");
		}
	}
}

TEST(only_a_regular_file_of_the_owner_is_opened)
{
	const struct index_wish other = {box.fd, geteuid() + 1, INDEX_VERSION, false};
	int fd;

	fill(20);
	assert_true(write_index());
	assert_false(index_open(&ix, &other));
	assert_int_equal(renameat(box.fd, INDEX_NAME, box.fd, "elsewhere"), 0);
	assert_false(opens());
	assert_int_equal(symlinkat("elsewhere", box.fd, INDEX_NAME), 0);
	assert_false(opens());
	assert_int_equal(errno, ELOOP);
	assert_int_equal(unlinkat(box.fd, INDEX_NAME, 0), 0);
	assert_int_equal(mkfifoat(box.fd, INDEX_NAME, 0600), 0);
	assert_false(opens());
	assert_int_equal(unlinkat(box.fd, INDEX_NAME, 0), 0);
	assert_int_equal(mkdirat(box.fd, INDEX_NAME, 0700), 0);
	assert_false(opens());
	assert_false(write_index());
	assert_int_equal(unlinkat(box.fd, INDEX_NAME, AT_REMOVEDIR), 0);
	fd = openat(box.fd, INDEX_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)10 << 30), 0);
	close(fd);
	assert_false(opens());
	assert_true(write_index());
	assert_true(opens());
	assert_int_equal(count_errors(), 0);
}

TEST(index_cut_while_it_is_open_is_an_error)
{
	struct message m;

	fill(3000);
	assert_true(write_index());
	assert_true(opens());
	assert_int_equal(cut(box.fd, INDEX_NAME, 5 * INDEX_PAGE_OCTETS), 0);
	errno = 0;
	assert_false(index_get(&ix, 2999, &m));
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(cut(box.fd, INDEX_NAME, 0), 0);
	assert_false(index_get(&ix, 1000, &m));
}

TEST(disk_that_is_full_leaves_the_old_index)
{
	const struct rlimit few = {40000, RLIM_INFINITY};
	struct rlimit before;

	fill(10);
	assert_true(write_index());
	fill(5000);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_false(write_index());
	assert_int_equal(errno, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(count_files(), 1);
	assert_true(opens());
	assert_int_equal(ix.header.count, 10);
}

TEST(what_dead_writers_left_is_removed)
{
	const struct timespec old[2] = {
		{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
	struct stat st;

	unit_write(box.fd, "index.0123456789abcdef", "", 0);
	unit_write(box.fd, "index.fedcba9876543210", "", 0);
	unit_write(box.fd, "indexes", "", 0);
	assert_int_equal(utimensat(box.fd, "index.0123456789abcdef", old, 0), 0);
	assert_int_equal(utimensat(box.fd, "indexes", old, 0), 0);
	assert_true(write_index());
	assert_int_equal(fstatat(box.fd, "index.0123456789abcdef", &st, 0), -1);
	assert_int_equal(fstatat(box.fd, "index.fedcba9876543210", &st, 0), 0);
	assert_int_equal(fstatat(box.fd, "indexes", &st, 0), 0);
}

TEST(index_is_for_its_owner_only)
{
	struct stat st;

	assert_true(write_index());
	assert_int_equal(fstatat(box.fd, INDEX_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* The numbers, marks and sizes of a session survive when the index is loaded into memory. */
TEST(snapshot_of_an_index_becomes_one_in_memory)
{
	struct snapshot other;
	struct message before, after;

	fill(1000);
	assert_true(write_index());
	assert_true(opens());
	snapshot_init(&other);
	snapshot_use_index(&other, &ix);
	assert_int_equal(other.count, 1000);
	assert_true(snapshot_mark(&other, MARK_DELETED, 7));
	for (size_t i = 900; i > 100; i -= 100)
		assert_true(snapshot_set_size(&other, i, i));
	assert_true(snapshot_set_size(&other, 200, 5));
	assert_true(snapshot_get(&other, 200, &before));
	assert_int_equal(before.size_octets, 5);
	assert_true(before.size_verified);
	assert_true(snapshot_materialize(&other));
	assert_null(other.index);
	for (size_t i = 0; i < 1000; i++) {
		assert_true(snapshot_get(&s, i, &before));
		assert_true(snapshot_get(&other, i, &after));
		if (i % 100 == 0 && i > 100 && i <= 900) {
			before.size_octets = i == 200 ? 5 : i;
			before.size_verified = true;
			before.size_unknown = false;
		}
		is_same(&after, &before);
		assert_int_equal(snapshot_marked(&other, MARK_DELETED, i), i == 7);
	}
	snapshot_free(&other);
}

#define WITH_BOX(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static const struct CMUnitTest tests[] = {
	WITH_BOX(what_is_written_is_read_back),
	WITH_BOX(messages_are_read_in_any_order),
	WITH_BOX(header_has_the_totals),
	WITH_BOX(deleted_messages_are_left_out_where_they_were_removed),
	WITH_BOX(times_that_were_final_stay_so),
	WITH_BOX(index_cut_at_any_length_is_none),
	WITH_BOX(flipped_octets_never_change_a_message),
	WITH_BOX(pages_of_two_indexes_do_not_mix),
	WITH_BOX(other_headers_are_not_believed),
	WITH_BOX(records_that_make_no_sense_are_not_believed),
	WITH_BOX(names_that_lead_elsewhere_are_not_believed),
	WITH_BOX(only_a_regular_file_of_the_owner_is_opened),
	WITH_BOX(index_cut_while_it_is_open_is_an_error),
	WITH_BOX(disk_that_is_full_leaves_the_old_index),
	WITH_BOX(what_dead_writers_left_is_removed),
	WITH_BOX(index_is_for_its_owner_only),
	WITH_BOX(snapshot_of_an_index_becomes_one_in_memory),
};

int main(void)
{
	return UNIT_RUN("index", tests);
}
