/* refusals: which credentials were already refused on a connection. */
#include "tests/unit/unit.h"

#include "auth/refusals.h"

static struct request request_of(enum mechanism kind, const char *login, const char *password)
{
	static struct request r;
	const size_t login_octets = strlen(login), password_octets = strlen(password);

	memset(&r, 0, sizeof r);
	r.kind = (uint16_t)kind;
	r.login_octets = (uint16_t)login_octets;
	r.password_octets = (uint16_t)password_octets;
	memcpy(r.octets, login, login_octets);
	memcpy(r.octets + login_octets, password, password_octets);
	return r;
}

static void add(
	struct refusals *r, enum mechanism kind, const char *login, const char *password)
{
	const struct request request = request_of(kind, login, password);

	refusals_add(r, &request);
}

static bool have(
	const struct refusals *r, enum mechanism kind, const char *login, const char *password)
{
	const struct request request = request_of(kind, login, password);

	return refusals_have(r, &request);
}

TEST(the_same_password_is_known_in_each_command)
{
	struct refusals r = {.count = 0};

	assert_false(have(&r, MECHANISM_PLAIN, "kermit", "wrong"));
	add(&r, MECHANISM_PLAIN, "kermit", "wrong");
	assert_true(have(&r, MECHANISM_PLAIN, "kermit", "wrong"));
	assert_true(have(&r, MECHANISM_LOGIN, "kermit", "wrong"));
	assert_true(have(&r, MECHANISM_USER, "kermit", "wrong"));
}

TEST(another_login_or_password_is_not)
{
	struct refusals r = {.count = 0};

	add(&r, MECHANISM_USER, "kermit", "wrong");
	assert_false(have(&r, MECHANISM_USER, "kermit", "right"));
	assert_false(have(&r, MECHANISM_USER, "kermi", "twrong"));
	assert_false(have(&r, MECHANISM_USER, "Kermit", "wrong"));
	assert_false(have(&r, MECHANISM_USER, "kermit", "wron"));
}

TEST(digests_are_not_remembered)
{
	struct refusals r = {.count = 0};

	add(&r, MECHANISM_APOP, "kermit", "0123456789abcdef0123456789abcdef");
	add(&r, MECHANISM_CRAM_MD5, "kermit", "0123456789abcdef0123456789abcdef");
	assert_int_equal(r.count, 0);
	add(&r, MECHANISM_USER, "kermit", "0123456789abcdef0123456789abcdef");
	assert_false(have(&r, MECHANISM_APOP, "kermit", "0123456789abcdef0123456789abcdef"));
	assert_false(
		have(&r, MECHANISM_CRAM_MD5, "kermit", "0123456789abcdef0123456789abcdef"));
}

TEST(a_token_is_not_a_password)
{
	struct refusals r = {.count = 0};

	add(&r, MECHANISM_XOAUTH2, "kermit", "token");
	assert_true(have(&r, MECHANISM_OAUTHBEARER, "kermit", "token"));
	assert_false(have(&r, MECHANISM_USER, "kermit", "token"));
}

TEST(as_many_are_remembered_as_there_are_tries)
{
	struct refusals r = {.count = 0};

	add(&r, MECHANISM_USER, "kermit", "one");
	add(&r, MECHANISM_USER, "kermit", "two");
	add(&r, MECHANISM_USER, "kermit", "three");
	add(&r, MECHANISM_USER, "kermit", "four");
	assert_true(have(&r, MECHANISM_USER, "kermit", "one"));
	assert_true(have(&r, MECHANISM_USER, "kermit", "three"));
	assert_int_equal(r.count, REQUEST_TRIES);
	refusals_forget(&r);
	assert_false(have(&r, MECHANISM_USER, "kermit", "one"));
}

TEST(nothing_of_the_password_is_kept)
{
	struct refusals r = {.count = 0}, other = {.count = 0};

	add(&r, MECHANISM_USER, "kermit", "password-in-clear");
	add(&other, MECHANISM_USER, "kermit", "password-in-clear");
	assert_null(memmem(&r, sizeof r, "password", 8));
	/* Another key gives another hash. */
	assert_memory_not_equal(r.hashes, other.hashes, sizeof r.hashes[0]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_same_password_is_known_in_each_command),
	cmocka_unit_test(another_login_or_password_is_not),
	cmocka_unit_test(digests_are_not_remembered),
	cmocka_unit_test(a_token_is_not_a_password),
	cmocka_unit_test(as_many_are_remembered_as_there_are_tries),
	cmocka_unit_test(nothing_of_the_password_is_kept),
};

int main(void)
{
	return UNIT_RUN("refusals", tests);
}
