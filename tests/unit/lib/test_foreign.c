/* Tests of foreign: what other servers' names, lists and headers say. */
#include "tests/unit/unit.h"

#include "lib/foreign.h"

static struct foreign parsed(const char *text)
{
	struct foreign f;

	assert_true(foreign_parse(&f, text));
	return f;
}

static void has_name_uid(const char *kind, const char *name, const char *expected)
{
	const struct foreign f = parsed(kind);
	char uid[FOREIGN_UID_OCTETS];
	const size_t octets = foreign_of_name(&f, uid, name, strlen(name));

	assert_text(expected, uid, octets);
}

TEST(foreign_kinds)
{
	static const char *const good[] = {"courier", "dovecot", "dovecot:%v.%u", "dovecot:%f",
		"dovecot:%{uid | hex(8)}%{uidvalidity | hex(8)}", "mailfront", "mailutils",
		"qmail", "solid-pop3d", "tpop3d"};
	static const char *const bad[] = {"", ":", "cyrus", "Dovecot", "qmail:", "qmail:%u",
		"courier:%u", "dovecot:", "dovecot:x", "dovecot:%", "dovecot:%m", "dovecot:%u%",
		"dovecot:%{uid", "dovecot:%{uid | rot13}", "dovecot:%08f", "dovecot:%{md5}"};
	char written[FOREIGN_KIND_OCTETS + 1], text[FOREIGN_KIND_OCTETS + 2] = "dovecot:%u";
	struct foreign f;

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(foreign_parse(&f, good[i]));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(foreign_parse(&f, bad[i]));
	memset(text + 10, 'x', FOREIGN_KIND_OCTETS - 10);
	assert_true(foreign_parse(&f, text));
	foreign_write(&f, written);
	assert_string_equal(written, text);
	text[FOREIGN_KIND_OCTETS] = 'x';
	assert_false(foreign_parse(&f, text));
	foreign_write(&(struct foreign){parsed("dovecot").server, "%u"}, written);
	assert_string_equal(written, "dovecot:%u");
}

/* As mailfront 2.12 sent them. */
TEST(mailfront_cuts_before_a_field_of_one_letter)
{
	static const char ls[] = "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllll";
	char name[100], expected[71];

	has_name_uid("mailfront", "1700000001.M1P1.host", "1700000001.M1P1.host");
	has_name_uid("mailfront", "1700000002.M2P2.host,S=20", "1700000002.M2P2.host");
	has_name_uid("mailfront", "1700000003.M3P3.host,S=20,W=22", "1700000003.M3P3.host");
	has_name_uid("mailfront", "1700000007.M7 blank.host", "1700000007.M7 blank.host");
	has_name_uid("mailfront", "1700000008.M8,odd.host", "1700000008.M8,odd.host");
	has_name_uid("mailfront", "1700000010.M1,odd,S=20", "1700000010.M1,odd,S=20");
	has_name_uid("mailfront", "1700000011.M1,SS=20,S=20", "1700000011.M1,SS=20,S=20");
	snprintf(name, sizeof name, "1700000004.M4P4.%s,S=20", ls);
	memcpy(expected, name, 70);
	expected[70] = '\0';
	has_name_uid("mailfront", name, expected);
}

TEST(qmail_sends_the_whole_name)
{
	char name[FOREIGN_UID_OCTETS + 1];

	memset(name, 'n', sizeof name);
	name[FOREIGN_UID_OCTETS] = '\0';
	has_name_uid("qmail", name, name);
	has_name_uid("qmail", "1700000009.M9\xe9.host,S=20", "1700000009.M9\xe9.host,S=20");
	has_name_uid("qmail", "with\rcontrol", "");
	has_name_uid("qmail", "with\x7f", "");
}

/* As solid-pop3d 0.15 sent them. */
TEST(solid_pop3d_sends_a_digest)
{
	has_name_uid("solid-pop3d", "1700000001.M1P1.host", "eb6321585bfba6c4a564dcacae365d5c");
	has_name_uid("tpop3d", "1700000002.M2P2.host,S=20", "af0613d4d668fc4ce5a893e4ef0ec1d7");
}

/* Reads the lines of a list in turn. */
static struct foreign list_kind;
static struct foreign_list list;
static struct foreign_record record;

static enum foreign_line take(const char *line)
{
	return foreign_take_line(&list, line, strlen(line), &record);
}

static void start(const char *kind)
{
	list_kind = parsed(kind);
	list = (struct foreign_list){.kind = &list_kind};
}

static void says(const char *line, const char *name, const char *uid)
{
	assert_int_equal(take(line), FOREIGN_RECORD);
	assert_text(name, record.name, record.name_octets);
	assert_text(uid, record.uid, record.uid_octets);
}

/* As dovecot 2.3.19 wrote and sent them. */
TEST(dovecot_uidlist_of_version_3)
{
	start("dovecot");
	assert_int_equal(
		take("3 V1795704872 N12 Gcac9583b2848086bc213000083ecc375"), FOREIGN_HEAD);
	says("1 W22 :1700000001.M1P1.host", "1700000001.M1P1.host", "000000016b084828");
	says("10 W22 :1700000010.M1,odd,S=19:2,S", "1700000010.M1,odd,S=19:2,S",
		"0000000a6b084828");
	says("11 :with blank", "with blank", "0000000b6b084828");
	says("12 Psaved W22 :name", "name", "saved");
	says("13 P W22 :name,S=3:2,", "name,S=3:2,", "name,S=3");
	says("14 PUID7-1234 O7 :name", "name", "UID7-1234");
	assert_int_equal(take("15 W22"), FOREIGN_WRONG);
	assert_int_equal(take("15 W22 :"), FOREIGN_WRONG);
	assert_int_equal(take("x :name"), FOREIGN_WRONG);
	assert_int_equal(take("0 :name"), FOREIGN_WRONG);
	assert_int_equal(take("4294967296 :name"), FOREIGN_WRONG);
	assert_int_equal(take(""), FOREIGN_WRONG);
	assert_int_equal(take("16 P\x01 :name"), FOREIGN_NOTHING);
}

TEST(dovecot_uidlist_of_version_1)
{
	start("dovecot");
	assert_int_equal(take("1 1795704872 12"), FOREIGN_HEAD);
	says("2 1700000001.M1P1.host", "1700000001.M1P1.host", "000000026b084828");
}

TEST(dovecot_uidlist_of_no_known_version)
{
	static const char *const heads[] = {"", "2 V1 N1", "4 V1 N1", "3 N12", "3 V0 N1",
		"3 Vx N1", "1 x 1", "/3 10 1", "x"};

	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		start("dovecot");
		assert_int_equal(take(heads[i]), FOREIGN_WRONG);
		assert_int_equal(list.version, 0);
	}
}

static void formats(const char *format, const char *expected)
{
	char kind[FOREIGN_KIND_OCTETS + 1];

	snprintf(kind, sizeof kind, "dovecot:%s", format);
	start(kind);
	assert_int_equal(take("3 V1795704872 N12 G0"), FOREIGN_HEAD);
	says("26 Gabc W22 :Name,S=19:2,S", "Name,S=19:2,S", expected);
}

TEST(dovecot_formats)
{
	formats("%08Xu%08Xv", "0000001a6b084828");
	formats("%08Xv%08Xu", "6b0848280000001a");
	formats("%v.%u", "1795704872.26");
	formats("%u", "26");
	formats("%Xu", "1a");
	formats("%UXu", "1A");
	formats("%f", "Name,S=19");
	formats("%Lf", "name,s=19");
	formats("%Mf", "01dfe0edea7f5966b13700036f759fdf");
	formats("%g", "abc");
	formats("a%%b%u", "a%b26");
	formats("%{uid}-%{uidvalidity}", "26-1795704872");
	formats("%{uid | hex(8)}%{uidvalidity | hex(8)}", "0000001a6b084828");
	formats("%{filename}", "Name,S=19");
	formats("%{guid | upper}", "ABC");
}

TEST(dovecot_without_guid_sends_the_name)
{
	start("dovecot:%g");
	assert_int_equal(take("3 V1 N12 G0"), FOREIGN_HEAD);
	says("26 :Name:2,S", "Name:2,S", "Name");
}

/* As courier-pop 1.0.16 wrote and sent them. */
TEST(courier_sizelist)
{
	char line[300];

	start("courier");
	assert_int_equal(take("/3 10 1795704816"), FOREIGN_HEAD);
	says("1700000001.M1P1.host:2, 39 1:1795704816:0", "1700000001.M1P1.host:2,",
		"UID1-1795704816");
	says("1700000007.M7 blank.host:2, 43 7:1795704816:0", "1700000007.M7 blank.host:2,",
		"UID7-1795704816");
	says("name 43 7:0:0", "name", "UID7");
	says("na+me,S=3:2,S 43 0:1:0", "na+me,S=3:2,S", "na+2Bme+2CS=3");
	assert_int_equal(take(":2,S 43 0:1:0"), FOREIGN_NOTHING);
	memset(line, '+', 250);
	strcpy(line + 250, " 43 0:1:0");
	assert_int_equal(take(line), FOREIGN_NOTHING);
	assert_int_equal(take("name 43"), FOREIGN_WRONG);
	assert_int_equal(take("name 43 7"), FOREIGN_WRONG);
	assert_int_equal(take("name x 7:1:0"), FOREIGN_WRONG);
	assert_int_equal(take(" 43 7:1:0"), FOREIGN_WRONG);
	assert_int_equal(take("43 7:1:0"), FOREIGN_WRONG);
	assert_int_equal(take("name 43 x:1:0"), FOREIGN_WRONG);
	assert_int_equal(take("name 43 7:x:0"), FOREIGN_WRONG);
	assert_int_equal(take(""), FOREIGN_WRONG);
}

TEST(courier_sizelist_of_version_2)
{
	start("courier");
	assert_int_equal(take("/2 10 1795704816"), FOREIGN_HEAD);
	says("name:2,S 39 3:1795704816", "name:2,S", "UID3-1795704816");
	start("courier");
	assert_int_equal(take("/4 10 1795704816"), FOREIGN_WRONG);
}

static void header_says(const char *octets, const char *expected)
{
	/* in pieces of every length */
	for (size_t step = 1; step <= strlen(octets); step++) {
		struct foreign_field field = FOREIGN_FIELD_START;
		bool wanted = true;

		for (size_t at = 0; at < strlen(octets) && wanted; at += step) {
			const size_t left = strlen(octets) - at;

			wanted = foreign_take_header(
				&field, octets + at, left < step ? left : step);
		}
		assert_text(expected, field.line, field.uid_octets);
	}
}

TEST(mailutils_saves_a_header_field)
{
	header_says(
		"Subject: x\nX-UIDL: 5127bee2.1795704857.3\n\ntext\n", "5127bee2.1795704857.3");
	header_says("x-uidl:\t abc \r\n\r\n", "abc");
	header_says("X-UIDL: first\nX-UIDL: second\n\n", "first");
	header_says("Subject: x\n\nX-UIDL: in the body\n", "");
	header_says("Subject: x\r\n\r\nX-UIDL: no\r\n", "");
	header_says("X-UIDL: two words\n\n", "");
	header_says("X-UIDL: \xe9\n\n", "");
	header_says("X-UIDL:\n\n", "");
	header_says("X-UIDL: not ended", "");
	header_says("X-UIDL: "
		    "1234567890123456789012345678901234567890123456789012345678901234567890\n",
		"1234567890123456789012345678901234567890123456789012345678901234567890");
	header_says("X-UIDL: "
		    "12345678901234567890123456789012345678901234567890123456789012345678901\n",
		"");
	header_says("Long: 12345678901234567890123456789012345678901234567890123456789012345678"
		    "9012345678901234567890123456789012345678901234567890\nX-UIDL: abc\n",
		"abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_kinds),
		cmocka_unit_test(mailfront_cuts_before_a_field_of_one_letter),
		cmocka_unit_test(qmail_sends_the_whole_name),
		cmocka_unit_test(solid_pop3d_sends_a_digest),
		cmocka_unit_test(dovecot_uidlist_of_version_3),
		cmocka_unit_test(dovecot_uidlist_of_version_1),
		cmocka_unit_test(dovecot_uidlist_of_no_known_version),
		cmocka_unit_test(dovecot_formats),
		cmocka_unit_test(dovecot_without_guid_sends_the_name),
		cmocka_unit_test(courier_sizelist),
		cmocka_unit_test(courier_sizelist_of_version_2),
		cmocka_unit_test(mailutils_saves_a_header_field),
	};

	return UNIT_RUN("foreign", tests);
}
