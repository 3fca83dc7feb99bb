/* capa: the capability list (RFC 2449) is the same before login and after, and always true. */
#include "tests/unit/unit.h"

#include "pop3/capa.h"

#define BIT(mechanism) (1U << (mechanism))
#define PASSWORDS (BIT(MECHANISM_USER) | BIT(MECHANISM_PLAIN) | BIT(MECHANISM_LOGIN))

static char before[1024], after[1024];

/* The list as one terminated text. */
static void list_all(const struct capa *capa, char *text)
{
	static struct wire w;
	const int in = open("/dev/null", O_RDONLY), out = memfd_create("out", MFD_CLOEXEC);
	ssize_t length;

	wire_open(&w, in, out, WIRE_AHEAD, 20000);
	capa_reply(&w, capa);
	assert_true(wire_flush(&w));
	length = pread(out, text, 1023, 0);
	assert_true(length > 0);
	text[length] = '\0';
	close(in);
	close(out);
}

static void list(enum capa_state state, mechanism_set offered, char *text)
{
	const struct capa capa = {.state = state, .offered = offered};

	list_all(&capa, text);
}

static bool has_line(const char *text, const char *capability)
{
	char line[128];

	snprintf(line, sizeof line, "\r\n%s\r\n", capability);
	return strstr(text, line) != NULL;
}

TEST(list_is_a_multi_line_reply)
{
	list(CAPA_AUTHORIZATION, PASSWORDS, before);
	list(CAPA_TRANSACTION, PASSWORDS, after);
	assert_int_equal(strncmp(before, "+OK capability list follows\r\n", 29), 0);
	assert_int_equal(strncmp(after, "+OK capability list follows\r\n", 29), 0);
	assert_string_equal(before + strlen(before) - 5, "\r\n.\r\n");
	assert_string_equal(after + strlen(after) - 5, "\r\n.\r\n");
	assert_ptr_equal(strstr(before, "\r\n.\r\n"), before + strlen(before) - 5);
}

TEST(what_is_announced_is_there)
{
	static const char *const capabilities[] = {"TOP", "UIDL", "USER", "RESP-CODES",
		"AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LANG", "SASL PLAIN LOGIN"};

	list(CAPA_AUTHORIZATION, PASSWORDS, before);
	for (size_t i = 0; i < COUNT_OF(capabilities); i++)
		if (!has_line(before, capabilities[i]))
			fail_msg("no %s in %s", capabilities[i], before);
	assert_null(strstr(before, "STLS"));
	assert_null(strstr(before, "LOGIN-DELAY"));
}

/* Evolution 3.46 sends UTF8 without a line end where it is listed, and waits. */
TEST(utf8_is_announced_only_when_asked_for)
{
	struct capa capa = {CAPA_AUTHORIZATION, PASSWORDS, false};

	for (capa.state = CAPA_AUTHORIZATION; capa.state <= CAPA_TRANSACTION; capa.state++) {
		capa.utf8 = false;
		list_all(&capa, before);
		assert_null(strstr(before, "UTF8"));
		capa.utf8 = true;
		list_all(&capa, before);
		assert_true(has_line(before, "UTF8 USER"));
	}
}

TEST(list_after_login_is_the_same_and_the_name_of_the_program)
{
	static const char name[] = "IMPLEMENTATION pop3d " VERSION;
	char *at;

	list(CAPA_AUTHORIZATION, PASSWORDS, before);
	list(CAPA_TRANSACTION, PASSWORDS, after);
	assert_false(has_line(before, name));
	assert_null(strstr(before, "pop3d"));
	assert_true(has_line(after, name));
	at = strstr(after, name);
	memmove(at, at + sizeof name + 1, strlen(at + sizeof name + 1) + 1);
	assert_string_equal(before, after);
}

TEST(what_is_not_offered_is_not_announced)
{
	list(CAPA_AUTHORIZATION, BIT(MECHANISM_APOP), before);
	assert_false(has_line(before, "USER"));
	assert_null(strstr(before, "SASL"));
	assert_null(strstr(before, "APOP"));
	assert_true(has_line(before, "UIDL"));
	list(CAPA_TRANSACTION, 0, after);
	assert_false(has_line(after, "USER"));
	assert_null(strstr(after, "SASL"));
}

TEST(sasl_mechanisms_are_listed_before_and_after_login)
{
	static const char line[] = "SASL PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER";
	const mechanism_set all = BIT(MECHANISM_COUNT) - 1;

	list(CAPA_AUTHORIZATION, all, before);
	assert_true(has_line(before, line));
	list(CAPA_TRANSACTION, all, after);
	assert_true(has_line(after, line));
	list(CAPA_AUTHORIZATION, BIT(MECHANISM_CRAM_MD5), before);
	assert_true(has_line(before, "SASL CRAM-MD5"));
}

/* RFC 2595 section 4: STLS only while it is permitted. */
TEST(stls_is_announced_before_login_only)
{
	list(CAPA_AUTHORIZATION, BIT(MECHANISM_STLS), before);
	assert_true(has_line(before, "STLS"));
	list(CAPA_TRANSACTION, BIT(MECHANISM_STLS), after);
	assert_false(has_line(after, "STLS"));
}

TEST(each_line_has_at_most_512_octets)
{
	list(CAPA_TRANSACTION, PASSWORDS, after);
	for (const char *at = after; *at != '\0'; at = strchr(at, '\n') + 1)
		assert_in_range(strchr(at, '\n') - at, 1, 511);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(list_is_a_multi_line_reply),
	cmocka_unit_test(what_is_announced_is_there),
	cmocka_unit_test(utf8_is_announced_only_when_asked_for),
	cmocka_unit_test(list_after_login_is_the_same_and_the_name_of_the_program),
	cmocka_unit_test(what_is_not_offered_is_not_announced),
	cmocka_unit_test(sasl_mechanisms_are_listed_before_and_after_login),
	cmocka_unit_test(stls_is_announced_before_login_only),
	cmocka_unit_test(each_line_has_at_most_512_octets),
};

int main(void)
{
	return UNIT_RUN("capa", tests);
}
