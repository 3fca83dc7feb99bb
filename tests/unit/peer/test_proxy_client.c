/* proxy_client: the client that a proxy's header names, and what options.c makes of it. */
#include "tests/unit/unit.h"

#include "options.h"
#include "peer/proxy_client.h"

static struct proxy_header header_of(const char *source, const char *destination)
{
	struct proxy_header h = {.has_addresses = true};

	snprintf(h.source_ip, sizeof h.source_ip, "%s", source);
	snprintf(h.destination_ip, sizeof h.destination_ip, "%s", destination);
	snprintf(h.source_port, sizeof h.source_port, "40123");
	snprintf(h.destination_port, sizeof h.destination_port, "65535");
	return h;
}

static struct peer the_proxy(void)
{
	return (struct peer){.protocol = "TCP",
		.remote_ip = "10.0.0.1",
		.remote_port = "1",
		.local_ip = "10.0.0.2",
		.local_port = "110"};
}

TEST(addresses_arrive_as_they_were_said)
{
	static const char *const pairs[][2] = {{"203.0.113.9", "198.51.100.1"},
		{"2001:db8::9", "2001:db8::1"}, {"0.0.0.0", "255.255.255.255"},
		{"1:2:3:4:5:6:7:8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}};

	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		const struct proxy_header h = header_of(pairs[i][0], pairs[i][1]);
		const struct proxy_client said = proxy_client_of(&h);
		struct peer p = the_proxy();

		assert_true(proxy_client_is_valid(&said));
		proxy_client_apply(&said, &p);
		assert_true(p.proxied);
		assert_string_equal(p.remote_ip, pairs[i][0]);
		assert_string_equal(p.local_ip, pairs[i][1]);
		assert_string_equal(p.remote_port, "40123");
		assert_string_equal(p.local_port, "65535");
		assert_string_equal(
			p.protocol, strchr(pairs[i][0], ':') != NULL ? "TCP6" : "TCP");
	}
}

TEST(what_the_proxy_does_not_know_stays_the_proxys)
{
	const struct proxy_header h = {.has_addresses = false, .tls = true};
	const struct proxy_client said = proxy_client_of(&h);
	struct peer p = the_proxy();

	proxy_client_apply(&said, &p);
	assert_true(said.tls);
	assert_true(p.proxied);
	assert_string_equal(p.remote_ip, "10.0.0.1");
	assert_string_equal(p.remote_port, "1");
}

TEST(a_proxy_that_speaks_for_itself_is_itself)
{
	const struct proxy_header h = {.local = true};
	const struct proxy_client said = proxy_client_of(&h);
	struct peer p = the_proxy();

	proxy_client_apply(&said, &p);
	assert_false(p.proxied);
	assert_false(said.tls);
}

TEST(nobody_behind_a_proxy_is_of_this_host)
{
	const struct proxy_header h = header_of("127.0.0.1", "127.0.0.1");
	const struct proxy_client said = proxy_client_of(&h);
	struct peer p = the_proxy();

	proxy_client_apply(&said, &p);
	assert_string_equal(p.remote_ip, "127.0.0.1");
	assert_false(peer_is_local(&p));
}

/* Anything that a greeter under an attacker's control can send. */
TEST(octets_of_any_kind_are_refused_or_make_texts_that_end)
{
	size_t valid = 0;

	srandom(1);
	for (int i = 0; i < 200000; i++) {
		struct proxy_client said;
		struct peer p = the_proxy();

		for (size_t at = 0; at < sizeof said; at++)
			((unsigned char *)&said)[at] = (unsigned char)random();
		if (i % 2 == 0) {
			said.local = said.tls = 0;
			said.remote_length = (uint8_t[]){0, 4, 16}[random() % 3];
			said.local_length = (uint8_t[]){0, 4, 16, 17}[random() % 4];
		}
		if (!proxy_client_is_valid(&said))
			continue;
		valid++;
		proxy_client_apply(&said, &p);
		assert_true(strnlen(p.remote_ip, sizeof p.remote_ip) < sizeof p.remote_ip);
		assert_true(strnlen(p.local_port, sizeof p.local_port) < sizeof p.local_port);
		assert_int_equal(
			strspn(p.remote_ip, "0123456789abcdef.:"), strlen(p.remote_ip));
	}
	assert_true(valid > 10000);
}

TEST(until_the_proxy_has_spoken_nothing_else_is_offered)
{
	struct settings o = {
		.found = {.proxy_awaited = true, .tls = true, .local = true, .stls = true}};

	assert_int_equal(options_offer(&o), 1U << MECHANISM_PROXY);
	o.found.tls = o.found.local = false;
	options_meet_proxy(&o, false);
	assert_int_equal(options_offer(&o), 1U << MECHANISM_STLS);
	o.found.proxy_awaited = true;
	options_meet_proxy(&o, true);
	assert_true(mechanism_set_has(options_offer(&o), MECHANISM_USER));
	assert_false(mechanism_set_has(options_offer(&o), MECHANISM_STLS));
	assert_false(mechanism_set_has(options_offer(&o), MECHANISM_PROXY));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(addresses_arrive_as_they_were_said),
	cmocka_unit_test(what_the_proxy_does_not_know_stays_the_proxys),
	cmocka_unit_test(a_proxy_that_speaks_for_itself_is_itself),
	cmocka_unit_test(nobody_behind_a_proxy_is_of_this_host),
	cmocka_unit_test(octets_of_any_kind_are_refused_or_make_texts_that_end),
	cmocka_unit_test(until_the_proxy_has_spoken_nothing_else_is_offered),
};

int main(void)
{
	return UNIT_RUN("proxy_client", tests);
}
