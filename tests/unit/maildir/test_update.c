/* maildir: the UPDATE state: what is removed, moved, flagged and reported (RFC 1939 section
 * 6, doc/MAILDIR). test_twins.c covers files with one unique name, test_folder.c the folder for
 * deleted messages. */
#include "tests/unit/unit_update.h"

TEST(what_is_marked_is_removed_and_nothing_else)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,S", "bb\n");
	put("new/3.c", "c\n");
	put("cur/4.d:2,", "d\n");
	put("tmp/1.a", "tmp\n");
	open_box();
	delete (1);
	delete (2);
	updates(2, 7);
	assert_gone("new/1.a");
	assert_gone("cur/1.a:2,");
	assert_gone("cur/2.b:2,S");
	assert_file(box.fd, "cur/3.c:2,", "c\n");
	assert_file(box.fd, "cur/4.d:2,", "d\n");
	assert_file(box.fd, "tmp/1.a", "tmp\n");
}

TEST(unmarked_messages_are_not_removed)
{
	put("new/1.a", "a\n");
	open_box();
	delete (1);
	maildir_undelete_all(&m);
	updates(0, 0);
	assert_file(box.fd, "cur/1.a:2,", "a\n");
}

TEST(mail_that_arrived_during_the_session_is_not_touched)
{
	put("new/1.a", "a\n");
	open_box();
	put("new/2.b", "b\n");
	updates(0, 0);
	assert_exists("new/2.b");
}

TEST(new_messages_move_to_cur)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	open_box();
	retrieve(2);
	updates(0, 0);
	assert_gone("new/1.a");
	assert_gone("new/2.b");
	assert_file(box.fd, "cur/1.a:2,", "a\n");
	assert_file(box.fd, "cur/2.b:2,S", "b\n");
}

/* A name before the update, and after it with and without RETR. */
static const struct flags {
	const char *before, *kept, *retrieved;
} flags[] = {
	{"", ":2,", ":2,S"},
	{":2,", ":2,", ":2,S"},
	{":2,S", ":2,S", ":2,S"},
	{":2,F", ":2,F", ":2,FS"},
	{":2,DFPR", ":2,DFPR", ":2,DFPRS"},
	{":2,T", ":2,T", ":2,ST"},
	{":2,RT", ":2,RT", ":2,RST"},
	{":2,DFPRST", ":2,DFPRST", ":2,DFPRST"},
	{":2,ab", ":2,ab", ":2,Sab"},
	{":2,Fab", ":2,Fab", ":2,FSab"},
	{":2,F,ext", ":2,F,ext", ":2,FS,ext"},
	{":2,F,S", ":2,F,S", ":2,FS,S"},
	{":2,,T", ":2,,T", ":2,S,T"},
	{":1,x", ":1,x", ":1,x"},
	{":3,F", ":3,F", ":3,F"},
	{":2", ":2", ":2"},
	{":", ":", ":"},
};

static void put_all_flags(const char *place)
{
	char path[64];

	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		snprintf(path, sizeof path, "%s/%zu.a%s", place, 100 + i, flags[i].before);
		put(path, "x\n");
	}
}

static void has_all_flags(bool retrieved, bool from_new)
{
	char path[64];

	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		/* A message in cur/ without flags that was not read stays unchanged. */
		const char *const kept = from_new ? flags[i].kept : flags[i].before;

		snprintf(path, sizeof path, "cur/%zu.a%s", 100 + i,
			retrieved ? flags[i].retrieved : kept);
		assert_exists(path);
	}
}

TEST(flags_are_kept_and_s_comes_in_its_place)
{
	static const char *const places[] = {"new", "cur"};

	for (size_t place = 0; place < COUNT_OF(places); place++)
		for (size_t with = 0; with < 2; with++) {
			assert_int_equal(maildir_setup(NULL), 0);
			put_all_flags(places[place]);
			open_box();
			assert_int_equal(m.snapshot.count, COUNT_OF(flags));
			for (size_t i = 1; with == 1 && i <= COUNT_OF(flags); i++)
				retrieve(i);
			updates(0, 0);
			has_all_flags(with == 1, place == 0);
			maildir_teardown(NULL);
		}
}

TEST(message_of_cur_that_was_not_read_keeps_its_name_and_inode)
{
	struct stat before, after;

	put("cur/1.a", "a\n");
	put("cur/2.b:2,F", "b\n");
	assert_int_equal(fstatat(box.fd, "cur/1.a", &before, 0), 0);
	open_box();
	updates(0, 0);
	assert_int_equal(fstatat(box.fd, "cur/1.a", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	assert_exists("cur/2.b:2,F");
}

TEST(update_changes_neither_contents_nor_mtime)
{
	struct stat before, after;

	put("new/1.a", "a\r\n.\n");
	age("new/1.a", 400000, 400000);
	assert_int_equal(fstatat(box.fd, "new/1.a", &before, 0), 0);
	open_box();
	retrieve(1);
	updates(0, 0);
	assert_int_equal(fstatat(box.fd, "cur/1.a:2,S", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_file(box.fd, "cur/1.a:2,S", "a\r\n.\n");
}

/* Names without room for the flags. */
TEST(name_too_long_for_flags_moves_without_them)
{
	char from[300], to[310];

	for (size_t octets = 250; octets <= UID_NAME_OCTETS; octets++) {
		assert_int_equal(maildir_setup(NULL), 0);
		memset(from, 'n', sizeof from);
		memcpy(from, "new/1.", 6);
		from[4 + octets] = '\0';
		put(from, "x\n");
		open_box();
		retrieve(1);
		updates(0, 0);
		snprintf(to, sizeof to, "cur/%s%s", from + 4, octets + 4 <= 255 ? ":2,S" : "");
		assert_exists(to);
		maildir_teardown(NULL);
	}
}

TEST(name_without_room_for_s_keeps_its_flags)
{
	char name[300] = "cur/1.";

	memset(name + 6, 'n', 250);
	strcpy(name + 4 + UID_NAME_OCTETS - 4, ":2,F");
	put(name, "x\n");
	open_box();
	retrieve(1);
	updates(0, 0);
	assert_exists(name);
}

/* Another program was faster. */

TEST(message_that_was_moved_and_flagged_is_removed)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,", "b\n");
	put("new/3.c", "c\n");
	open_box();
	delete (1);
	delete (2);
	move("new/1.a", "cur/1.a:2,F");
	move("cur/2.b:2,", "cur/2.b:2,S");
	updates(2, 6);
	assert_gone("cur/1.a:2,F");
	assert_gone("cur/2.b:2,S");
	assert_exists("cur/3.c:2,");
}

TEST(message_that_was_moved_and_flagged_gets_s_as_well)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	open_box();
	retrieve(1);
	move("new/1.a", "cur/1.a:2,FT");
	move("new/2.b", "cur/2.b:2,F");
	updates(0, 0);
	assert_exists("cur/1.a:2,FST");
	assert_exists("cur/2.b:2,F");
}

TEST(message_that_is_gone_already_is_removed)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("new/3.c", "c\n");
	open_box();
	delete (1);
	retrieve(2);
	erase("new/1.a");
	erase("new/2.b");
	updates(1, 3);
	assert_exists("cur/3.c:2,");
}

TEST(no_file_is_ever_replaced)
{
	for (int without = 0; without < 2; without++) {
		assert_int_equal(maildir_setup(NULL), 0);
		no_renameat2 = without == 1;
		put("new/1.a", "mine\n");
		put("new/2.b", "mine, too\n");
		put("cur/3.c:2,F", "mine as well\n");
		open_box();
		retrieve(2);
		retrieve(3);
		put("cur/1.a:2,", "foreign\n");
		put("cur/2.b:2,S", "foreign, too\n");
		put("cur/3.c:2,FS", "foreign as well\n");
		updates(0, 0);
		assert_file(box.fd, "new/1.a", "mine\n");
		assert_file(box.fd, "cur/1.a:2,", "foreign\n");
		assert_file(box.fd, "new/2.b", "mine, too\n");
		assert_file(box.fd, "cur/2.b:2,S", "foreign, too\n");
		assert_file(box.fd, "cur/3.c:2,F", "mine as well\n");
		assert_file(box.fd, "cur/3.c:2,FS", "foreign as well\n");
		no_renameat2 = false;
		maildir_teardown(NULL);
	}
}

/* A session on another host that removes a message while this one moves it must find it under
 * one name: it would remove one of two, and the message would stay. */
TEST(file_system_that_cannot_but_replace_shows_a_moved_message_once)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,F", "b\n");
	no_renameat2 = no_removal = true;
	open_box();
	retrieve(2);
	updates(0, 0);
	no_renameat2 = no_removal = false;
	assert_gone("new/1.a");
	assert_gone("cur/2.b:2,F");
	assert_file(box.fd, "cur/1.a:2,", "a\n");
	assert_file(box.fd, "cur/2.b:2,FS", "b\n");
}

TEST(removing_comes_before_moving)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,", "b\n");
	open_box();
	delete (2);
	/* still there when the other one is removed */
	at_removal = "new/1.a";
	removals = 0;
	updates(1, 3);
	at_removal = NULL;
	assert_int_equal(removals, 1);
	assert_exists("cur/1.a:2,");
}

/* Separators of Windows. */
TEST(info_after_another_separator_gets_no_second_one)
{
	put("cur/1.a;2,S", "a\n");
	put("cur/2.b!2,F", "b\n");
	put("new/3.c;2,", "c\n");
	open_box();
	is_uid(1, "1.a");
	is_uid(2, "2.b");
	is_uid(3, "3.c");
	for (size_t i = 1; i <= 3; i++)
		retrieve(i);
	updates(0, 0);
	assert_file(box.fd, "cur/1.a;2,S", "a\n");
	assert_file(box.fd, "cur/2.b!2,FS", "b\n");
	assert_file(box.fd, "cur/3.c;2,S", "c\n");
}

/* The fields of a name, which another program changed in mid-session. */
TEST(message_whose_fields_changed_is_found_read_and_removed)
{
	put("cur/1.a,S=7,W=9:2,S", "a\n");
	put("new/2.b,S=7", "b\n");
	put("new/3.c", "c\n");
	open_box();
	move("cur/1.a,S=7,W=9:2,S", "cur/1.a:2,S");
	move("new/2.b,S=7", "cur/2.b,S=2,W=3:2,");
	move("new/3.c", "cur/3.c,S=2:2,");
	has_contents(1, "a\n");
	is_uid(1, "1.a");
	delete (1);
	delete (2);
	retrieve(3);
	updates(2, 12);
	assert_gone("cur/1.a:2,S");
	assert_gone("cur/2.b,S=2,W=3:2,");
	assert_file(box.fd, "cur/3.c,S=2:2,S", "c\n");
}

TEST(unique_id_stays_in_the_session_where_fields_change)
{
	char text[UID_TEXT_OCTETS];

	put("cur/1.a,S=7:2,S", "a\n");
	open_box();
	move("cur/1.a,S=7:2,S", "cur/1.a,S=2:2,S");
	has_contents(1, "a\n");
	uid_of(1, text);
	assert_string_equal(text, "1.a,S=7");
	/* and the file may move again */
	move("cur/1.a,S=2:2,S", "cur/1.a,S=3:2,");
	has_contents(1, "a\n");
	move("cur/1.a,S=3:2,", "cur/1.a,S=7:2,");
	has_contents(1, "a\n");
}

/* Nothing is removed on a guess, and nothing is called removed that may be there. */
static void is_kept(void)
{
	const struct maildir_update u = maildir_update(&m);

	assert_int_equal(u.removed, 0);
	assert_int_equal(u.not_removed, 1);
	assert_int_equal(u.error_number, ENOENT);
}

TEST(two_files_that_differ_in_fields_are_in_doubt)
{
	put("cur/1.a,S=7:2,", "a\n");
	open_box();
	delete (1);
	move("cur/1.a,S=7:2,", "cur/1.a,S=2:2,");
	put("cur/1.a,S=3:2,", "another\n");
	is_kept();
	assert_exists("cur/1.a,S=2:2,");
	assert_exists("cur/1.a,S=3:2,");
}

/* Where no field follows the comma, what follows tells two messages apart. */
TEST(new_mail_whose_name_has_another_comma_is_not_removed)
{
	put("cur/mail,001:2,", "a\n");
	put("cur/news:2,", "b\n");
	open_box();
	delete (1);
	delete (2);
	erase("cur/mail,001:2,");
	put("new/mail,S=9", "new mail\n");
	erase("cur/news:2,");
	put("new/news,002", "new mail, too\n");
	updates(2, 6);
	assert_file(box.fd, "new/mail,S=9", "new mail\n");
	assert_file(box.fd, "new/news,002", "new mail, too\n");
}

TEST(file_that_may_be_one_of_two_messages_is_in_doubt)
{
	put("cur/1.a,S=7:2,", "a\n");
	put("cur/1.a,S=8:2,", "b\n");
	open_box();
	delete (1);
	erase("cur/1.a,S=8:2,");
	move("cur/1.a,S=7:2,", "cur/1.a:2,");
	is_kept();
	assert_exists("cur/1.a:2,");
}

/* Failures. */

TEST(what_cannot_be_removed_is_counted_and_kept)
{
	struct maildir_update u;

	put("new/1.a", "a\n");
	put("cur/2.b:2,", "b\n");
	put("cur/3.c:2,", "c\n");
	assert_int_equal(fchmodat(box.fd, "new", 0777, 0), 0);
	be_nobody();
	assert_int_equal(getuid() == 0 ? 0 : fchmodat(box.fd, "cur", 0555, 0), 0);
	open_box();
	delete (1);
	delete (2);
	delete (3);
	u = maildir_update(&m);
	assert_int_equal(u.removed, 1);
	assert_int_equal(u.removed_octets, 3);
	assert_int_equal(u.not_removed, 2);
	assert_int_equal(u.not_moved, 0);
	assert_int_equal(u.error_number, EACCES);
	assert_gone("new/1.a");
	assert_file(box.fd, "cur/2.b:2,", "b\n");
	assert_file(box.fd, "cur/3.c:2,", "c\n");
}

TEST(what_cannot_be_moved_is_counted_and_kept)
{
	struct maildir_update u;

	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("cur/3.c:2,", "c\n");
	if (getuid() != 0)
		assert_int_equal(fchmodat(box.fd, "new", 0555, 0), 0);
	be_nobody();
	open_box();
	delete (2);
	u = maildir_update(&m);
	assert_int_equal(u.removed, 0);
	assert_int_equal(u.not_removed, 1);
	assert_int_equal(u.not_moved, 1);
	assert_int_equal(u.error_number, EACCES);
	assert_exists("new/1.a");
	assert_exists("new/2.b");
	assert_exists("cur/3.c:2,");
}

TEST(directory_in_the_place_of_a_message_is_not_removed)
{
	struct maildir_update u;

	put("new/1.a", "a\n");
	open_box();
	delete (1);
	erase("new/1.a");
	assert_int_equal(mkdirat(box.fd, "new/1.a", 0755), 0);
	u = maildir_update(&m);
	assert_int_equal(u.removed, 0);
	assert_int_equal(u.not_removed, 1);
	assert_exists("new/1.a");
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(what_is_marked_is_removed_and_nothing_else),
	MAILDIR_TEST(unmarked_messages_are_not_removed),
	MAILDIR_TEST(mail_that_arrived_during_the_session_is_not_touched),
	MAILDIR_TEST(new_messages_move_to_cur),
	cmocka_unit_test(flags_are_kept_and_s_comes_in_its_place),
	MAILDIR_TEST(message_of_cur_that_was_not_read_keeps_its_name_and_inode),
	MAILDIR_TEST(update_changes_neither_contents_nor_mtime),
	cmocka_unit_test(name_too_long_for_flags_moves_without_them),
	MAILDIR_TEST(name_without_room_for_s_keeps_its_flags),
	MAILDIR_TEST(message_that_was_moved_and_flagged_is_removed),
	MAILDIR_TEST(message_that_was_moved_and_flagged_gets_s_as_well),
	MAILDIR_TEST(message_that_is_gone_already_is_removed),
	cmocka_unit_test(no_file_is_ever_replaced),
	MAILDIR_TEST(file_system_that_cannot_but_replace_shows_a_moved_message_once),
	MAILDIR_TEST(removing_comes_before_moving),
	MAILDIR_TEST(info_after_another_separator_gets_no_second_one),
	MAILDIR_TEST(message_whose_fields_changed_is_found_read_and_removed),
	MAILDIR_TEST(unique_id_stays_in_the_session_where_fields_change),
	MAILDIR_TEST(two_files_that_differ_in_fields_are_in_doubt),
	MAILDIR_TEST(new_mail_whose_name_has_another_comma_is_not_removed),
	MAILDIR_TEST(file_that_may_be_one_of_two_messages_is_in_doubt),
	MAILDIR_TEST(what_cannot_be_removed_is_counted_and_kept),
	MAILDIR_TEST(what_cannot_be_moved_is_counted_and_kept),
	MAILDIR_TEST(directory_in_the_place_of_a_message_is_not_removed),
};

int main(void)
{
	return UNIT_RUN("update", tests);
}
