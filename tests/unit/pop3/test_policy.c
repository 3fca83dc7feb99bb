/* policy: which ways to log in a connection is offered, in every possible situation. */
#include "tests/unit/unit.h"

#include "pop3/policy.h"

#define BIT(mechanism) (1U << (mechanism))
#define ALL (BIT(MECHANISM_COUNT) - 1)

/* What an administrator can switch on. */
static const mechanism_set optional = BIT(MECHANISM_APOP) | BIT(MECHANISM_CRAM_MD5) |
				      BIT(MECHANISM_XOAUTH2) | BIT(MECHANISM_OAUTHBEARER);

/* Ways to log in that show an eavesdropper nothing that he could use later. */
static const mechanism_set secret_keeping = BIT(MECHANISM_APOP) | BIT(MECHANISM_CRAM_MD5);

static const mechanism_set passwords =
	BIT(MECHANISM_USER) | BIT(MECHANISM_PLAIN) | BIT(MECHANISM_LOGIN);

/* Calls check for all situations: five switches, and each set of optional ways. */
static size_t for_all(
	bool awaited, void (*check)(const struct policy_situation *s, mechanism_set set))
{
	size_t count = 0;

	for (unsigned bits = 0; bits < 32; bits++)
		for (mechanism_set opted = 0; opted <= ALL; opted++) {
			const struct policy_situation s = {.tls = (bits & 1) != 0,
				.local = (bits & 2) != 0,
				.stls = (bits & 4) != 0,
				.allow_cleartext = (bits & 8) != 0,
				.require_tls = (bits & 16) != 0,
				.proxy_awaited = awaited,
				.opted = opted};

			if ((opted & ~optional) != 0)
				continue;
			check(&s, policy_offered(&s));
			count++;
		}
	return count;
}

/* RFC 5034 section 4, RFC 8314: by default no password is asked for in clear text. */
static void keeps_passwords(const struct policy_situation *s, mechanism_set set)
{
	const bool may_show = s->tls || (!s->require_tls && (s->allow_cleartext || s->local));

	assert_int_equal((set & passwords) == passwords, may_show);
	assert_int_equal((set & passwords) == 0, !may_show);
	if (!may_show)
		assert_int_equal(set & ~(secret_keeping | BIT(MECHANISM_STLS)), 0);
}

TEST(passwords_are_asked_for_only_where_that_is_permitted)
{
	assert_int_equal(for_all(false, keeps_passwords), 512);
}

static void offers_what_was_opted(const struct policy_situation *s, mechanism_set set)
{
	const bool may_show = s->tls || (!s->require_tls && (s->allow_cleartext || s->local));

	assert_int_equal(set & optional & ~s->opted, 0);
	if (may_show)
		assert_int_equal(set & optional, s->opted);
	else if (!s->require_tls)
		assert_int_equal(set & optional, s->opted & secret_keeping);
}

TEST(what_is_optional_is_offered_where_it_was_opted_for)
{
	for_all(false, offers_what_was_opted);
}

static void demands_tls(const struct policy_situation *s, mechanism_set set)
{
	if (s->require_tls && !s->tls)
		assert_int_equal(set & ~BIT(MECHANISM_STLS), 0);
}

TEST(where_tls_is_required_nothing_but_stls_comes_before)
{
	for_all(false, demands_tls);
}

/* RFC 2595 section 4: STLS is an error under TLS. */
static void offers_stls(const struct policy_situation *s, mechanism_set set)
{
	assert_int_equal(mechanism_set_has(set, MECHANISM_STLS), s->stls && !s->tls);
}

TEST(stls_is_offered_where_it_can_be_had_and_tls_does_not_run)
{
	for_all(false, offers_stls);
}

static void offers_nothing(const struct policy_situation *s, mechanism_set set)
{
	(void)s;
	assert_int_equal(set, BIT(MECHANISM_PROXY));
}

static void awaits_nobody(const struct policy_situation *s, mechanism_set set)
{
	(void)s;
	assert_false(mechanism_set_has(set, MECHANISM_PROXY));
}

TEST(a_proxy_has_the_first_word)
{
	for_all(true, offers_nothing);
	for_all(false, awaits_nobody);
}

TEST(names)
{
	static const char *const names[MECHANISM_COUNT] = {[MECHANISM_USER] = "USER",
		[MECHANISM_APOP] = "APOP",
		[MECHANISM_PLAIN] = "PLAIN",
		[MECHANISM_LOGIN] = "LOGIN",
		[MECHANISM_CRAM_MD5] = "CRAM-MD5",
		[MECHANISM_XOAUTH2] = "XOAUTH2",
		[MECHANISM_OAUTHBEARER] = "OAUTHBEARER",
		[MECHANISM_STLS] = "STLS",
		[MECHANISM_PROXY] = "PROXY"};

	for (int i = 0; i < MECHANISM_COUNT; i++)
		assert_string_equal(mechanism_name((enum mechanism)i), names[i]);
}

TEST(mechanisms_are_found_by_name)
{
	assert_int_equal(mechanism_find_sasl("PLAIN", 5), MECHANISM_PLAIN);
	assert_int_equal(mechanism_find_sasl("plain", 5), MECHANISM_PLAIN);
	assert_int_equal(mechanism_find_sasl("Cram-Md5", 8), MECHANISM_CRAM_MD5);
	assert_int_equal(mechanism_find_sasl("OAUTHBEARER", 11), MECHANISM_OAUTHBEARER);
	for (int i = MECHANISM_PLAIN; i <= MECHANISM_OAUTHBEARER; i++)
		assert_int_equal(mechanism_find_sasl(mechanism_name((enum mechanism)i),
					 strlen(mechanism_name((enum mechanism)i))),
			i);
}

TEST(what_is_no_mechanism_is_not_found)
{
	static const char *const wrong[] = {"", "P", "PLAI", "PLAINN", "PLAIN ", "USER", "APOP",
		"STLS", "XOAUTH", "PROXY", "CRAM_MD5"};

	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(
			mechanism_find_sasl(wrong[i], strlen(wrong[i])), MECHANISM_COUNT);
	/* The length counts, not the octets after it. */
	assert_int_equal(mechanism_find_sasl("PLAINX", 5), MECHANISM_PLAIN);
	assert_int_equal(mechanism_find_sasl("PLAIN", 4), MECHANISM_COUNT);
}

TEST(the_mechanisms_of_a_set)
{
	assert_int_equal(mechanism_set_sasl(ALL),
		BIT(MECHANISM_PLAIN) | BIT(MECHANISM_LOGIN) | BIT(MECHANISM_CRAM_MD5) |
			BIT(MECHANISM_XOAUTH2) | BIT(MECHANISM_OAUTHBEARER));
	assert_int_equal(mechanism_set_sasl(BIT(MECHANISM_USER) | BIT(MECHANISM_APOP) |
					    BIT(MECHANISM_STLS) | BIT(MECHANISM_PROXY)),
		0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(passwords_are_asked_for_only_where_that_is_permitted),
	cmocka_unit_test(what_is_optional_is_offered_where_it_was_opted_for),
	cmocka_unit_test(where_tls_is_required_nothing_but_stls_comes_before),
	cmocka_unit_test(stls_is_offered_where_it_can_be_had_and_tls_does_not_run),
	cmocka_unit_test(a_proxy_has_the_first_word),
	cmocka_unit_test(names),
	cmocka_unit_test(mechanisms_are_found_by_name),
	cmocka_unit_test(what_is_no_mechanism_is_not_found),
	cmocka_unit_test(the_mechanisms_of_a_set),
};

int main(void)
{
	return UNIT_RUN("policy", tests);
}
