/* invocation: the command line and the environment of a checker (doc/CHECKPASSWORD). */
#include "tests/unit/unit.h"

#include "auth/invocation.h"
#include "os/log.h"
#include "os/process.h"

extern char **environ;

static struct invocation s;
static struct settings o;
static struct peer p;
static char own[1024]; /* The path of this program. */

static int setup(void **state)
{
	const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

	(void)state;
	assert_true(length > 0);
	own[length] = '\0';
	o = (struct settings){.asked = {.idle_seconds = 600, .host = "mail.example.org"}};
	memset(&p, 0, sizeof p);
	memset(&s, 'x', sizeof s);
	return clearenv() == 0 ? setenv("PATH", "/usr/bin:/bin", 1) : 1;
}

static void use_checker(char **arguments)
{
	o.asked.checker = arguments;
	for (o.asked.checker_count = 0; arguments[o.asked.checker_count] != NULL;)
		o.asked.checker_count++;
}

/* The words of a command line, with NULL at the end. */
static void has_arguments(const char *const *expected)
{
	size_t count = 0;

	for (; expected[count] != NULL && s.arguments[count] != NULL; count++)
		assert_string_equal(s.arguments[count], expected[count]);
	assert_ptr_equal(expected[count], NULL);
	assert_ptr_equal(s.arguments[count], NULL);
	assert_int_equal(s.argument_count, count);
}

TEST(checker_gets_its_arguments_and_after_them_the_session)
{
	static char *checker[] = {"/bin/checker", "--of its own", "", NULL};
	const char *const expected[] = {"/bin/checker", "--of its own", "", own, "--session",
		"--hostname=mail.example.org", "--idle-timeout=600", "--status-fd=7",
		"--offer=0", "--language=en", "--appended", "--", "Maildir", NULL};

	use_checker(checker);
	assert_true(invocation_make(&s, &o, &p));
	has_arguments(expected);
	assert_string_equal(s.program, "/bin/checker");
}

TEST(session_gets_the_options_that_concern_it)
{
	static char *checker[] = {"/bin/checker", NULL};
	static char exec_text[] = "/usr/bin/other --with blanks";
	const char *const expected[] = {"/bin/checker", own, "--session", "--allow-root",
		"--debug", "--exec=/usr/bin/other --with blanks", "--hostname=mail.example.org",
		"--idle-timeout=86400", "--lock", "--utf8", "--verify-sizes", "--status-fd=7",
		"--tls", "--client-ip=2001:db8::9", "--offer=5", "--language=en", "--",
		"--a Maildir", NULL};

	use_checker(checker);
	o.asked.allow_root = o.asked.lock = o.asked.verify_sizes = o.asked.debug =
		o.asked.utf8 = o.found.tls = true;
	o.found.offered = 1U << MECHANISM_USER | 1U << MECHANISM_PLAIN;
	o.asked.idle_seconds = 86400;
	o.asked.exec_text = exec_text;
	o.asked.maildir = "--a Maildir";
	o.found.client_ip = "2001:db8::9";
	p = (struct peer){.protocol = "TCP6", .remote_ip = "2001:db8::9"};
	assert_true(invocation_make(&s, &o, &p));
	has_arguments(expected);
}

static int setup_with_syslog(void)
{
	static char *checker[] = {"/bin/checker", NULL};

	log_open(true);
	use_checker(checker);
	if (!invocation_make(&s, &o, &p))
		return 1;
	for (size_t i = 0; i < s.argument_count; i++)
		if (strcmp(s.arguments[i], "--syslog") == 0)
			return 0;
	return 2;
}

TEST(session_logs_where_the_monitor_does)
{
	assert_int_equal(unit_in_child(setup_with_syslog), 0);
}

TEST(default_checker_lies_beside_this_program)
{
	char expected[1100];

	assert_true(invocation_make(&s, &o, &p));
	snprintf(expected, sizeof expected, "%.*s/pop3d-checkpw",
		(int)(strrchr(own, '/') - own), own);
	assert_string_equal(s.arguments[0], expected);
	assert_string_equal(s.program, expected);
	assert_string_equal(s.arguments[1], own);
}

TEST(checker_without_a_slash_is_looked_for_in_path)
{
	static char *checker[] = {"sh", "-c", "true", NULL},
		    *none[] = {"no-such-program", NULL};

	use_checker(checker);
	assert_true(invocation_make(&s, &o, &p));
	assert_true(strcmp(s.program, "/usr/bin/sh") == 0 || strcmp(s.program, "/bin/sh") == 0);
	assert_string_equal(s.arguments[0], "sh");
	use_checker(none);
	assert_true(invocation_make(&s, &o, &p));
	assert_string_equal(s.program, "no-such-program");
}

static void has_environment(const char *const *expected)
{
	size_t count = 0;

	for (; expected[count] != NULL && s.environment[count] != NULL; count++)
		assert_string_equal(s.environment[count], expected[count]);
	if (expected[count] != NULL || s.environment[count] != NULL)
		print_error("expected %s, got %s\n", expected[count], s.environment[count]);
	assert_ptr_equal(expected[count], NULL);
	assert_ptr_equal(s.environment[count], NULL);
	assert_int_equal(s.variable_count, count);
}

TEST(environment_is_built_and_not_passed_on)
{
	static const char *const expected[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8",
		"LANG=de", "TZ=UTC", "PROTO=TCP6", "TCPREMOTEIP=2001:db8::1",
		"TCPREMOTEPORT=40000", "TCPLOCALIP=2001:db8::2", "TCPLOCALPORT=110",
		"SERVICE=pop3", "POP3D_LOGIN=", "AUTH_MECHANISM=OAUTHBEARER", NULL};
	static const char *const inherited[] = {"HOME", "USER", "MAILDIR", "LD_PRELOAD",
		"LD_LIBRARY_PATH", "IFS", "BASH_ENV", "ENV", "TCPREMOTEIP", "TCPLOCALIP",
		"PROTO", "SERVICE", "REMOTE_HOST", "REMOTE_ADDR", "LC", "LANGUAGE", "SSLCTLFD",
		"AUTH_MECHANISM", "PATHS", "TCPREMOTEINFO"};

	for (size_t i = 0; i < COUNT_OF(inherited); i++)
		assert_int_equal(setenv(inherited[i], "inherited", 1), 0);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	assert_int_equal(setenv("LANG", "de", 1), 0);
	assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
	p = (struct peer){.protocol = "TCP6",
		.remote_ip = "2001:db8::1",
		.remote_port = "40000",
		.local_ip = "2001:db8::2",
		.local_port = "110"};
	assert_true(invocation_make(&s, &o, &p));
	has_environment(expected);
}

TEST(what_is_not_known_is_not_set)
{
	static const char *const expected[] = {"PATH=/usr/bin:/bin", "SERVICE=pop3",
		"POP3D_LOGIN=", "AUTH_MECHANISM=OAUTHBEARER", NULL};

	assert_true(invocation_make(&s, &o, &p));
	has_environment(expected);
}

TEST(the_checker_is_told_of_tls)
{
	static const char *const expected[] = {"PATH=/usr/bin:/bin", "SERVICE=pop3",
		"POP3D_TLS=yes", "POP3D_LOGIN=", "AUTH_MECHANISM=OAUTHBEARER", NULL};

	o.found.tls = true;
	assert_true(invocation_make(&s, &o, &p));
	has_environment(expected);
}

TEST(path_has_a_default)
{
	static char *empty[] = {NULL};

	environ = empty;
	assert_true(invocation_make(&s, &o, &p));
	assert_string_equal(s.environment[0], "PATH=" PROCESS_DEFAULT_PATH);
	assert_int_equal(s.variable_count, 4);
}

TEST(variables_that_are_asked_for_are_passed_on)
{
	static const char *const expected[] = {"PATH=/usr/bin:/bin", "SERVICE=pop3",
		"POP3D_LOGIN=", "AUTH_MECHANISM=OAUTHBEARER", "PAM_SERVICE=mail",
		"EMPTY=", NULL};

	assert_int_equal(setenv("PAM_SERVICE", "mail", 1), 0);
	assert_int_equal(setenv("PAM_SERVICE2", "not this", 1), 0);
	assert_int_equal(setenv("EMPTY", "", 1), 0);
	o.asked.pass_env[0] = "PAM_SERVICE";
	o.asked.pass_env[1] = "NOT_THERE";
	o.asked.pass_env[2] = "EMPTY";
	o.asked.pass_env_count = 3;
	assert_true(invocation_make(&s, &o, &p));
	has_environment(expected);
}

/* Each login overwrites what the previous one set. */
TEST(login_sets_mechanism_and_language)
{
	char expected[64];

	assert_true(invocation_make(&s, &o, &p));
	for (int round = 0; round < 2; round++)
		for (enum mechanism mechanism = 0; mechanism < MECHANISM_STLS; mechanism++)
			for (enum language language = 0; language < LANGUAGE_COUNT;
				language++) {
				invocation_for_login(&s, mechanism, language, "kermit", 6);
				snprintf(expected, sizeof expected, "AUTH_MECHANISM=%s",
					mechanism_name(mechanism));
				assert_string_equal(
					s.environment[s.variable_count - 1], expected);
				snprintf(expected, sizeof expected, "--language=%s",
					text_tag(language));
				assert_string_equal(
					s.arguments[s.argument_count - 4], expected);
			}
	assert_string_equal(s.environment[s.variable_count - 2], "POP3D_LOGIN=kermit");
}

/* Some checkers take the last argument for the Maildir. */
TEST(last_argument_is_a_maildir)
{
	assert_true(invocation_make(&s, &o, &p));
	assert_string_equal(s.arguments[s.argument_count - 1], "Maildir");
	assert_string_equal(s.arguments[s.argument_count - 3], "--appended");
	o.asked.maildir = "elsewhere";
	assert_true(invocation_make(&s, &o, &p));
	assert_string_equal(s.arguments[s.argument_count - 1], "elsewhere");
	for (size_t i = 0; i < s.argument_count; i++)
		assert_string_not_equal(s.arguments[i], "--appended");
}

TEST(a_long_login_is_cut_and_a_short_one_follows_it)
{
	static char name[1000];
	const char *login;

	memset(name, 'x', sizeof name);
	assert_true(invocation_make(&s, &o, &p));
	login = s.environment[s.variable_count - 2];
	invocation_for_login(&s, MECHANISM_USER, LANGUAGE_ENGLISH, name, sizeof name);
	assert_int_equal(strlen(login), strlen("POP3D_LOGIN=") + INVOCATION_LOGIN_OCTETS);
	assert_string_equal(s.environment[s.variable_count - 1], "AUTH_MECHANISM=USER");
	invocation_for_login(&s, MECHANISM_USER, LANGUAGE_ENGLISH, "a", 1);
	assert_string_equal(login, "POP3D_LOGIN=a");
}

TEST(too_many_arguments_are_refused)
{
	static char word[] = "word", program[] = "/bin/checker";
	char *checker[INVOCATION_ARGUMENTS + 2];
	size_t most = 0;

	for (size_t count = 1; count <= INVOCATION_ARGUMENTS; count++) {
		for (size_t i = 0; i < count; i++)
			checker[i] = i == 0 ? program : word;
		checker[count] = NULL;
		use_checker(checker);
		if (!invocation_make(&s, &o, &p))
			continue;
		assert_int_equal(most, count - 1);
		most = count;
		assert_in_range(s.argument_count, count + 10, INVOCATION_ARGUMENTS - 1);
		assert_null(s.arguments[s.argument_count]);
	}
	/* Ten are the session's, one is the end. */
	assert_int_equal(most, INVOCATION_ARGUMENTS - 11);
}

TEST(too_many_variables_are_refused)
{
	char name[32];

	for (int i = 0; i < INVOCATION_VARIABLES - 5; i++) {
		snprintf(name, sizeof name, "LC_X%d", i);
		assert_int_equal(setenv(name, "x", 1), 0);
	}
	assert_true(invocation_make(&s, &o, &p));
	assert_int_equal(s.variable_count, INVOCATION_VARIABLES - 1);
	assert_null(s.environment[s.variable_count]);
	assert_int_equal(setenv("LC_ONE_MORE", "x", 1), 0);
	assert_false(invocation_make(&s, &o, &p));
}

#define SETUP_TEST(name) cmocka_unit_test_setup(name, setup)

static const struct CMUnitTest tests[] = {
	SETUP_TEST(checker_gets_its_arguments_and_after_them_the_session),
	SETUP_TEST(session_gets_the_options_that_concern_it),
	SETUP_TEST(session_logs_where_the_monitor_does),
	SETUP_TEST(default_checker_lies_beside_this_program),
	SETUP_TEST(checker_without_a_slash_is_looked_for_in_path),
	SETUP_TEST(environment_is_built_and_not_passed_on),
	SETUP_TEST(what_is_not_known_is_not_set),
	SETUP_TEST(the_checker_is_told_of_tls),
	SETUP_TEST(path_has_a_default),
	SETUP_TEST(variables_that_are_asked_for_are_passed_on),
	SETUP_TEST(login_sets_mechanism_and_language),
	SETUP_TEST(last_argument_is_a_maildir),
	SETUP_TEST(a_long_login_is_cut_and_a_short_one_follows_it),
	SETUP_TEST(too_many_arguments_are_refused),
	SETUP_TEST(too_many_variables_are_refused),
};

int main(void)
{
	return UNIT_RUN("invocation", tests);
}
