/* Tests of the file of unique-ids: writing, reading, damage, and who gets which unique-id. */
#include "tests/unit/unit_maildir.h"

#include "maildir/internal.h"
#include "maildir/uids.h"

static struct uids uids;

static void write_records(const char *kind, size_t count, const char *const (*records)[2])
{
	struct uids_writer writer;

	assert_true(uids_begin(&writer, box.fd, kind, count));
	for (size_t i = 0; i < count; i++)
		assert_true(uids_put(&writer, records[i][0], strlen(records[i][0]),
			records[i][1], strlen(records[i][1])));
	assert_true(uids_end(&writer, false));
}

static const char *const three[][2] = {{"0000000100000002", "1.a.b,S=3"},
	{"with blank%\xff", "2.a.b with blank%\n\xff"}, {"UID3-7", "3.a.b"}};

/* Writes a file of three records, and gives what it contains. */
static size_t write_three(char octets[1024])
{
	ssize_t length;

	write_records("dovecot:%u", 3, three);
	length = unit_read(box.fd, UIDS_NAME, octets, 1024);
	assert_in_range(length, 1, 1023);
	return (size_t)length;
}

/* The octets of the first line, without its end. */
static size_t first_line(const char *octets)
{
	return strcspn(octets, "\n");
}

static void open_uids(void)
{
	assert_true(uids_open(&uids, box.fd, geteuid()));
	assert_true(uids.is_there);
	assert_true(uids_read(&uids));
}

static void gives_shared(const char *unique, uint64_t shared, const char *expected)
{
	const struct unique of = {unique, strlen(unique), shared};
	char text[FOREIGN_UID_OCTETS + 1];
	const size_t octets = uids_give(&uids, &of, text);

	assert_text(expected, text, octets);
	assert_int_equal(text[octets], '\0');
}

static void gives(const char *unique, const char *expected)
{
	gives_shared(unique, 0, expected);
}

TEST(uids_are_found_by_name)
{
	write_records("dovecot:%u", 3, three);
	open_uids();
	assert_string_equal(uids.kind, "dovecot:%u");
	assert_int_equal(uids.count, 3);
	assert_int_equal(uids.damaged, 0);
	for (size_t i = 0; i < COUNT_OF(three); i++) {
		gives(three[i][1], three[i][0]);
		assert_true(uids_has(&uids, three[i][0], strlen(three[i][0])));
	}
	gives("4.a.b", "4.a.b");
	gives("1.a.b", "1.a.b");
	assert_false(uids_has(&uids, "4.a.b", 5));
	uids_close(&uids);
}

TEST(no_file_is_no_fault)
{
	assert_true(uids_open(&uids, box.fd, geteuid()));
	assert_false(uids.is_there);
	assert_true(uids_read(&uids));
	gives("1.a.b", "1.a.b");
	uids_close(&uids);
}

TEST(a_file_without_records_is_a_decision)
{
	write_records("courier", 0, NULL);
	open_uids();
	assert_int_equal(uids.count, 0);
	gives("1.a.b", "1.a.b");
	uids_close(&uids);
}

/* A message whose own unique-id was given to another one gets a hash, and always the same. */
TEST(no_unique_id_is_given_twice)
{
	static const char *const records[][2] = {
		{"1.a.b", "1.a.b,S=3"}, {"2.a.b-i1f", "3.a.b"}};
	const struct unique unrecorded = {"1.a.b", 5, 0};
	char text[FOREIGN_UID_OCTETS + 1], hash[UID_TEXT_OCTETS];

	write_records("mailfront", 2, records);
	open_uids();
	gives("1.a.b,S=3", "1.a.b");
	assert_int_equal(uids_give(&uids, &unrecorded, text), 32);
	uid_hash(hash, "1.a.b", 5, 0, 1);
	assert_string_equal(text, hash);
	/* one that gets a name of its own has the same before and after */
	uid_hash(hash, "2.a.b-i1f", 9, 0, 1);
	gives_shared("2.a.b", 0x1f, hash);
	gives("2.a.b-i1f", hash);
	uids_close(&uids);
}

/* The one that keeps the name keeps what it was given; its twin does not get it, too. */
TEST(a_twin_gets_a_unique_id_of_its_own)
{
	write_records("dovecot:%u", 3, three);
	open_uids();
	gives("1.a.b,S=3", "0000000100000002");
	gives_shared("1.a.b,S=3", 0x1f, "1.a.b-i1f,S=3");
	uids_close(&uids);
}

/* Any octet that changes, or is lost, costs one message its unique-id, and no other one gets
 * another. */
TEST(a_damaged_record_costs_one_unique_id)
{
	char octets[1024];
	const size_t length = write_three(octets);
	const size_t first = first_line(octets);

	for (size_t at = first + 1; at < length; at++) {
		size_t kept = 0;

		octets[at] ^= 1;
		unit_write(box.fd, UIDS_NAME, octets, length);
		octets[at] ^= 1;
		open_uids();
		/* without the line end two records are one */
		assert_in_range(uids.count, octets[at] == '\n' ? 1 : 2, 3);
		assert_int_equal(uids.damaged + uids.count, 3);
		for (size_t i = 0; i < COUNT_OF(three); i++) {
			const struct span text =
				uids_find(&uids, three[i][1], strlen(three[i][1]));

			if (text.octets == NULL)
				continue;
			assert_text(three[i][0], text.octets, text.length);
			kept++;
		}
		assert_int_equal(kept, uids.count);
		uids_close(&uids);
	}
}

TEST(a_file_that_was_cut_short_keeps_what_is_whole)
{
	char octets[1024];
	const size_t length = write_three(octets);
	const size_t first = first_line(octets);

	for (size_t cut = 0; cut < length; cut++) {
		unit_write(box.fd, UIDS_NAME, octets, cut);
		if (cut <= first) {
			assert_false(uids_open(&uids, box.fd, geteuid()));
			assert_int_equal(errno, EBADMSG);
			continue;
		}
		open_uids();
		assert_int_equal(uids.damaged + uids.count, 3);
		uids_close(&uids);
	}
}

TEST(a_first_line_that_is_wrong_makes_the_file_unusable)
{
	char octets[1024];
	const size_t length = write_three(octets);
	const size_t first = first_line(octets);

	for (size_t at = 0; at <= first; at++) {
		octets[at] ^= 1;
		unit_write(box.fd, UIDS_NAME, octets, length);
		octets[at] ^= 1;
		assert_false(uids_open(&uids, box.fd, geteuid()));
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(uids.fd, -1);
	}
}

TEST(only_a_regular_file_of_the_owner_is_used)
{
	write_records("dovecot:%u", 3, three);
	assert_true(uids_open(&uids, box.fd, geteuid()));
	uids_close(&uids);
	if (geteuid() == 0)
		assert_int_equal(fchownat(box.fd, UIDS_NAME, NOBODY, NOBODY, 0), 0);
	assert_false(uids_open(&uids, box.fd, geteuid() + 1));
	assert_int_equal(errno, EPERM);
	move(UIDS_NAME, "elsewhere");
	assert_int_equal(symlinkat("elsewhere", box.fd, UIDS_NAME), 0);
	assert_false(uids_open(&uids, box.fd, geteuid()));
	assert_int_equal(errno, ELOOP);
	erase(UIDS_NAME);
	put_fifo(UIDS_NAME);
	assert_false(uids_open(&uids, box.fd, geteuid()));
}

/* A forged file can say things twice: the first counts, the other is reported. */
TEST(what_is_said_twice_counts_once)
{
	static const char *const records[][2] = {
		{"u1", "1.a"}, {"u2", "1.a"}, {"u1", "2.a"}, {"u3", "3.a"}};

	write_records("dovecot:%u", 4, records);
	open_uids();
	assert_int_equal(uids.count, 2);
	assert_int_equal(uids.damaged, 2);
	gives("1.a", "u1");
	gives("2.a", "2.a");
	gives("3.a", "u3");
	uids_close(&uids);
}

TEST(a_decision_that_is_there_stays)
{
	struct uids_writer writer;

	write_records("dovecot:%u", 3, three);
	assert_true(uids_begin(&writer, box.fd, "courier", 0));
	assert_false(uids_end(&writer, false));
	assert_int_equal(errno, EEXIST);
	assert_gone("pop3d-uids.tmp0");
	open_uids();
	assert_string_equal(uids.kind, "dovecot:%u");
	uids_close(&uids);
}

TEST(two_writers_do_not_disturb_each_other)
{
	struct uids_writer first, second;

	assert_true(uids_begin(&first, box.fd, "courier", 0));
	assert_true(uids_begin(&second, box.fd, "dovecot:%u", 1));
	assert_true(uids_end(&first, false));
	assert_true(uids_put(&second, "u", 1, "n", 1));
	assert_false(uids_end(&second, false));
	open_uids();
	assert_string_equal(uids.kind, "courier");
	uids_close(&uids);
}

TEST(many_records)
{
	enum { MANY = 20000 };
	struct uids_writer writer;
	char uid[32], name[64];

	assert_true(uids_begin(&writer, box.fd, "dovecot:%u", MANY));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "%08x", i);
		snprintf(name, sizeof name, "%u.M%uP%u.host,S=%u", i, i, i, i);
		assert_true(uids_put(&writer, uid, strlen(uid), name, strlen(name)));
	}
	assert_true(uids_end(&writer, false));
	open_uids();
	assert_int_equal(uids.count, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "%08x", i);
		snprintf(name, sizeof name, "%u.M%uP%u.host,S=%u", i, i, i, i);
		gives(name, uid);
	}
	uids_close(&uids);
}

/* The longest names and unique-ids, all of them escaped. */
TEST(the_longest_record)
{
	char uid[FOREIGN_UID_OCTETS + 1], name[UID_NAME_OCTETS + 1];
	const char *records[1][2] = {{uid, name}};

	memset(uid, 0xff, sizeof uid);
	memset(name, 0xfe, sizeof name);
	uid[FOREIGN_UID_OCTETS] = name[UID_NAME_OCTETS] = '\0';
	write_records("qmail", 1, records);
	open_uids();
	gives(name, uid);
	uids_close(&uids);
}

/* Dropping the records of messages that are gone. */

enum { RECORDS = 2000, DAY = 24 * 60 * 60 };

/* Records of so many messages, of which the first ones are there; end ends the unique ids.
 */
static void write_many(unsigned there, const char *end)
{
	struct uids_writer writer;
	char uid[32], name[64];

	assert_true(uids_begin(&writer, box.fd, "dovecot:%u", RECORDS));
	for (unsigned i = 0; i < RECORDS; i++) {
		snprintf(uid, sizeof uid, "%08x%s", i, end);
		snprintf(name, sizeof name, "cur/%u.M1.host:2,", i);
		if (i < there)
			put(name, "x");
		assert_true(uids_put(&writer, uid, strlen(uid), name + 4, strlen(name) - 7));
	}
	assert_true(uids_end(&writer, false));
	age("new", 10, 10);
	age("cur", 10, 10);
}

/* Looks as a session of so many days later does; returns the records that the file has then. */
static size_t forget_after(int64_t days)
{
	const struct maildir_wish wish = {.path = box.path};
	const char *failed_path;
	size_t left;

	assert_int_equal(maildir_open(&m, &wish, &failed_path), MAILDIR_READY);
	maildir_forget_gone(&m, time(NULL) + days * DAY);
	/* what the session knows stays */
	assert_int_equal(m.uids.claimed, RECORDS);
	maildir_close(&m);
	open_uids();
	left = uids.count;
	assert_int_equal(uids.damaged, 0);
	assert_string_equal(uids.kind, "dovecot:%u");
	uids_close(&uids);
	return left;
}

TEST(records_of_messages_that_are_gone_are_dropped)
{
	write_many(500, "");
	assert_int_equal(forget_after(29), RECORDS);
	assert_int_equal(forget_after(31), 500);
	open_uids();
	gives("499.M1.host", "000001f3");
	gives("500.M1.host", "500.M1.host");
	uids_close(&uids);
	assert_gone("pop3d-uids.tmp0");
}

TEST(few_that_are_gone_are_not_worth_a_new_file)
{
	struct stat before, after;

	write_many(1500, "");
	assert_int_equal(fstatat(box.fd, UIDS_NAME, &before, 0), 0);
	unit_sleep_ms(20);
	assert_int_equal(forget_after(31), RECORDS);
	assert_int_equal(fstatat(box.fd, UIDS_NAME, &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* the next look is due 30 days after this one */
	assert_true(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		    after.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
}

/* What a server cut off a name could be the name of new mail. */
TEST(unique_ids_that_new_mail_could_get_stay)
{
	write_many(0, ".M1.other");
	assert_int_equal(forget_after(31), RECORDS);
}

TEST(nothing_is_dropped_while_the_directories_change)
{
	write_many(10, "");
	put("cur/3000.M1.host:2,", "x");
	assert_int_equal(forget_after(31), RECORDS);
	age("cur", 10, 10);
	assert_int_equal(forget_after(31), 10);
}

TEST(a_damaged_file_is_not_written_anew)
{
	static char octets[1 << 20];
	ssize_t length;
	const struct maildir_wish wish = {.path = box.path};
	const char *failed_path;

	write_many(10, "");
	length = unit_read(box.fd, UIDS_NAME, octets, sizeof octets);
	assert_true(length > 1000);
	octets[length - 3] ^= 1;
	unit_write(box.fd, UIDS_NAME, octets, (size_t)length);
	assert_int_equal(maildir_open(&m, &wish, &failed_path), MAILDIR_READY);
	maildir_forget_gone(&m, time(NULL) + 31 * DAY);
	assert_int_equal(m.uids.damaged, 1);
	maildir_close(&m);
	open_uids();
	assert_int_equal(uids.count, RECORDS - 1);
	uids_close(&uids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MAILDIR_TEST(uids_are_found_by_name),
		MAILDIR_TEST(no_file_is_no_fault),
		MAILDIR_TEST(a_file_without_records_is_a_decision),
		MAILDIR_TEST(no_unique_id_is_given_twice),
		MAILDIR_TEST(a_twin_gets_a_unique_id_of_its_own),
		MAILDIR_TEST(a_damaged_record_costs_one_unique_id),
		MAILDIR_TEST(a_file_that_was_cut_short_keeps_what_is_whole),
		MAILDIR_TEST(a_first_line_that_is_wrong_makes_the_file_unusable),
		MAILDIR_TEST(only_a_regular_file_of_the_owner_is_used),
		MAILDIR_TEST(what_is_said_twice_counts_once),
		MAILDIR_TEST(a_decision_that_is_there_stays),
		MAILDIR_TEST(two_writers_do_not_disturb_each_other),
		MAILDIR_TEST(many_records),
		MAILDIR_TEST(the_longest_record),
		MAILDIR_TEST(records_of_messages_that_are_gone_are_dropped),
		MAILDIR_TEST(few_that_are_gone_are_not_worth_a_new_file),
		MAILDIR_TEST(unique_ids_that_new_mail_could_get_stay),
		MAILDIR_TEST(nothing_is_dropped_while_the_directories_change),
		MAILDIR_TEST(a_damaged_file_is_not_written_anew),
	};

	return UNIT_RUN("uids", tests);
}
