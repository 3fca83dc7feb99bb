/* maildir: the files beside the messages, maildirsize and tmp/ (doc/MAILDIR). */
#include "tests/unit/unit.h"

#include <sys/syscall.h>

#include "tests/unit/unit_maildir.h"

#define HOUR 3600

static void delete_all(void)
{
	for (size_t i = 1; i <= m.snapshot.count; i++)
		assert_true(maildir_delete(&m, i - 1));
}

static void update_all_well(void)
{
	const struct maildir_update u = maildir_update(&m);

	assert_int_equal(u.error_number, 0);
}

TEST(what_was_removed_is_one_line_of_maildirsize)
{
	put("maildirsize", "1000000S,100C\n700 3\n");
	put("new/1.a", "12345\n");
	put("cur/2.b:2,S", "123\n");
	put("cur/3.c:2,S", "stays\n");
	open_box();
	assert_true(maildir_delete(&m, 0));
	assert_true(maildir_delete(&m, 1));
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S,100C\n700 3\n-10 -2\n");
}

TEST(size_on_disk_in_the_name_is_what_the_quota_counted)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a,S=4000,W=5000", "x\n");
	put("new/2.b,W=5000", "xy\n");
	open_box();
	delete_all();
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n-4003 -2\n");
}

TEST(messages_in_the_trash_do_not_count)
{
	put("maildirsize", "1000000S\n");
	put("cur/1.a:2,ST", "12345\n");
	put("cur/2.b:2,S,T", "123\n");
	open_box();
	delete_all();
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n-4 -1\n");
}

TEST(flag_that_another_program_set_meanwhile_counts)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	put("new/2.b", "123\n");
	open_box();
	delete_all();
	move("new/1.a", "cur/1.a:2,T");
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n-4 -1\n");
}

TEST(what_another_program_removed_is_for_it_to_tell)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a,S=500", "12345\n");
	put("new/2.b", "123\n");
	open_box();
	delete_all();
	erase("new/1.a,S=500");
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n-4 -1\n");
}

TEST(without_a_share_in_the_quota_nothing_is_told)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	put("cur/2.b:2,T", "12345\n");
	open_box();
	delete_all();
	erase("new/1.a");
	update_all_well();
	assert_gone("cur/2.b:2,T");
	assert_file(box.fd, "maildirsize", "1000000S\n");
}

TEST(without_a_removal_nothing_is_told)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	open_box();
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n");
}

TEST(where_there_is_no_maildirsize_none_is_made)
{
	put("new/1.a", "12345\n");
	open_box();
	delete_all();
	update_all_well();
	assert_gone("maildirsize");
}

TEST(line_goes_after_what_others_appended)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	open_box();
	delete_all();
	put("maildirsize", "1000000S\n5000 1\n6000 1\n");
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n5000 1\n6000 1\n-6 -1\n");
}

TEST(last_line_without_an_end_gets_one)
{
	put("maildirsize", "1000000S\n5000 10");
	put("new/1.a,S=21", "a\n");
	open_box();
	delete_all();
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n5000 10\n-21 -1\n");
}

TEST(maildirsize_counted_anew_is_not_told)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	open_box();
	delete_all();
	put("tmp/anew", "1000000S\n6 1\n");
	move("tmp/anew", "maildirsize");
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n6 1\n");
}

TEST(maildirsize_that_is_no_file_is_let_be)
{
	put("target", "target\n");
	assert_int_equal(symlinkat("target", box.fd, "maildirsize"), 0);
	put("new/1.a", "12345\n");
	open_box();
	delete_all();
	update_all_well();
	assert_file(box.fd, "target", "target\n");
	erase("maildirsize");
	put_fifo("maildirsize");
	put("new/1.a", "12345\n");
	open_box();
	delete_all();
	update_all_well();
	assert_gone("new/1.a");
}

static void open_and_update(void)
{
	open_box();
	delete_all();
	update_all_well();
}

TEST(maildirsize_that_cannot_be_written_is_logged_and_does_not_stop_the_update)
{
	char log[1024];
	size_t octets;

	put("maildirsize", "1000000S\n");
	put("new/1.a", "12345\n");
	assert_int_equal(fchmodat(box.fd, "maildirsize", 0444, 0), 0);
	assert_int_equal(fchmodat(box.fd, "new", 0777, 0), 0);
	be_nobody();
	octets = unit_stderr_of(open_and_update, log, sizeof log);
	assert_non_null(memmem(log, octets, "quota-not-told errno=13", 23));
	assert_gone("new/1.a");
	assert_file(box.fd, "maildirsize", "1000000S\n");
}

/* tmp/ */

/* The time of change cannot be set back on a disk: here it is that of modification, unless the
 * file's name says that it is of now. */
static bool changes_are_old;

int fstatat(int directory_fd, const char *restrict name, struct stat *restrict st, int flags)
{
	const int result = (int)syscall(SYS_newfstatat, directory_fd, name, st, flags);

	if (result == 0 && changes_are_old && strcmp(name, "made") != 0)
		st->st_ctim = st->st_mtim;
	return result;
}

TEST(file_in_tmp_is_removed_36_hours_after_its_last_use)
{
	static const char *const paths[] = {
		"tmp/old", "tmp/made", "tmp/read", "tmp/written", "tmp/fresh", "tmp/young"};

	for (size_t i = 0; i < COUNT_OF(paths); i++)
		put(paths[i], "x\n");
	age("tmp/old", 36 * HOUR + 60, 36 * HOUR + 60);
	age("tmp/made", 36 * HOUR + 60, 36 * HOUR + 60);
	age("tmp/read", HOUR, 100 * HOUR);
	age("tmp/written", 100 * HOUR, HOUR);
	age("tmp/young", 36 * HOUR - 60, 36 * HOUR - 60);
	open_box();
	changes_are_old = true;
	maildir_clean_tmp(&m);
	changes_are_old = false;
	assert_gone("tmp/old");
	for (size_t i = 1; i < COUNT_OF(paths); i++)
		assert_exists(paths[i]);
}

TEST(only_regular_files_of_tmp_are_removed)
{
	put("target", "x\n");
	put("tmp/.dotfile", "x\n");
	assert_int_equal(mkdirat(box.fd, "tmp/directory", 0755), 0);
	assert_int_equal(symlinkat("../target", box.fd, "tmp/link"), 0);
	put_fifo("tmp/fifo");
	age("tmp/.dotfile", 1000 * HOUR, 1000 * HOUR);
	age("tmp/directory", 1000 * HOUR, 1000 * HOUR);
	age("tmp/link", 1000 * HOUR, 1000 * HOUR);
	age("tmp/fifo", 1000 * HOUR, 1000 * HOUR);
	age("target", 1000 * HOUR, 1000 * HOUR);
	open_box();
	maildir_clean_tmp(&m);
	assert_exists("tmp/.dotfile");
	assert_exists("tmp/directory");
	assert_exists("tmp/link");
	assert_exists("tmp/fifo");
	assert_exists("target");
}

TEST(old_messages_are_not_cleaned)
{
	put("new/1.a", "x\n");
	put("cur/2.b:2,S", "x\n");
	age("new/1.a", 1000 * HOUR, 1000 * HOUR);
	age("cur/2.b:2,S", 1000 * HOUR, 1000 * HOUR);
	open_box();
	maildir_clean_tmp(&m);
	assert_exists("new/1.a");
	assert_exists("cur/2.b:2,S");
}

TEST(tmp_that_is_a_link_or_missing_is_let_be)
{
	assert_int_equal(unlinkat(box.fd, "tmp", AT_REMOVEDIR), 0);
	open_box();
	maildir_clean_tmp(&m);
	assert_int_equal(mkdirat(box.fd, "elsewhere", 0755), 0);
	assert_int_equal(symlinkat("elsewhere", box.fd, "tmp"), 0);
	put("elsewhere/old", "x\n");
	age("elsewhere/old", 1000 * HOUR, 1000 * HOUR);
	open_box();
	maildir_clean_tmp(&m);
	assert_exists("elsewhere/old");
}

TEST(cleaning_leaves_no_descriptor_open)
{
	size_t fds;

	put("tmp/old", "x\n");
	open_box();
	fds = unit_count_fds();
	maildir_clean_tmp(&m);
	maildir_clean_tmp(&m);
	assert_int_equal(unit_count_fds(), fds);
}

TEST(empty_message_counts_as_a_message_in_the_quota)
{
	put("maildirsize", "1000000S\n");
	put("new/1.a", "");
	put("new/2.b", "12\n");
	open_box();
	delete_all();
	update_all_well();
	assert_file(box.fd, "maildirsize", "1000000S\n-3 -2\n");
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(what_was_removed_is_one_line_of_maildirsize),
	MAILDIR_TEST(size_on_disk_in_the_name_is_what_the_quota_counted),
	MAILDIR_TEST(messages_in_the_trash_do_not_count),
	MAILDIR_TEST(flag_that_another_program_set_meanwhile_counts),
	MAILDIR_TEST(what_another_program_removed_is_for_it_to_tell),
	MAILDIR_TEST(without_a_share_in_the_quota_nothing_is_told),
	MAILDIR_TEST(without_a_removal_nothing_is_told),
	MAILDIR_TEST(where_there_is_no_maildirsize_none_is_made),
	MAILDIR_TEST(line_goes_after_what_others_appended),
	MAILDIR_TEST(last_line_without_an_end_gets_one),
	MAILDIR_TEST(maildirsize_counted_anew_is_not_told),
	MAILDIR_TEST(maildirsize_that_is_no_file_is_let_be),
	MAILDIR_TEST(maildirsize_that_cannot_be_written_is_logged_and_does_not_stop_the_update),
	MAILDIR_TEST(file_in_tmp_is_removed_36_hours_after_its_last_use),
	MAILDIR_TEST(only_regular_files_of_tmp_are_removed),
	MAILDIR_TEST(old_messages_are_not_cleaned),
	MAILDIR_TEST(tmp_that_is_a_link_or_missing_is_let_be),
	MAILDIR_TEST(cleaning_leaves_no_descriptor_open),
	MAILDIR_TEST(empty_message_counts_as_a_message_in_the_quota),
};

int main(void)
{
	return UNIT_RUN("quota", tests);
}
