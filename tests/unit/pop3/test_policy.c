/* policy: which ways to log in a connection is offered, in every possible situation. */
#include "tests/unit/unit.h"

#include "pop3/policy.h"

#define BIT(offer) (1U << (offer))
#define ALL (BIT(OFFER_COUNT) - 1)

/* What an administrator can switch on. */
static const offer_set optional =
	BIT(OFFER_APOP) | BIT(OFFER_CRAM_MD5) | BIT(OFFER_XOAUTH2) | BIT(OFFER_OAUTHBEARER);

/* Ways to log in that show an eavesdropper nothing that he could use later. */
static const offer_set secret_keeping = BIT(OFFER_APOP) | BIT(OFFER_CRAM_MD5);

static const offer_set passwords = BIT(OFFER_USER) | BIT(OFFER_PLAIN) | BIT(OFFER_LOGIN);

/* Calls check for all situations: five switches, and each set of optional ways. */
static size_t for_all(
	bool awaited, void (*check)(const struct offer_situation *s, offer_set set))
{
	size_t count = 0;

	for (unsigned bits = 0; bits < 32; bits++)
		for (offer_set opted = 0; opted <= ALL; opted++) {
			const struct offer_situation s = {.tls = (bits & 1) != 0,
				.local = (bits & 2) != 0,
				.stls = (bits & 4) != 0,
				.allow_cleartext = (bits & 8) != 0,
				.require_tls = (bits & 16) != 0,
				.proxy_awaited = awaited,
				.opted = opted};

			if ((opted & ~optional) != 0)
				continue;
			check(&s, offer_of(&s));
			count++;
		}
	return count;
}

/* RFC 5034 section 4, RFC 8314: by default no password is asked for in clear text. */
static void keeps_passwords(const struct offer_situation *s, offer_set set)
{
	const bool may_show = s->tls || (!s->require_tls && (s->allow_cleartext || s->local));

	assert_int_equal((set & passwords) == passwords, may_show);
	assert_int_equal((set & passwords) == 0, !may_show);
	if (!may_show)
		assert_int_equal(set & ~(secret_keeping | BIT(OFFER_STLS)), 0);
}

TEST(passwords_are_asked_for_only_where_that_is_permitted)
{
	assert_int_equal(for_all(false, keeps_passwords), 512);
}

static void offers_what_was_opted(const struct offer_situation *s, offer_set set)
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

static void demands_tls(const struct offer_situation *s, offer_set set)
{
	if (s->require_tls && !s->tls)
		assert_int_equal(set & ~BIT(OFFER_STLS), 0);
}

TEST(where_tls_is_required_nothing_but_stls_comes_before)
{
	for_all(false, demands_tls);
}

/* RFC 2595 section 4: STLS is an error under TLS. */
static void offers_stls(const struct offer_situation *s, offer_set set)
{
	assert_int_equal(offer_has(set, OFFER_STLS), s->stls && !s->tls);
}

TEST(stls_is_offered_where_it_can_be_had_and_tls_does_not_run)
{
	for_all(false, offers_stls);
}

static void offers_nothing(const struct offer_situation *s, offer_set set)
{
	(void)s;
	assert_int_equal(set, BIT(OFFER_PROXY));
}

static void awaits_nobody(const struct offer_situation *s, offer_set set)
{
	(void)s;
	assert_false(offer_has(set, OFFER_PROXY));
}

TEST(a_proxy_has_the_first_word)
{
	for_all(true, offers_nothing);
	for_all(false, awaits_nobody);
}

TEST(names)
{
	static const char *const names[OFFER_COUNT] = {[OFFER_USER] = "USER",
		[OFFER_APOP] = "APOP",
		[OFFER_PLAIN] = "PLAIN",
		[OFFER_LOGIN] = "LOGIN",
		[OFFER_CRAM_MD5] = "CRAM-MD5",
		[OFFER_XOAUTH2] = "XOAUTH2",
		[OFFER_OAUTHBEARER] = "OAUTHBEARER",
		[OFFER_STLS] = "STLS",
		[OFFER_PROXY] = "PROXY"};

	for (int i = 0; i < OFFER_COUNT; i++)
		assert_string_equal(offer_name((enum offer)i), names[i]);
}

TEST(mechanisms_are_found_by_name)
{
	assert_int_equal(offer_sasl("PLAIN", 5), OFFER_PLAIN);
	assert_int_equal(offer_sasl("plain", 5), OFFER_PLAIN);
	assert_int_equal(offer_sasl("Cram-Md5", 8), OFFER_CRAM_MD5);
	assert_int_equal(offer_sasl("OAUTHBEARER", 11), OFFER_OAUTHBEARER);
	for (int i = OFFER_PLAIN; i <= OFFER_OAUTHBEARER; i++)
		assert_int_equal(offer_sasl(offer_name((enum offer)i),
					 strlen(offer_name((enum offer)i))),
			i);
}

TEST(what_is_no_mechanism_is_not_found)
{
	static const char *const wrong[] = {"", "P", "PLAI", "PLAINN", "PLAIN ", "USER", "APOP",
		"STLS", "XOAUTH", "PROXY", "CRAM_MD5"};

	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(offer_sasl(wrong[i], strlen(wrong[i])), OFFER_COUNT);
	/* The length counts, not the octets after it. */
	assert_int_equal(offer_sasl("PLAINX", 5), OFFER_PLAIN);
	assert_int_equal(offer_sasl("PLAIN", 4), OFFER_COUNT);
}

TEST(the_mechanisms_of_a_set)
{
	assert_int_equal(offer_sasl_part(ALL),
		BIT(OFFER_PLAIN) | BIT(OFFER_LOGIN) | BIT(OFFER_CRAM_MD5) | BIT(OFFER_XOAUTH2) |
			BIT(OFFER_OAUTHBEARER));
	assert_int_equal(offer_sasl_part(BIT(OFFER_USER) | BIT(OFFER_APOP) | BIT(OFFER_STLS) |
					 BIT(OFFER_PROXY)),
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
	return UNIT_RUN("offer", tests);
}
