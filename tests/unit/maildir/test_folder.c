/* maildir: the UPDATE state with a folder for deleted messages (doc/MAILDIR). */
#include "tests/unit/unit_update.h"

/* Between the link and the removal the message is in both places, and later it is moved. */
TEST(move_by_links_to_a_folder_loses_nothing_at_any_time)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,F", "b\n");
	no_renameat2 = no_removal = true;
	folder = "Trash";
	open_box();
	delete (1);
	delete (2);
	assert_int_equal(maildir_update(&m).not_removed, 2);
	assert_true(maildir_was_kept(&m, 0));
	assert_true(maildir_was_kept(&m, 1));
	assert_file(box.fd, "new/1.a", "a\n");
	assert_file(box.fd, ".Trash/cur/1.a:2,", "a\n");
	assert_file(box.fd, "cur/2.b:2,F", "b\n");
	assert_file(box.fd, ".Trash/cur/2.b:2,F", "b\n");
	no_removal = false;
	open_box();
	delete (1);
	delete (2);
	at_removal = ".Trash/cur/1.a:2,";
	updates(2, 6);
	at_removal = NULL;
	no_renameat2 = false;
	assert_int_equal(removals, 2);
	assert_gone("new/1.a");
	assert_gone("cur/2.b:2,F");
	assert_file(box.fd, ".Trash/cur/1.a:2,", "a\n");
	assert_file(box.fd, ".Trash/cur/2.b:2,F", "b\n");
	removals = 0;
}

TEST(nothing_in_a_folder_is_ever_replaced)
{
	for (int without = 0; without < 2; without++) {
		assert_int_equal(maildir_setup(NULL), 0);
		no_renameat2 = without == 1;
		folder = "Trash";
		put("cur/1.a:2,S", "mine\n");
		open_box();
		put(".Trash/cur/1.a:2,S", "foreign\n");
		delete (1);
		updates(1, 6);
		assert_gone("cur/1.a:2,S");
		assert_file(box.fd, ".Trash/cur/1.a:2,S", "foreign\n");
		no_renameat2 = false;
		maildir_teardown(NULL);
	}
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(move_by_links_to_a_folder_loses_nothing_at_any_time),
	MAILDIR_TEST(nothing_in_a_folder_is_ever_replaced),
};

int main(void)
{
	return UNIT_RUN("folder", tests);
}
