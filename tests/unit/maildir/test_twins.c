/* maildir: the UPDATE state of several files with one unique name, and of one file with several
 * names (doc/MAILDIR). test_maildir.c covers their order and unique-ids. */
#include "tests/unit/unit_update.h"

/* Two files with one unique name. Returns the name that the younger one has after the session.
 */
static const char *put_twins(const char *old_path, const char *young_path, const char *end)
{
	put(old_path, "old\n");
	put(young_path, "young\n");
	age(old_path, 10, 10);
	return own_name(young_path, "cur/1.a", end);
}

TEST(of_two_files_with_one_unique_name_the_marked_one_is_removed)
{
	const char *name;

	put("new/1.a", "new\n");
	put("cur/1.a:2,S", "cur\n");
	age("cur/1.a:2,S", 10, 10);
	name = own_name("new/1.a", "cur/1.a", ":2,");
	open_box();
	delete (1);
	updates(1, 5);
	assert_gone("cur/1.a:2,S");
	assert_gone("new/1.a");
	assert_file(box.fd, name, "new\n");
}

TEST(second_of_two_files_gets_the_name_that_its_unique_id_said)
{
	const char *name;
	char before[UID_TEXT_OCTETS];

	name = put_twins("cur/1.a,S=4:2,F", "cur/1.a,S=4:2,", ",S=4:2,S");
	open_box();
	retrieve(2);
	uid_of(2, before);
	updates(0, 0);
	assert_file(box.fd, "cur/1.a,S=4:2,F", "old\n");
	assert_file(box.fd, name, "young\n");
	/* each alone, and whatever becomes of the other one */
	erase("cur/1.a,S=4:2,F");
	open_box();
	is_uid(1, before);
	assert_int_equal(m.snapshot.count, 1);
}

/* Two sessions at once: the other one ended first, and gave the second one its name. */
TEST(second_that_another_session_has_renamed_is_the_same_message)
{
	const char *name;
	char before[UID_TEXT_OCTETS];

	name = put_twins("cur/1.a,S=4:2,F", "new/1.a,S=4", ",S=4:2,");
	open_box();
	uid_of(2, before);
	move("new/1.a,S=4", name);
	has_contents(2, "young\n");
	is_uid(2, before);
	updates(0, 0);
	assert_file(box.fd, name, "young\n");
	assert_file(box.fd, "cur/1.a,S=4:2,F", "old\n");
}

TEST(second_that_another_session_has_renamed_is_removed)
{
	const char *name;

	name = put_twins("cur/1.a:2,F", "cur/1.a:2,", ":2,");
	open_box();
	delete (2);
	move("cur/1.a:2,", name);
	updates(1, 7);
	assert_gone(name);
	assert_file(box.fd, "cur/1.a:2,F", "old\n");
}

/* A session that dies between the two steps must not leave the second one the name. */
TEST(names_of_their_own_are_given_before_anything_is_removed)
{
	const char *name;

	name = put_twins("cur/1.a:2,", "new/1.a", ":2,");
	open_box();
	delete (1);
	at_removal = name;
	removals = 0;
	updates(1, 5);
	at_removal = NULL;
	assert_int_equal(removals, 1);
}

TEST(second_with_further_names_is_one_message_afterwards)
{
	const char *name;

	name = put_twins("cur/1.a:2,", "new/1.a", ":2,S");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,S", 0), 0);
	open_box();
	assert_int_equal(m.snapshot.count, 2);
	updates(0, 0);
	assert_file(box.fd, name, "young\n");
	assert_gone("new/1.a");
	assert_gone("cur/1.a:2,S");
	assert_file(box.fd, "cur/1.a:2,", "old\n");
}

TEST(further_name_that_cannot_be_removed_is_told)
{
	struct maildir_update u;

	put("new/1.a", "a\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	open_box();
	delete (1);
	assert_int_equal(fchmodat(box.fd, "new", 0555, 0), 0);
	assert_int_equal(fchown(box.fd, NOBODY, NOBODY) == 0 || getuid() != 0, 1);
	assert_int_equal(fchownat(box.fd, "cur", NOBODY, NOBODY, 0) == 0 || getuid() != 0, 1);
	be_nobody();
	u = maildir_update(&m);
	assert_int_equal(u.removed, 0);
	assert_int_equal(u.removed_octets, 0);
	assert_int_equal(u.not_removed, 1);
	assert_int_equal(u.error_number, EACCES);
	assert_exists("new/1.a");
}

/* Both directories are read a fixed number of times, however many messages have two names. */
TEST(further_names_of_many_messages_take_one_pass)
{
	char from[32], to[32];

	for (int i = 0; i < 300; i++) {
		snprintf(from, sizeof from, "new/%d.a,W=3", i);
		snprintf(to, sizeof to, "cur/%d.a,W=3:2,", i);
		put(from, "a\n");
		assert_int_equal(linkat(box.fd, from, box.fd, to, 0), 0);
	}
	open_box();
	assert_int_equal(m.snapshot.count, 300);
	for (size_t i = 1; i <= 300; i++)
		delete (i);
	directory_reads = 0;
	updates(300, 900);
	assert_in_range(directory_reads, 2, 20);
	open_box();
	assert_int_equal(m.snapshot.count, 0);
}

TEST(many_files_of_one_unique_name_are_sorted_out_quickly)
{
	enum { FILES = 6000 };
	char path[32];
	clock_t before;

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "cur/1.a,W=3:2,%d", i);
		put(path, "");
	}
	before = clock();
	open_box();
	assert_int_equal(m.snapshot.count, FILES);
	assert_int_equal(renameat(box.fd, "cur/1.a,W=3:2,7", box.fd, "cur/1.a,W=3:2,x"), 0);
	for (size_t i = 1; i <= 3; i++)
		has_contents(i, "");
	delete (1);
	assert_true(maildir_rescan(&m));
	/* several times as much where every file is compared with every other one */
	assert_in_range(clock() - before, 0, CLOCKS_PER_SEC / 4);
}

TEST(file_of_another_inode_is_another_message)
{
	put("cur/1.a,S=7:2,", "a\n");
	put("cur/1.a,S=7:2,S", "twin\n");
	age("cur/1.a,S=7:2,", 10, 10);
	open_box();
	delete (1);
	put("cur/1.a:2,", "other\n");
	erase("cur/1.a,S=7:2,");
	updates(1, 3);
	assert_file(box.fd, "cur/1.a:2,", "other\n");
}

TEST(file_linked_to_cur_is_removed_with_its_name_in_new)
{
	put("new/1.a", "a\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	open_box();
	delete (1);
	updates(1, 3);
	assert_gone("cur/1.a:2,");
	assert_gone("new/1.a");
}

TEST(name_in_new_that_became_another_file_is_not_removed)
{
	put("new/1.a", "a\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	open_box();
	delete (1);
	erase("new/1.a");
	put("other", "other\n");
	move("other", "new/1.a");
	updates(1, 3);
	assert_file(box.fd, "new/1.a", "other\n");
}

TEST(dele_never_removes_the_other_file_of_a_unique_name)
{
	open_twins_that_change();
	delete (2);
	updates(1, 5);
	assert_file(box.fd, "cur/1.a:2,S", "one\n");
}

TEST(all_names_of_a_deleted_file_go)
{
	put("cur/1.a:2,", "one\n");
	assert_int_equal(linkat(box.fd, "cur/1.a:2,", box.fd, "cur/1.a:2,S", 0), 0);
	open_box();
	assert_int_equal(m.snapshot.count, 1);
	delete (1);
	updates(1, 5);
	assert_gone("cur/1.a:2,");
	assert_gone("cur/1.a:2,S");
}

TEST(alias_goes_wherever_it_was_moved)
{
	put("new/1.a", "one\n");
	assert_int_equal(linkat(box.fd, "new/1.a", box.fd, "cur/1.a:2,", 0), 0);
	open_box();
	move("new/1.a", "cur/1.a:2,F");
	delete (1);
	updates(1, 5);
	assert_gone("cur/1.a:2,");
	assert_gone("cur/1.a:2,F");
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(of_two_files_with_one_unique_name_the_marked_one_is_removed),
	MAILDIR_TEST(second_of_two_files_gets_the_name_that_its_unique_id_said),
	MAILDIR_TEST(second_that_another_session_has_renamed_is_the_same_message),
	MAILDIR_TEST(second_that_another_session_has_renamed_is_removed),
	MAILDIR_TEST(names_of_their_own_are_given_before_anything_is_removed),
	MAILDIR_TEST(second_with_further_names_is_one_message_afterwards),
	MAILDIR_TEST(further_name_that_cannot_be_removed_is_told),
	MAILDIR_TEST(further_names_of_many_messages_take_one_pass),
	MAILDIR_TEST(many_files_of_one_unique_name_are_sorted_out_quickly),
	MAILDIR_TEST(file_of_another_inode_is_another_message),
	MAILDIR_TEST(file_linked_to_cur_is_removed_with_its_name_in_new),
	MAILDIR_TEST(name_in_new_that_became_another_file_is_not_removed),
	MAILDIR_TEST(dele_never_removes_the_other_file_of_a_unique_name),
	MAILDIR_TEST(all_names_of_a_deleted_file_go),
	MAILDIR_TEST(alias_goes_wherever_it_was_moved),
};

int main(void)
{
	return UNIT_RUN("twins", tests);
}
