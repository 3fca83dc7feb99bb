/* maildir: the snapshot, sizes, and finding messages that another program moved
 * (doc/MAILDIR). test_races.c covers changes while the directories are read, and test_open.c
 * Maildirs that cannot be opened. */
#include "tests/unit/unit.h"

#include <sys/sysmacros.h>

#include "os/birth.h"
#include "tests/unit/unit_maildir.h"

TEST(snapshot_holds_new_and_cur)
{
	put("new/2.b", "new\n");
	put("cur/1.a:2,S", "cur\n");
	put("tmp/3.c", "tmp\n");
	put("4.d", "root\n");
	open_box();
	assert_int_equal(m.snapshot.count, 2);
	is_named(1, PLACE_CUR, "1.a:2,S");
	is_named(2, PLACE_NEW, "2.b");
	has_contents(1, "cur\n");
	has_contents(2, "new\n");
	assert_int_equal(maildir_totals(&m).messages, 2);
	assert_int_equal(maildir_totals(&m).octets, 10);
}

TEST(empty_maildir_has_no_messages)
{
	open_box();
	assert_int_equal(m.snapshot.count, 0);
	assert_int_equal(maildir_totals(&m).messages, 0);
	assert_int_equal(maildir_totals(&m).octets, 0);
}

TEST(mail_that_arrives_later_is_for_the_next_session)
{
	put("new/2.b", "b\n");
	put("new/3.c", "c\n");
	open_box();
	put("new/1.a", "a\n");
	/* A second scan of the directories changes no number. */
	move("new/3.c", "cur/3.c:2,");
	has_contents(2, "c\n");
	assert_int_equal(m.snapshot.count, 2);
	has_contents(1, "b\n");
	open_box();
	assert_int_equal(m.snapshot.count, 3);
	has_contents(1, "a\n");
}

TEST(dotfiles_are_no_messages)
{
	put("new/.hidden", "x\n");
	put("cur/.1.a:2,S", "x\n");
	put("cur/.nfs000000000001", "x\n");
	open_box();
	assert_int_equal(m.snapshot.count, 0);
}

TEST(only_regular_files_are_messages)
{
	put("1.file", "outside\n");
	assert_int_equal(mkdirat(box.fd, "new/1.directory", 0755), 0);
	assert_int_equal(mkdirat(box.fd, "cur/1.directory:2,S", 0755), 0);
	put_fifo("new/1.fifo");
	put_fifo("cur/1.fifo2:2,");
	put_socket("new/1.socket");
	assert_int_equal(symlinkat("../1.file", box.fd, "new/1.link"), 0);
	assert_int_equal(symlinkat("/nowhere", box.fd, "cur/1.dangling:2,"), 0);
	assert_int_equal(symlinkat("1.loop", box.fd, "new/1.loop"), 0);
	put("new/2.real", "real\n");
	open_box();
	assert_int_equal(m.snapshot.count, 1);
	is_named(1, PLACE_NEW, "2.real");
}

TEST(device_is_no_message)
{
	if (getuid() != 0 ||
		mknodat(box.fd, "new/1.device", S_IFCHR | 0644, makedev(1, 5)) != 0)
		skip(); /* Only root can make one, and not in every container. */
	open_box();
	assert_int_equal(m.snapshot.count, 0);
}

TEST(names_may_hold_any_octets)
{
	char longest[4 + UID_NAME_OCTETS + 1] = "new/";

	memset(longest + 4, 'n', UID_NAME_OCTETS);
	put(longest, "longest\n");
	put("new/a b", "blank\n");
	put("new/a\nb", "newline\n");
	put("new/\xff\xfe", "eight\n");
	put("new/\x01", "control\n");
	put("cur/:2,S", "no unique name\n");
	put("cur/%s%n:2,", "percent\n");
	open_box();
	assert_int_equal(m.snapshot.count, 7);
	has_contents(1, "no unique name\n");
	has_contents(2, "control\n");
	has_contents(3, "percent\n");
	has_contents(4, "newline\n");
	has_contents(5, "blank\n");
	has_contents(6, "longest\n");
	has_contents(7, "eight\n");
	is_uid(3, "%s%n");
}

TEST(order_is_by_delivery_time_whatever_the_place)
{
	put("new/30.M2.h", "c\n");
	put("cur/30.M10.h:2,S", "d\n");
	put("new/4.M9.h", "b\n");
	put("cur/name:2,S", "a\n");
	put("cur/100.M1.h:2,", "e\n");
	open_box();
	has_contents(1, "a\n");
	has_contents(2, "b\n");
	has_contents(3, "c\n");
	has_contents(4, "d\n");
	has_contents(5, "e\n");
}

TEST(of_two_files_of_one_unique_name_the_older_keeps_it)
{
	char first[UID_TEXT_OCTETS], second[UID_TEXT_OCTETS];
	const char *expected;

	put("new/1.a", "new\n");
	put("cur/1.a:2,S", "cur\n");
	put("new/2.b", "other\n");
	age("new/1.a", 10, 10);
	expected = own_name("cur/1.a:2,S", "1.a", "");
	for (int i = 0; i < 2; i++) {
		open_box();
		assert_int_equal(m.snapshot.count, 3);
		uid_of(1, first);
		uid_of(2, second);
		assert_string_equal(first, "1.a");
		assert_string_equal(second, expected);
		is_uid(3, "2.b");
		has_contents(1, "new\n");
		has_contents(2, "cur\n");
	}
	/* whatever the places and flags are */
	move("new/1.a", "cur/1.a:2,T");
	move("cur/1.a:2,S", "new/1.a");
	open_box();
	has_contents(1, "new\n");
	uid_of(2, second);
	assert_string_equal(second, expected);
}

/* A copy from a backup has the date that the message had; a client knows the message already.
 */
TEST(copy_never_takes_the_name_of_the_message)
{
	char second[UID_TEXT_OCTETS];
	const char *expected;

	put("cur/1.a:2,S", "message\n");
	if (birth_of(box.fd, "cur/1.a:2,S").tv_sec == 0)
		skip();
	usleep(20000);
	put("cur/1.a:2,", "copy\n");
	age("cur/1.a:2,", 1000, 1000);
	expected = own_name("cur/1.a:2,", "1.a", "");
	open_box();
	has_contents(1, "message\n");
	is_uid(1, "1.a");
	uid_of(2, second);
	assert_string_equal(second, expected);
}

TEST(two_files_of_one_unique_name_are_found_again_each)
{
	put("cur/1.a:2,S", "cur\n");
	age("cur/1.a:2,S", 10, 10);
	put("new/1.a", "new\n");
	open_box();
	move("cur/1.a:2,S", "cur/1.a:2,RS");
	move("new/1.a", "cur/1.a:2,");
	has_contents(1, "cur\n");
	has_contents(2, "new\n");
	move("cur/1.a:2,", "cur/1.a:2,F");
	has_contents(2, "new\n");
	erase("cur/1.a:2,RS");
	has_problem(1, ENOENT);
	has_contents(2, "new\n");
}

TEST(one_file_under_two_names_is_one_message)
{
	put("new/1.a", "one\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,S", 0), 0);
	open_box();
	assert_int_equal(m.snapshot.count, 1);
	is_named(1, PLACE_CUR, "1.a:2,");
	is_uid(1, "1.a");
	assert_int_equal(maildir_totals(&m).octets, 5);
}

TEST(two_names_of_one_file_and_another_file_are_two_messages)
{
	put("new/1.a", "one\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	age("new/1.a", 10, 10); /* The older file is the first message. */
	put("cur/1.a:2,S", "two\n");
	open_box();
	assert_int_equal(m.snapshot.count, 2);
	has_contents(1, "one\n");
	has_contents(2, "two\n");
}

/* Sizes. */

TEST(size_is_the_octets_as_sent)
{
	put("new/1", "a\nb\n");
	put("new/2", "a\r\nb\r\n");
	put("new/3", ".a\n..\n.");
	put("new/4", "");
	put("new/5", "a\r");
	put("new/6", "...x");
	open_box();
	assert_int_equal(message(1)->size_octets, 6);
	assert_int_equal(message(2)->size_octets, 6);
	assert_int_equal(message(3)->size_octets, 11);
	assert_int_equal(message(4)->size_octets, 0);
	assert_int_equal(message(5)->size_octets, 4);
	assert_int_equal(message(6)->size_octets, 6);
	for (size_t i = 1; i <= 6; i++)
		assert_true(message(i)->size_verified);
	assert_int_equal(maildir_totals(&m).octets, 33);
}

TEST(size_in_the_name_is_believed_and_not_read)
{
	put("new/1.a,S=2,W=777", "a\n");
	put("cur/2.b,W=5:2,S", "b\n");
	assert_int_equal(fchmodat(box.fd, "new/1.a,S=2,W=777", 0, 0), 0);
	be_nobody();
	open_box();
	assert_int_equal(message(1)->size_octets, 777);
	assert_false(message(1)->size_verified);
	assert_int_equal(maildir_totals(&m).octets, 782);
}

TEST(size_on_disk_in_the_name_is_not_the_size)
{
	put("new/1.a,S=2", "a\n");
	put("new/2.b,W=", "a\n");
	put("new/3.c,W=12x", "a\n");
	put("new/4.d,W=-3", "a\n");
	put("new/5.e,W=18446744073709551617", "a\n");
	put("cur/6.f:2,W=9", "a\n");
	put("cur/7.g:2,S,W=9", "a\n");
	open_box();
	for (size_t i = 1; i <= 7; i++)
		assert_int_equal(message(i)->size_octets, 3);
}

TEST(verify_sizes_believes_no_name)
{
	put("new/1.a,W=777", "a\n");
	put("new/2.b,W=3", "b\n");
	assert_int_equal(try_open_with(false, true), MAILDIR_READY);
	assert_int_equal(message(1)->size_octets, 3);
	assert_int_equal(message(2)->size_octets, 3);
	assert_true(message(1)->size_verified);
	assert_int_equal(maildir_totals(&m).octets, 6);
}

static void open_it(void)
{
	open_box();
}

TEST(message_that_cannot_be_read_stays_in_the_list)
{
	char log[1024];
	size_t octets;

	put("new/1.a", "secret\n");
	put("new/2.b", "b\n");
	assert_int_equal(fchmodat(box.fd, "new/1.a", 0, 0), 0);
	be_nobody();
	octets = unit_stderr_of(open_it, log, sizeof log);
	assert_non_null(memmem(log, octets, "place=new message=1.a", 21));
	assert_non_null(memmem(log, octets, "errno=13", 8));
	assert_int_equal(m.snapshot.count, 2);
	assert_int_equal(message(1)->size_octets, 7);
	assert_false(message(1)->size_verified);
	has_problem(1, EACCES);
	has_contents(2, "b\n");
}

TEST(corrected_size_changes_the_total)
{
	put("new/1.a,W=700", "a\n");
	put("new/2.b,W=50", "b\n");
	put("new/3.c", "c\n");
	open_box();
	maildir_correct_size(&m, 0, message(1), 3);
	assert_int_equal(maildir_totals(&m).octets, 56);
	maildir_correct_size(&m, 1, message(2), 1000);
	assert_int_equal(maildir_totals(&m).octets, 1006);
	assert_true(message(2)->size_verified);
	assert_true(maildir_delete(&m, 0));
	maildir_correct_size(&m, 0, message(1), 9);
	assert_int_equal(maildir_totals(&m).octets, 1003);
	maildir_undelete_all(&m);
	assert_int_equal(maildir_totals(&m).octets, 1012);
}

/* Marks. */

TEST(marked_messages_are_not_in_the_totals)
{
	put("new/1", "a\n");
	put("new/2", "bb\n");
	put("new/3", "ccc\n");
	open_box();
	assert_int_equal(maildir_totals(&m).octets, 12);
	assert_true(maildir_delete(&m, 1));
	assert_int_equal(maildir_totals(&m).messages, 2);
	assert_int_equal(maildir_totals(&m).octets, 8);
	assert_true(maildir_is_deleted(&m, 1));
	assert_true(maildir_delete(&m, 0));
	assert_true(maildir_delete(&m, 2));
	assert_int_equal(maildir_totals(&m).messages, 0);
	assert_int_equal(maildir_totals(&m).octets, 0);
	maildir_undelete_all(&m);
	assert_int_equal(maildir_totals(&m).messages, 3);
	assert_int_equal(maildir_totals(&m).octets, 12);
	assert_false(maildir_is_deleted(&m, 1));
}

TEST(closing_removes_and_moves_nothing)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,", "b\n");
	open_box();
	assert_true(maildir_delete(&m, 0));
	maildir_set_retrieved(&m, 1);
	close_box();
	assert_file(box.fd, "new/1.a", "a\n");
	assert_file(box.fd, "cur/2.b:2,", "b\n");
}

/* What another program does during the session. */

TEST(message_moved_from_new_to_cur_is_found)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	open_box();
	move("new/1.a", "cur/1.a:2,");
	move("new/2.b", "cur/2.b:2,S");
	has_contents(2, "b\n");
	is_named(1, PLACE_CUR, "1.a:2,");
	is_named(2, PLACE_CUR, "2.b:2,S");
	has_contents(1, "a\n");
	is_uid(1, "1.a");
}

TEST(message_with_other_flags_is_found_time_and_again)
{
	static const char *const names[] = {"cur/1.a:2,", "cur/1.a:2,S", "cur/1.a:2,RS",
		"cur/1.a", "new/1.a", "new/1.a:2,F", "cur/1.a:1,x"};

	put(names[0], "a\n");
	open_box();
	for (size_t i = 1; i < COUNT_OF(names); i++) {
		move(names[i - 1], names[i]);
		has_contents(1, "a\n");
		is_named(1, names[i][0] == 'n' ? PLACE_NEW : PLACE_CUR, names[i] + 4);
	}
}

TEST(message_in_an_old_directory_is_found)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,", "b\n");
	age("new", 3600, 3600);
	age("cur", 3600, 3600);
	open_box();
	assert_true(m.seen[PLACE_NEW].is_final && m.seen[PLACE_CUR].is_final);
	move("new/1.a", "cur/1.a:2,");
	has_contents(1, "a\n");
	erase("cur/2.b:2,");
	has_problem(2, ENOENT);
}

TEST(message_that_is_gone_is_gone_and_the_others_are_not)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("new/1.aa", "another\n");
	open_box();
	erase("new/1.a");
	has_problem(1, ENOENT);
	has_problem(1, ENOENT);
	assert_int_equal(m.snapshot.count, 3);
	has_contents(3, "b\n");
	has_contents(2, "another\n");
}

TEST(message_moved_out_of_new_and_cur_is_gone)
{
	put("new/1.a", "a\n");
	open_box();
	move("new/1.a", "tmp/1.a");
	has_problem(1, ENOENT);
	move("tmp/1.a", "new/.1.a");
	has_problem(1, ENOENT);
}

TEST(something_else_in_the_place_of_a_message_is_not_opened)
{
	int fd;

	put("secret", "secret\n");
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("new/3.c", "c\n");
	put("new/4.d", "d\n");
	open_box();
	erase("new/1.a");
	assert_int_equal(symlinkat("../secret", box.fd, "new/1.a"), 0);
	has_problem(1, ELOOP);
	erase("new/2.b");
	put_fifo("new/2.b");
	has_problem(2, EINVAL);
	erase("new/3.c");
	assert_int_equal(mkdirat(box.fd, "new/3.c", 0755), 0);
	has_problem(3, EINVAL);
	erase("new/4.d");
	put_socket("new/4.d");
	fd = maildir_open_message(&m, 3, message(4));
	assert_int_equal(fd, -1);
}

TEST(opened_message_is_for_reading_and_for_this_process_only)
{
	int fd;

	put("new/1.a", "a\n");
	open_box();
	fd = maildir_open_message(&m, 0, message(1));
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

TEST(reading_changes_no_file)
{
	struct stat before, after;

	put("new/1.a", "a\n");
	age("new/1.a", 500000, 500000);
	assert_int_equal(fstatat(box.fd, "new/1.a", &before, 0), 0);
	open_box();
	has_contents(1, "a\n");
	close_box();
	assert_int_equal(fstatat(box.fd, "new/1.a", &after, 0), 0);
	assert_int_equal(before.st_mtime, after.st_mtime);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_ctime, after.st_ctime);
}

TEST(retr_never_gives_the_other_file_of_a_unique_name)
{
	open_twins_that_change();
	has_contents(1, "one\n");
	has_problem(2, ENOENT);
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(snapshot_holds_new_and_cur),
	MAILDIR_TEST(empty_maildir_has_no_messages),
	MAILDIR_TEST(mail_that_arrives_later_is_for_the_next_session),
	MAILDIR_TEST(dotfiles_are_no_messages),
	MAILDIR_TEST(only_regular_files_are_messages),
	MAILDIR_TEST(device_is_no_message),
	MAILDIR_TEST(names_may_hold_any_octets),
	MAILDIR_TEST(order_is_by_delivery_time_whatever_the_place),
	MAILDIR_TEST(of_two_files_of_one_unique_name_the_older_keeps_it),
	MAILDIR_TEST(copy_never_takes_the_name_of_the_message),
	MAILDIR_TEST(two_files_of_one_unique_name_are_found_again_each),
	MAILDIR_TEST(one_file_under_two_names_is_one_message),
	MAILDIR_TEST(two_names_of_one_file_and_another_file_are_two_messages),
	MAILDIR_TEST(size_is_the_octets_as_sent),
	MAILDIR_TEST(size_in_the_name_is_believed_and_not_read),
	MAILDIR_TEST(size_on_disk_in_the_name_is_not_the_size),
	MAILDIR_TEST(verify_sizes_believes_no_name),
	MAILDIR_TEST(message_that_cannot_be_read_stays_in_the_list),
	MAILDIR_TEST(corrected_size_changes_the_total),
	MAILDIR_TEST(marked_messages_are_not_in_the_totals),
	MAILDIR_TEST(closing_removes_and_moves_nothing),
	MAILDIR_TEST(message_moved_from_new_to_cur_is_found),
	MAILDIR_TEST(message_with_other_flags_is_found_time_and_again),
	MAILDIR_TEST(message_in_an_old_directory_is_found),
	MAILDIR_TEST(message_that_is_gone_is_gone_and_the_others_are_not),
	MAILDIR_TEST(message_moved_out_of_new_and_cur_is_gone),
	MAILDIR_TEST(something_else_in_the_place_of_a_message_is_not_opened),
	MAILDIR_TEST(opened_message_is_for_reading_and_for_this_process_only),
	MAILDIR_TEST(reading_changes_no_file),
	MAILDIR_TEST(retr_never_gives_the_other_file_of_a_unique_name),
};

int main(void)
{
	return UNIT_RUN("maildir", tests);
}
