/* request: what the greeter can ask for, and what a checker's exit status means
 * (doc/CHECKPASSWORD). */
#include "tests/unit/unit.h"

#include <signal.h>

#include "auth/request.h"
#include "peer/proxy_client.h"
#include "pop3/text.h"

/* A request with a login and a password of these lengths. */
static struct request make(size_t login, size_t password)
{
	struct request request = {.kind = MECHANISM_USER,
		.login_octets = (uint16_t)login,
		.password_octets = (uint16_t)password};

	memset(request.octets, 'x', sizeof request.octets);
	return request;
}

#define EVERYTHING ((1U << MECHANISM_COUNT) - 1)

/* The first login of a connection on which everything is offered. */
static bool permitted(const struct request *request, size_t timestamp)
{
	const struct request_limits limits = {.offered = EVERYTHING,
		.credentials_most = REQUEST_CREDENTIALS_OCTETS,
		.timestamp_octets = timestamp,
		.tries = 1};

	return request_permitted(request, &limits);
}

TEST(login_and_password_must_not_be_empty)
{
	struct request request = make(1, 1);

	assert_true(permitted(&request, 0));
	request = make(0, 5);
	assert_false(permitted(&request, 0));
	request = make(5, 0);
	assert_false(permitted(&request, 0));
	request = make(0, 0);
	assert_false(permitted(&request, 0));
}

TEST(credentials_have_at_most_512_octets_with_their_nuls)
{
	static const size_t timestamps[] = {0, 1, 40, 127};

	for (size_t i = 0; i < COUNT_OF(timestamps); i++)
		for (size_t login = 1; login < 512; login++) {
			const size_t rest = 512 - 3 - timestamps[i];
			struct request request = make(login, login < rest ? rest - login : 1);

			if (login < rest)
				assert_true(permitted(&request, timestamps[i]));
			else
				assert_false(permitted(&request, timestamps[i]));
			request.password_octets++;
			assert_false(permitted(&request, timestamps[i]));
		}
}

TEST(lengths_that_lie_are_refused)
{
	static const uint16_t lengths[] = {
		510, 511, 512, 513, 1024, 32767, 32768, 65023, 65534, 65535};

	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		for (size_t j = 0; j < COUNT_OF(lengths); j++) {
			struct request request = make(lengths[i], lengths[j]);

			assert_false(permitted(&request, 0));
			request.password_octets = 1;
			assert_false(permitted(&request, 0));
			request.login_octets = 1;
			request.password_octets = lengths[j];
			assert_false(permitted(&request, 0));
		}
}

TEST(nul_cr_and_lf_are_refused_everywhere)
{
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 12; at++) {
			struct request request = make(5, 5);
			const bool bad = at < 10 && (c == '\0' || c == '\r' || c == '\n');

			request.octets[at] = (char)c;
			assert_int_equal(permitted(&request, 40), !bad);
		}
}

TEST(kind_and_language_must_be_known)
{
	struct request request = make(5, 5);

	for (unsigned kind = 0; kind <= UINT16_MAX; kind++) {
		request.kind = (uint16_t)kind;
		assert_int_equal(permitted(&request, 0), kind < MECHANISM_STLS);
	}
	request.kind = MECHANISM_USER;
	for (unsigned language = 0; language <= UINT16_MAX; language++) {
		request.language = (uint16_t)language;
		assert_int_equal(permitted(&request, 0), language < LANGUAGE_COUNT);
	}
}

TEST(name_for_the_log_may_come_where_no_password_is_taken)
{
	struct request request = make(5, 0);
	struct request_limits limits = {.credentials_most = 512,
		.tries = 1,
		.names = 1,
		.offered = 1U << MECHANISM_STLS};

	request.kind = REQUEST_NAMES_USER;
	assert_false(request_is_login(&request));
	assert_true(request_permitted(&request, &limits));
	limits.names = REQUEST_TRIES + 1;
	assert_false(request_permitted(&request, &limits));
	limits.names = REQUEST_TRIES;
	limits.offered = EVERYTHING;
	assert_false(request_permitted(&request, &limits));
	limits.offered = 1U << MECHANISM_USER;
	assert_true(request_permitted(&request, &limits));
	request.octets[2] = '\n';
	assert_false(request_permitted(&request, &limits));
	request = make(5, 1);
	request.kind = REQUEST_NAMES_USER;
	assert_false(request_permitted(&request, &limits));
	for (unsigned octets = 0; octets < 300; octets++) {
		request = make((uint16_t)octets, 0);
		request.kind = REQUEST_NAMES_USER;
		assert_int_equal(request_permitted(&request, &limits),
			octets > 0 && octets <= REQUEST_NAME_OCTETS);
	}
}

TEST(what_is_not_offered_is_refused)
{
	for (unsigned kind = 0; kind < MECHANISM_COUNT; kind++) {
		struct request request = kind == MECHANISM_STLS ? make(0, 0)
					 : kind == MECHANISM_PROXY
						 ? make(sizeof(struct proxy_client), 0)
						 : make(5, 5);
		struct request_limits limits = {.credentials_most = 512, .tries = 1};

		request.kind = (uint16_t)kind;
		for (limits.offered = 0; limits.offered <= EVERYTHING; limits.offered++)
			assert_int_equal(request_permitted(&request, &limits),
				(limits.offered >> kind & 1) != 0);
	}
}

TEST(three_logins_are_permitted)
{
	struct request_limits limits = {.offered = EVERYTHING, .credentials_most = 512};

	for (unsigned kind = 0; kind < MECHANISM_STLS; kind++)
		for (limits.tries = 1; limits.tries < 10; limits.tries++) {
			struct request request = make(5, 5);

			request.kind = (uint16_t)kind;
			assert_int_equal(
				request_permitted(&request, &limits), limits.tries <= 3);
		}
	limits.tries = UINT32_MAX;
	assert_false(request_permitted(&(struct request){.kind = MECHANISM_USER}, &limits));
}

TEST(what_a_proxy_said_has_its_size_and_counts_as_no_login)
{
	struct request request = make(0, 0);
	const struct request_limits limits = {.offered = EVERYTHING, .credentials_most = 512};

	request.kind = MECHANISM_PROXY;
	assert_false(request_is_login(&request));
	for (unsigned octets = 0; octets <= UINT16_MAX; octets++) {
		request.login_octets = (uint16_t)octets;
		assert_int_equal(permitted(&request, 0), octets == sizeof(struct proxy_client));
	}
	request.login_octets = sizeof(struct proxy_client);
	assert_true(request_permitted(&request, &limits));
	request.password_octets = 1;
	assert_false(permitted(&request, 0));
}

TEST(stls_carries_no_credentials)
{
	struct request request = make(0, 0);

	request.kind = MECHANISM_STLS;
	assert_true(permitted(&request, 40));
	request.login_octets = 1;
	assert_false(permitted(&request, 40));
	request.login_octets = 0;
	request.password_octets = 1;
	assert_false(permitted(&request, 40));
}

/* Tokens can be long if the administrator permits it. */
TEST(long_credentials_fit_the_request_and_nothing_more)
{
	const struct request_limits limits = {.offered = EVERYTHING,
		.credentials_most = REQUEST_OCTETS + 512,
		.timestamp_octets = 40,
		.tries = 1};
	struct request request = make(100, REQUEST_OCTETS - 100);

	assert_true(request_permitted(&request, &limits));
	request.octets[REQUEST_OCTETS - 1] = '\0';
	assert_false(request_permitted(&request, &limits));
	request = make(100, REQUEST_OCTETS - 99);
	assert_false(request_permitted(&request, &limits));
	request = make(UINT16_MAX, UINT16_MAX);
	assert_false(request_permitted(&request, &limits));
	request = make(1, UINT16_MAX);
	assert_false(request_permitted(&request, &limits));
}

/* A status as waitpid reports it. */
static int exited(int code)
{
	return code << 8;
}

static const bool none[256];

static enum request_verdict expected_of(int code)
{
	static const int refused[] = {1, 3, 20, 21, 23}, misconfigured[] = {2, 100, 126, 127};

	for (size_t i = 0; i < COUNT_OF(refused); i++)
		if (refused[i] == code)
			return VERDICT_REFUSED;
	for (size_t i = 0; i < COUNT_OF(misconfigured); i++)
		if (misconfigured[i] == code)
			return VERDICT_MISCONFIGURED;
	return VERDICT_TEMPORARY;
}

TEST(every_exit_code_has_its_verdict)
{
	for (int code = 0; code < 256; code++) {
		if (request_verdict_of(exited(code), none) != expected_of(code))
			print_error("exit code %d\n", code);
		assert_int_equal(request_verdict_of(exited(code), none), expected_of(code));
	}
}

TEST(further_statuses_can_be_refusals)
{
	static const bool further[256] = {[2] = true, [4] = true, [111] = true};

	assert_int_equal(request_verdict_of(exited(2), further), VERDICT_REFUSED);
	assert_int_equal(request_verdict_of(exited(4), further), VERDICT_REFUSED);
	assert_int_equal(request_verdict_of(exited(100), further), VERDICT_MISCONFIGURED);
	/* a signal is none of them, though it counts like 111 */
	assert_int_equal(request_verdict_of(SIGKILL, further), VERDICT_TEMPORARY);
}

TEST(every_signal_is_temporary)
{
	for (int signal_number = 1; signal_number < 65; signal_number++) {
		assert_int_equal(request_verdict_of(signal_number, none), VERDICT_TEMPORARY);
		/* With a core dump. */
		assert_int_equal(
			request_verdict_of(signal_number | 0x80, none), VERDICT_TEMPORARY);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(login_and_password_must_not_be_empty),
	cmocka_unit_test(credentials_have_at_most_512_octets_with_their_nuls),
	cmocka_unit_test(lengths_that_lie_are_refused),
	cmocka_unit_test(nul_cr_and_lf_are_refused_everywhere),
	cmocka_unit_test(kind_and_language_must_be_known),
	cmocka_unit_test(name_for_the_log_may_come_where_no_password_is_taken),
	cmocka_unit_test(what_is_not_offered_is_refused),
	cmocka_unit_test(three_logins_are_permitted),
	cmocka_unit_test(what_a_proxy_said_has_its_size_and_counts_as_no_login),
	cmocka_unit_test(stls_carries_no_credentials),
	cmocka_unit_test(long_credentials_fit_the_request_and_nothing_more),
	cmocka_unit_test(every_exit_code_has_its_verdict),
	cmocka_unit_test(further_statuses_can_be_refusals),
	cmocka_unit_test(every_signal_is_temporary),
};

int main(void)
{
	return UNIT_RUN("request", tests);
}
