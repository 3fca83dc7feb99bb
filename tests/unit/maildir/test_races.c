/* maildir: other programs that change the directories while they are read, and reads that
 * fail. This file replaces the system call that reads a directory. The replacement returns
 * one entry at a time and then calls a hook of the test, so changes always happen at the same
 * place. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>

#include "tests/unit/unit_maildir.h"

/* Called after each entry with the number of calls so far, and at the end with NULL. It can
 * replace the entry. */
typedef struct dirent *hook_function(struct dirent *entry, unsigned calls);

static hook_function *hook;
static unsigned calls;

/* Called once when the first of several files with one unique name was looked at. */
static void (*at_look)(void);

/* Entries that were read and not yet returned, of one directory at a time. */
static char waiting[32768] __attribute__((aligned(8)));
static size_t waiting_start, waiting_end;

static struct dirent *next_entry(int fd)
{
	struct dirent *entry;

	if (lseek(fd, 0, SEEK_CUR) == 0)
		waiting_start = waiting_end = 0;
	if (waiting_start == waiting_end) {
		const ssize_t got = getdents64(fd, waiting, sizeof waiting);

		if (got <= 0)
			return NULL;
		waiting_start = 0;
		waiting_end = (size_t)got;
	}
	entry = (struct dirent *)(void *)(waiting + waiting_start);
	waiting_start += entry->d_reclen;
	return entry;
}

/* The only system call that the tested code makes by number in this file. What the hook does
 * affects no test of descriptors or directories. */
long syscall(long number, ...)
{
	hook_function *const wanted = hook;
	struct dirent *entry;
	va_list arguments;
	void *buffer;
	int fd;

	if (number == SYS_statx) {
		void (*const look)(void) = at_look;

		at_look = NULL;
		if (look != NULL)
			look();
		errno = ENOSYS;
		return -1;
	}
	assert_int_equal(number, SYS_getdents64);
	va_start(arguments, number);
	fd = va_arg(arguments, int);
	buffer = va_arg(arguments, void *);
	va_end(arguments);
	entry = next_entry(fd);
	errno = 0;
	if (wanted != NULL) {
		hook = NULL;
		entry = wanted(entry, ++calls);
		if (hook == NULL)
			hook = wanted;
	}
	if (entry == NULL)
		return errno == 0 ? 0 : -1;
	memcpy(buffer, entry, entry->d_reclen);
	return entry->d_reclen;
}

static struct dirent *nothing_more(struct dirent *entry, unsigned call)
{
	(void)call;
	return entry;
}

static enum maildir_problem open_with(hook_function *wanted)
{
	enum maildir_problem problem;
	int error_number;

	calls = 0;
	hook = wanted;
	problem = try_open_with(false, false);
	error_number = errno;
	hook = NULL;
	errno = error_number;
	return problem;
}

/* The number of directories that were read to their end. */
static unsigned ends;

static struct dirent *move_between(struct dirent *entry, unsigned call)
{
	(void)call;
	if (entry == NULL && ++ends == 1) {
		move("new/1.a", "cur/1.a:2,");
		move("new/2.b,W=900", "cur/2.b,W=900:2,S");
	}
	return entry;
}

TEST(message_moved_between_the_readings_is_there_once)
{
	put("new/1.a", "a\n");
	put("new/2.b,W=900", "b\n");
	put("new/3.c", "c\n");
	age("cur", 3600, 3600);
	ends = 0;
	assert_int_equal(open_with(move_between), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 3);
	is_uid(1, "1.a");
	is_uid(2, "2.b,W=900");
	assert_int_equal(maildir_totals(&m).octets, 906);
	has_contents(1, "a\n");
	has_contents(2, "b\n");
	has_contents(3, "c\n");
}

static void flag_the_other(void)
{
	move("cur/1.a:2,F", "cur/1.a:2,FS");
}

static void two_files_of_which_one_is_flagged_at_login(int flagged_days, int other_days)
{
	put("cur/1.a:2,", "first\n");
	put("cur/1.a:2,F", "second\n");
	age("cur/1.a:2,", other_days, other_days);
	age("cur/1.a:2,F", flagged_days, flagged_days);
	at_look = flag_the_other;
	assert_int_equal(open_with(nothing_more), MAILDIR_READY);
	assert_null(at_look);
	assert_int_equal(m.snapshot.count, 2);
	is_uid(1, "1.a");
}

TEST(second_that_is_flagged_between_reading_and_looking_is_there)
{
	two_files_of_which_one_is_flagged_at_login(10, 20);
	has_contents(1, "first\n");
	has_contents(2, "second\n");
}

/* The other file must not have its unique-id, not even for one session. */
TEST(oldest_that_is_flagged_between_reading_and_looking_keeps_its_unique_id)
{
	two_files_of_which_one_is_flagged_at_login(20, 10);
	has_contents(1, "second\n");
	has_contents(2, "first\n");
}

static struct dirent *remove_between(struct dirent *entry, unsigned call)
{
	(void)call;
	if (entry == NULL && ++ends == 2) {
		erase("new/1.a");
		move("new/2.b", "cur/2.b:2,S");
	}
	return entry;
}

TEST(message_gone_before_its_size_is_counted_is_not_listed)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("new/3.c", "c\n");
	age("new", 3600, 3600);
	age("cur", 3600, 3600);
	ends = 0;
	assert_int_equal(open_with(remove_between), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 2);
	has_contents(1, "b\n");
	has_contents(2, "c\n");
	assert_int_equal(maildir_totals(&m).messages, 2);
	assert_int_equal(maildir_totals(&m).octets, 6);
}

/* Hides an entry, as can happen in a directory that changes, and changes it. */
static struct dirent *hide_an_entry(struct dirent *entry, unsigned call)
{
	(void)call;
	if (ends > 0 || entry == NULL || strcmp(entry->d_name, "1.a") != 0)
		return entry;
	ends = 1;
	put("new/2.b", "b\n");
	entry->d_name[0] = '.';
	return entry;
}

TEST(directory_that_changes_while_it_is_read_is_read_again)
{
	put("new/1.a", "a\n");
	age("new", 3600, 3600);
	ends = 0;
	assert_int_equal(open_with(hide_an_entry), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 2);
	has_contents(1, "a\n");
	has_contents(2, "b\n");
	/* A name that was read twice is not a second name. */
	assert_int_equal(message(1)->alias_inode, 0);
}

static struct dirent *change_always(struct dirent *entry, unsigned call)
{
	char name[32];

	if (entry != NULL || call > 1000)
		return entry;
	snprintf(name, sizeof name, "new/%u", call);
	put(name, "x\n");
	age("new", 7200 + call, 7200 + call);
	return entry;
}

TEST(directory_that_never_stops_changing_is_read_a_few_times_only)
{
	put("new/1.a", "a\n");
	assert_int_equal(open_with(change_always), MAILDIR_READY);
	assert_in_range(calls, 4, 60);
	assert_in_range(m.snapshot.count, 1, 10);
}

/* Flags change all the time in this directory: each reading misses another entry. */
static struct dirent *hide_one_each_time(struct dirent *entry, unsigned call)
{
	static const char *const hidden[] = {"1.a", "2.b", "3.c"};

	(void)call;
	if (entry == NULL) {
		if (exists("cur/2.b:2,"))
			move("cur/2.b:2,", "cur/2.b:2,S");
		else
			move("cur/2.b:2,S", "cur/2.b:2,");
		age("cur", 7200 + ends, 7200 + ends);
		ends++;
		errno = 0;
	} else if (strncmp(entry->d_name, hidden[ends % COUNT_OF(hidden)], 3) == 0) {
		entry->d_name[0] = '.';
	}
	return entry;
}

TEST(message_that_the_last_reading_misses_is_there_once)
{
	put("cur/1.a:2,", "a\n");
	put("cur/2.b:2,", "b\n");
	put("cur/3.c:2,", "c\n");
	age("cur", 3600, 3600);
	/* new/ is read first, and has an end as well. */
	ends = 0;
	assert_int_equal(open_with(hide_one_each_time), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 3);
	assert_int_equal(maildir_totals(&m).octets, 9);
	assert_false(m.seen[PLACE_CUR].is_final);
	for (size_t i = 1; i <= 3; i++) {
		assert_int_equal(message(i)->alias_inode, 0);
		assert_int_equal(message(i)->inode, 0);
	}
	has_contents(1, "a\n");
	has_contents(2, "b\n");
	has_contents(3, "c\n");
}

static int error_to_give;

static struct dirent *fail_at_the_third(struct dirent *entry, unsigned call)
{
	if (call != 3)
		return entry;
	errno = error_to_give;
	return NULL;
}

TEST(failing_read_is_no_short_list)
{
	static const int errors[] = {EIO, ENOMEM, EBADF};
	const size_t fds = unit_count_fds();

	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	put("cur/3.c:2,", "c\n");
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		error_to_give = errors[i];
		assert_int_equal(open_with(fail_at_the_third), MAILDIR_TEMPORARY);
		assert_int_equal(errno, errors[i]);
		close_box();
		assert_int_equal(unit_count_fds(), fds);
	}
}

/* NFS: the handle of the directory is stale, and the next scan finds it again. */
TEST(stale_directory_is_read_again)
{
	put("new/1.a", "a\n");
	put("new/2.b", "b\n");
	error_to_give = ESTALE;
	assert_int_equal(open_with(fail_at_the_third), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 2);
	is_uid(1, "1.a");
	is_uid(2, "2.b");
}

static struct dirent *fail_always(struct dirent *entry, unsigned call)
{
	(void)entry;
	(void)call;
	errno = error_to_give;
	return NULL;
}

TEST(directory_that_stays_stale_is_no_empty_one)
{
	put("new/1.a", "a\n");
	error_to_give = ESTALE;
	assert_int_equal(open_with(fail_always), MAILDIR_TEMPORARY);
	assert_int_equal(errno, ESTALE);
	assert_in_range(calls, 2, 20);
}

/* A file system that does not report the type of an entry. */
static struct dirent *hide_type(struct dirent *entry, unsigned call)
{
	(void)call;
	if (entry != NULL)
		entry->d_type = DT_UNKNOWN;
	return entry;
}

TEST(only_regular_files_are_messages_where_types_are_unknown)
{
	put("new/1.a", "a\n");
	put_fifo("new/2.fifo");
	assert_int_equal(symlinkat("1.a", box.fd, "new/3.link"), 0);
	assert_int_equal(mkdirat(box.fd, "new/4.directory", 0755), 0);
	assert_int_equal(open_with(hide_type), MAILDIR_READY);
	assert_int_equal(m.snapshot.count, 1);
	is_uid(1, "1.a");
}

/* The look at an entry that fails, counted from 1; 0: none. */
static unsigned failing_look, looks;

int fstatat(int directory_fd, const char *restrict name, struct stat *restrict st, int flags)
{
	static int (*real)(int, const char *, struct stat *, int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fstatat");
	if (failing_look != 0 && ++looks == failing_look) {
		errno = ESTALE;
		return -1;
	}
	return real(directory_fd, name, st, flags);
}

TEST(look_that_fails_where_types_are_unknown_hides_no_message)
{
	put("new/1.a", "a\n");
	put("new/2.b,W=3", "b\n");
	put("cur/3.c,W=3:2,", "c\n");
	for (unsigned look = 1; look <= 4; look++) {
		failing_look = look;
		looks = 0;
		assert_int_equal(open_with(hide_type), MAILDIR_READY);
		failing_look = 0;
		assert_int_equal(m.snapshot.count, 3);
	}
}

static struct dirent *move_away_each_time(struct dirent *entry, unsigned call)
{
	static const char *const names[] = {"cur/1.a:2,", "cur/1.a:2,S"};

	(void)call;
	if (entry == NULL) {
		move(names[ends % 2], names[(ends + 1) % 2]);
		ends++;
	}
	return entry;
}

TEST(message_that_never_stays_is_looked_for_a_few_times_only)
{
	put("new/1.a", "a\n");
	open_box();
	move("new/1.a", "cur/1.a:2,");
	ends = calls = 0;
	hook = move_away_each_time;
	/* it is there all the time: nobody may say that it is gone */
	has_problem(1, ESTALE);
	hook = NULL;
	assert_in_range(ends, 2, 40);
}

/* The flags change, and change back, while the session looks for the message. */
static struct dirent *move_back(struct dirent *entry, unsigned call)
{
	(void)call;
	if (entry == NULL && exists("cur/1.a:2,S"))
		move("cur/1.a:2,S", "cur/1.a:2,");
	errno = 0;
	return entry;
}

TEST(message_that_has_its_name_again_is_found)
{
	put("cur/1.a:2,", "a\n");
	open_box();
	move("cur/1.a:2,", "cur/1.a:2,S");
	hook = move_back;
	has_contents(1, "a\n");
	hook = NULL;
	assert_exists("cur/1.a:2,");
}

TEST(message_that_has_its_name_again_is_removed)
{
	put("cur/1.a:2,", "a\n");
	open_box();
	assert_true(maildir_delete(&m, 0));
	move("cur/1.a:2,", "cur/1.a:2,S");
	hook = move_back;
	assert_int_equal(maildir_update(&m).removed, 1);
	hook = NULL;
	assert_gone("cur/1.a:2,");
	assert_gone("cur/1.a:2,S");
}

TEST(message_that_never_stays_is_not_called_removed)
{
	struct maildir_update update;

	put("new/1.a", "a\n");
	open_box();
	assert_true(maildir_delete(&m, 0));
	move("new/1.a", "cur/1.a:2,");
	ends = calls = 0;
	hook = move_away_each_time;
	update = maildir_update(&m);
	hook = NULL;
	assert_int_equal(update.removed, 0);
	assert_int_equal(update.not_removed, 1);
	assert_int_equal(update.error_number, ENOENT);
	assert_in_range(ends, 2, 40);
}

/* With real other programs: each message moves from new/ to cur/ at some moment. */
TEST(no_message_is_missed_while_all_are_moved)
{
	enum { MESSAGES = 200 };
	char from[32], to[32];

	hook = nothing_more;
	for (int round = 0; round < 5; round++) {
		pid_t pid;

		for (int i = 0; i < MESSAGES; i++) {
			snprintf(from, sizeof from, "new/%d.x,W=%d", i, i);
			put(from, "");
		}
		pid = fork();
		if (pid == 0) {
			for (int i = 0; i < MESSAGES; i++) {
				snprintf(from, sizeof from, "new/%d.x,W=%d", i, i);
				snprintf(to, sizeof to, "cur/%d.x,W=%d:2,", i, i);
				if (renameat(box.fd, from, box.fd, to) != 0)
					_exit(1);
			}
			_exit(0);
		}
		for (int i = 0; i < 6; i++) {
			open_box();
			assert_int_equal(m.snapshot.count, MESSAGES);
			assert_int_equal(
				maildir_totals(&m).octets, MESSAGES * (MESSAGES - 1) / 2);
			for (size_t n = 1; n <= MESSAGES; n++)
				assert_int_equal(uid_delivery_time(message(n)->name,
							 message(n)->unique_octets)
							 .seconds,
					n - 1);
		}
		assert_int_equal(unit_await(pid), 0);
		close_box();
		for (int i = 0; i < MESSAGES; i++) {
			snprintf(to, sizeof to, "cur/%d.x,W=%d:2,", i, i);
			erase(to);
		}
	}
	hook = NULL;
}

static const struct CMUnitTest tests[] = {
	MAILDIR_TEST(message_moved_between_the_readings_is_there_once),
	MAILDIR_TEST(second_that_is_flagged_between_reading_and_looking_is_there),
	MAILDIR_TEST(oldest_that_is_flagged_between_reading_and_looking_keeps_its_unique_id),
	MAILDIR_TEST(message_gone_before_its_size_is_counted_is_not_listed),
	MAILDIR_TEST(directory_that_changes_while_it_is_read_is_read_again),
	MAILDIR_TEST(directory_that_never_stops_changing_is_read_a_few_times_only),
	MAILDIR_TEST(failing_read_is_no_short_list),
	MAILDIR_TEST(stale_directory_is_read_again),
	MAILDIR_TEST(directory_that_stays_stale_is_no_empty_one),
	MAILDIR_TEST(only_regular_files_are_messages_where_types_are_unknown),
	MAILDIR_TEST(look_that_fails_where_types_are_unknown_hides_no_message),
	MAILDIR_TEST(message_that_the_last_reading_misses_is_there_once),
	MAILDIR_TEST(message_that_has_its_name_again_is_found),
	MAILDIR_TEST(message_that_has_its_name_again_is_removed),
	MAILDIR_TEST(message_that_never_stays_is_not_called_removed),
	MAILDIR_TEST(message_that_never_stays_is_looked_for_a_few_times_only),
	MAILDIR_TEST(no_message_is_missed_while_all_are_moved),
};

int main(void)
{
	return UNIT_RUN("maildir_races", tests);
}
