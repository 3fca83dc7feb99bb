/* snapshot: order, numbers and names of the messages (RFC 1939 section 5, doc/MAILDIR). */
#include "tests/unit/unit.h"

#include "maildir/snapshot.h"

static struct snapshot s;

static void add(enum place place, const char *name)
{
	assert_true(snapshot_add(&s, place, name, strlen(name)));
}

static void is_message(size_t number, enum place place, const char *name)
{
	assert_in_range(number, 1, s.count);
	assert_string_equal(s.entries[number - 1].name, name);
	assert_int_equal(s.entries[number - 1].name_octets, strlen(name));
	assert_int_equal(s.entries[number - 1].place, place);
}

static int setup(void **state)
{
	(void)state;
	snapshot_init(&s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snapshot_free(&s);
	return 0;
}

TEST(order_is_seconds_then_microseconds_then_name)
{
	static const char *const sorted[] = {
		"0.M0.a",
		"abc",
		"msg.7", /* Without a time, the time is zero. */
		"0.M1.a",
		"9.M5.z",
		"9.M10.a",
		"10.M1.b",
		"10.M2.a",
		"10.M2.a,S=3",
		"10.M2.aa",
		"10.M2.b",
		"010.M3.a",
		"4294967297.M0.a",
	};
	const size_t count = COUNT_OF(sorted);
	uint64_t random = 1;

	for (int round = 0; round < 50; round++) {
		size_t order[COUNT_OF(sorted)];

		for (size_t i = 0; i < count; i++)
			order[i] = i;
		for (size_t i = count; i > 1; i--) {
			const size_t with = unit_random(&random) % i;
			const size_t kept = order[i - 1];

			order[i - 1] = order[with];
			order[with] = kept;
		}
		for (size_t i = 0; i < count; i++)
			add(unit_random(&random) % 2 == 0 ? PLACE_NEW : PLACE_CUR,
				sorted[order[i]]);
		assert_true(snapshot_sort(&s));
		assert_int_equal(s.count, count);
		for (size_t i = 0; i < count; i++)
			assert_string_equal(s.entries[i].name, sorted[i]);
		snapshot_truncate(&s, 0);
	}
}

TEST(octets_above_7f_sort_last)
{
	add(PLACE_NEW, "\xff");
	add(PLACE_NEW, "a");
	add(PLACE_NEW, "\x80");
	assert_true(snapshot_sort(&s));
	is_message(1, PLACE_NEW, "a");
	is_message(2, PLACE_NEW, "\x80");
	is_message(3, PLACE_NEW, "\xff");
}

/* Neither the flags nor the directory of a message can change its number. */
TEST(flags_and_place_do_not_change_the_order)
{
	add(PLACE_CUR, "5.M1.b:2,");
	add(PLACE_NEW, "5.M1.c");
	add(PLACE_CUR, "5.M1.a:2,S");
	add(PLACE_NEW, "5.M1.aa");
	assert_true(snapshot_sort(&s));
	is_message(1, PLACE_CUR, "5.M1.a:2,S");
	is_message(2, PLACE_NEW, "5.M1.aa");
	is_message(3, PLACE_CUR, "5.M1.b:2,");
	is_message(4, PLACE_NEW, "5.M1.c");
}

TEST(files_of_one_unique_name_stand_together_cur_first)
{
	add(PLACE_NEW, "5.a");
	add(PLACE_CUR, "5.a:2,S");
	add(PLACE_NEW, "5.aa");
	add(PLACE_CUR, "5.a:2,F");
	add(PLACE_NEW, "5.a:2,A");
	assert_true(snapshot_sort(&s));
	is_message(1, PLACE_CUR, "5.a:2,F");
	is_message(2, PLACE_CUR, "5.a:2,S");
	is_message(3, PLACE_NEW, "5.a");
	is_message(4, PLACE_NEW, "5.a:2,A");
	is_message(5, PLACE_NEW, "5.aa");
	assert_true(snapshot_same_unique(&s.entries[0], &s.entries[3]));
	assert_false(snapshot_same_unique(&s.entries[3], &s.entries[4]));
	assert_false(snapshot_same_unique(&s.entries[4], &s.entries[3]));
}

static void finds(const char *name, const struct entry *first, size_t count)
{
	const struct entries found = snapshot_find(&s, name, strlen(name));

	assert_ptr_equal(found.first, first);
	assert_int_equal(found.count, count);
}

TEST(find_gives_all_files_of_a_unique_name)
{
	finds("5.a", NULL, 0);
	add(PLACE_NEW, "5.a");
	add(PLACE_CUR, "5.b:2,");
	add(PLACE_NEW, "5.b");
	add(PLACE_NEW, "5.c:2,");
	assert_true(snapshot_sort(&s));
	finds("5.a:2,RS", &s.entries[0], 1);
	finds("5.b:1,x", &s.entries[1], 2);
	finds("5.c", &s.entries[3], 1);
	finds("5.", NULL, 0);
	finds("5.aa", NULL, 0);
	finds("4.a", NULL, 0);
	finds("6.a", NULL, 0);
	finds("", NULL, 0);
}

TEST(names_of_1_and_255_octets_are_kept)
{
	char name[UID_NAME_OCTETS + 1];

	memset(name, 'n', UID_NAME_OCTETS);
	name[UID_NAME_OCTETS] = '\0';
	add(PLACE_NEW, name);
	add(PLACE_NEW, "a");
	assert_true(snapshot_sort(&s));
	is_message(1, PLACE_NEW, "a");
	is_message(2, PLACE_NEW, name);
	assert_int_equal(s.entries[1].unique_octets, UID_NAME_OCTETS);
}

TEST(new_message_has_no_marks)
{
	add(PLACE_CUR, "5.M6.a:2,S");
	assert_int_equal(s.entries[0].unique_octets, 6);
	assert_int_equal(s.entries[0].order, 5 << 20 | 6);
	for (int mark = 0; mark < MARK_COUNT; mark++)
		assert_false(snapshot_marked(&s, (enum mark)mark, 0));
	assert_int_equal(s.entries[0].flags, 0);
	assert_int_equal(s.entries[0].twin, 0);
	assert_int_equal(s.entries[0].size_octets, 0);
}

TEST(rename_keeps_all_but_name_and_place)
{
	add(PLACE_NEW, "5.M1.a");
	add(PLACE_NEW, "5.M1.b");
	assert_true(snapshot_mark(&s, MARK_DELETED, 0));
	s.entries[0].size_octets = 12;
	assert_true(snapshot_rename(&s, &s.entries[0], PLACE_CUR, "5.M1.a:2,FS", 11));
	is_message(1, PLACE_CUR, "5.M1.a:2,FS");
	is_message(2, PLACE_NEW, "5.M1.b");
	assert_int_equal(s.entries[0].unique_octets, 6);
	assert_true(snapshot_marked(&s, MARK_DELETED, 0));
	assert_false(snapshot_marked(&s, MARK_DELETED, 1));
	assert_int_equal(s.entries[0].size_octets, 12);
}

TEST(truncate_forgets_the_last_and_never_adds)
{
	add(PLACE_NEW, "1.a");
	add(PLACE_NEW, "2.a");
	add(PLACE_NEW, "3.a");
	snapshot_truncate(&s, 5);
	assert_int_equal(s.count, 3);
	snapshot_truncate(&s, 1);
	assert_int_equal(s.count, 1);
	add(PLACE_CUR, "4.a");
	is_message(1, PLACE_NEW, "1.a");
	is_message(2, PLACE_CUR, "4.a");
}

TEST(remove_forgets_those_of_a_range)
{
	add(PLACE_NEW, "1.a");
	add(PLACE_NEW, "2.a");
	add(PLACE_NEW, "3.a");
	add(PLACE_CUR, "4.a");
	snapshot_remove(&s, 2, 2);
	assert_int_equal(s.count, 4);
	snapshot_remove(&s, 1, 3);
	assert_int_equal(s.count, 2);
	is_message(1, PLACE_NEW, "1.a");
	is_message(2, PLACE_CUR, "4.a");
	snapshot_remove(&s, 0, 2);
	assert_int_equal(s.count, 0);
}

TEST(compact_removes_what_is_dropped_and_nothing_else)
{
	char name[16];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "%d.a", i);
		add(PLACE_NEW, name);
		if (i == 0 || i == 4 || i == 5 || i == 9)
			s.entries[i].flags |= ENTRY_DROPPED;
	}
	snapshot_compact(&s);
	assert_int_equal(s.count, 6);
	is_message(1, PLACE_NEW, "1.a");
	is_message(3, PLACE_NEW, "3.a");
	is_message(4, PLACE_NEW, "6.a");
	is_message(6, PLACE_NEW, "8.a");
}

TEST(hundred_thousand_messages_keep_order_and_names)
{
	enum { MESSAGES = 100000 };
	char name[64];
	uint64_t random = 5;

	for (int i = 0; i < MESSAGES; i++) {
		/* 99991 is a prime, so every number comes once, in no order. */
		const int octets = snprintf(name, sizeof name, "%d.M%dP1.host.example,W=%d:2,S",
			1000000 + (int)((int64_t)i * 99991 % MESSAGES) / 10,
			(int)((int64_t)i * 99991 % MESSAGES) % 10, i);

		assert_true(
			snapshot_add(&s, unit_random(&random) % 2 == 0 ? PLACE_NEW : PLACE_CUR,
				name, (size_t)octets));
	}
	assert_true(snapshot_sort(&s));
	assert_int_equal(s.count, MESSAGES);
	for (int i = 0; i < MESSAGES; i++) {
		struct entry *const m = &s.entries[i];

		assert_int_equal(
			m->order, (1000000 + (uint64_t)i / 10) << 20 | (uint64_t)i % 10);
		finds(m->name, m, 1);
	}
}

/* The number of the entry at this place: as directories return them. */
static size_t number_at(size_t at, size_t count, unsigned manner, uint64_t *random)
{
	const size_t block = 18, last = count - 1;

	switch (manner) {
	case 0: return at;
	case 1: return last - at;       /* latest first */
	case 2: return at ^ 1;          /* nearly in order */
	case 3: return last - (at ^ 1); /* nearly reversed */
	case 4: return at < count / 2 ? count / 2 - 1 - at : last + count / 2 - at;
	case 5: return at / block * block + (at % block + 1) % block; /* back by 17 places */
	case 6: return at == last ? 0 : at + 1;                       /* the first is last */
	default: return (size_t)unit_random(random) % count;          /* with doubles */
	}
}

TEST(every_order_of_a_directory_is_sorted)
{
	static const size_t counts[] = {1, 2, 16, 17, 18, 64, 65, 66, 72, 90, 198, 1008};
	uint64_t random = 7;

	for (size_t i = 0; i < 8 * COUNT_OF(counts); i++) {
		const size_t count = counts[i / 8];
		uint64_t sum = 0;

		for (size_t at = 0; at < count; at++) {
			char name[32];
			const size_t number = number_at(at, count, (unsigned)(i % 8), &random);

			snprintf(name, sizeof name, "%zu.P1.a", 1000 + number);
			add(PLACE_CUR, name);
			sum += number;
		}
		assert_true(snapshot_sort(&s));
		assert_int_equal(s.count, count);
		for (size_t at = 0; at < count; at++) {
			sum -= (s.entries[at].order >> 20) - 1000;
			assert_true(at == 0 || s.entries[at - 1].order <= s.entries[at].order);
		}
		assert_int_equal(sum, 0);
		snapshot_free(&s);
	}
}

TEST(free_leaves_a_snapshot_that_can_be_used)
{
	add(PLACE_NEW, "1.a");
	snapshot_free(&s);
	assert_int_equal(s.count, 0);
	snapshot_free(&s);
	add(PLACE_NEW, "2.a");
	is_message(1, PLACE_NEW, "2.a");
	assert_true(snapshot_sort(&s));
	snapshot_compact(&s);
	assert_int_equal(s.count, 1);
}

#define WITH_SNAPSHOT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static const struct CMUnitTest tests[] = {
	WITH_SNAPSHOT(order_is_seconds_then_microseconds_then_name),
	WITH_SNAPSHOT(octets_above_7f_sort_last),
	WITH_SNAPSHOT(flags_and_place_do_not_change_the_order),
	WITH_SNAPSHOT(files_of_one_unique_name_stand_together_cur_first),
	WITH_SNAPSHOT(find_gives_all_files_of_a_unique_name),
	WITH_SNAPSHOT(names_of_1_and_255_octets_are_kept),
	WITH_SNAPSHOT(new_message_has_no_marks),
	WITH_SNAPSHOT(rename_keeps_all_but_name_and_place),
	WITH_SNAPSHOT(truncate_forgets_the_last_and_never_adds),
	WITH_SNAPSHOT(remove_forgets_those_of_a_range),
	WITH_SNAPSHOT(compact_removes_what_is_dropped_and_nothing_else),
	WITH_SNAPSHOT(hundred_thousand_messages_keep_order_and_names),
	WITH_SNAPSHOT(every_order_of_a_directory_is_sorted),
	WITH_SNAPSHOT(free_leaves_a_snapshot_that_can_be_used),
};

int main(void)
{
	return UNIT_RUN("snapshot", tests);
}
