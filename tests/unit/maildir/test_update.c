/* maildir: the UPDATE state: what is removed, moved, flagged and reported (RFC 1939 section
 * 6, doc/MAILDIR). */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>

#include "maildir/internal.h"
#include "tests/unit/unit_maildir.h"

/* The kernel's renameat2, or, as on NFS, one that cannot refuse to replace a file. */
static bool no_renameat2;

static long real_renameat2(
	int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (no_renameat2) {
		errno = EINVAL;
		return -1;
	}
	return renameat2(from_fd, from, to_fd, to, flags);
}

/* Each removal is counted, and at each this file is there. */
static const char *at_removal;
static unsigned removals, directory_reads;
static bool no_removal; /* As if the process died before it. */

int unlinkat(int directory_fd, const char *name, int flags)
{
	static int (*real_unlinkat)(int, const char *, int);

	if (real_unlinkat == NULL)
		*(void **)&real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
	if (at_removal != NULL) {
		removals++;
		assert_exists(at_removal);
	}
	if (no_removal) {
		errno = EIO;
		return -1;
	}
	return real_unlinkat(directory_fd, name, flags);
}

/* The system calls that the code under test makes by number, and unlinkat. */
long syscall(long number, ...)
{
	va_list arguments;
	int from_fd, to_fd;
	const char *from, *to;

	va_start(arguments, number);
	if (number == SYS_getdents64) {
		const int fd = va_arg(arguments, int);
		void *const buffer = va_arg(arguments, void *);
		const size_t octets = va_arg(arguments, size_t);

		va_end(arguments);
		directory_reads++;
		return getdents64(fd, buffer, octets);
	}
	if (number == SYS_statx) {
		/* a file system that does not tell when a file was made */
		va_end(arguments);
		errno = ENOSYS;
		return -1;
	}
	assert_int_equal(number, SYS_renameat2);
	from_fd = va_arg(arguments, int);
	from = va_arg(arguments, const char *);
	to_fd = va_arg(arguments, int);
	to = va_arg(arguments, const char *);
	assert_int_equal(va_arg(arguments, unsigned), RENAME_NOREPLACE);
	va_end(arguments);
	return real_renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE);
}

static void delete (size_t number)
{
	assert_true(maildir_delete(&m, number - 1));
}

static void retrieve(size_t number)
{
	maildir_set_retrieved(&m, number - 1);
}

/* An update without failures. */
static void updates(size_t removed, uint64_t removed_octets)
{
	const struct maildir_update u = maildir_update(&m);

	if (u.error_number != 0)
		print_error("error: %s\n", strerror(u.error_number));
	assert_int_equal(u.error_number, 0);
	assert_int_equal(u.removed, removed);
	assert_int_equal(u.removed_octets, removed_octets);
	assert_int_equal(u.not_removed, 0);
	assert_int_equal(u.not_moved, 0);
}

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

TEST(file_system_that_cannot_but_replace_is_served_by_links)
{
	put("new/1.a", "a\n");
	put("cur/2.b:2,F", "b\n");
	no_renameat2 = true;
	open_box();
	retrieve(2);
	updates(0, 0);
	no_renameat2 = false;
	assert_gone("new/1.a");
	assert_gone("cur/2.b:2,F");
	assert_file(box.fd, "cur/1.a:2,", "a\n");
	assert_file(box.fd, "cur/2.b:2,FS", "b\n");
}

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

TEST(dele_never_removes_the_other_file_of_a_unique_name)
{
	put("cur/1.a:2,", "one\n");
	age("cur/1.a:2,", 10, 10);
	put("cur/1.a:2,S", "two\n");
	open_box();
	/* Another program removes the second message and marks the first as seen. */
	erase("cur/1.a:2,S");
	move("cur/1.a:2,", "cur/1.a:2,S");
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
	MAILDIR_TEST(file_system_that_cannot_but_replace_is_served_by_links),
	MAILDIR_TEST(move_by_links_to_a_folder_loses_nothing_at_any_time),
	MAILDIR_TEST(nothing_in_a_folder_is_ever_replaced),
	MAILDIR_TEST(of_two_files_with_one_unique_name_the_marked_one_is_removed),
	MAILDIR_TEST(second_of_two_files_gets_the_name_that_its_unique_id_said),
	MAILDIR_TEST(second_that_another_session_has_renamed_is_the_same_message),
	MAILDIR_TEST(second_that_another_session_has_renamed_is_removed),
	MAILDIR_TEST(names_of_their_own_are_given_before_anything_is_removed),
	MAILDIR_TEST(second_with_further_names_is_one_message_afterwards),
	MAILDIR_TEST(removing_comes_before_moving),
	MAILDIR_TEST(further_name_that_cannot_be_removed_is_told),
	MAILDIR_TEST(further_names_of_many_messages_take_one_pass),
	MAILDIR_TEST(many_files_of_one_unique_name_are_sorted_out_quickly),
	MAILDIR_TEST(info_after_another_separator_gets_no_second_one),
	MAILDIR_TEST(message_whose_fields_changed_is_found_read_and_removed),
	MAILDIR_TEST(unique_id_stays_in_the_session_where_fields_change),
	MAILDIR_TEST(two_files_that_differ_in_fields_are_in_doubt),
	MAILDIR_TEST(new_mail_whose_name_has_another_comma_is_not_removed),
	MAILDIR_TEST(file_that_may_be_one_of_two_messages_is_in_doubt),
	MAILDIR_TEST(file_of_another_inode_is_another_message),
	MAILDIR_TEST(file_linked_to_cur_is_removed_with_its_name_in_new),
	MAILDIR_TEST(name_in_new_that_became_another_file_is_not_removed),
	MAILDIR_TEST(what_cannot_be_removed_is_counted_and_kept),
	MAILDIR_TEST(what_cannot_be_moved_is_counted_and_kept),
	MAILDIR_TEST(directory_in_the_place_of_a_message_is_not_removed),
	MAILDIR_TEST(dele_never_removes_the_other_file_of_a_unique_name),
	MAILDIR_TEST(all_names_of_a_deleted_file_go),
	MAILDIR_TEST(alias_goes_wherever_it_was_moved),
};

int main(void)
{
	return UNIT_RUN("update", tests);
}
