/* name, mail: logins made uniform, and paths that are made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "checkpw/mail.c"
#include "checkpw/name.c"

static void names_are_folded_and_get_a_domain(void **state)
{
	static const struct {
		const char *login;
		bool fold;
		const char *domain, *name;
	} cases[] = {
		{"Joe", false, NULL, "Joe"},
		{"Joe", true, NULL, "joe"},
		{"Joe@EXAMPLE.org", true, "example.net", "joe@example.org"},
		{"Joe", true, "example.net", "joe@example.net"},
		{"Joe@", false, "example.net", "Joe@"},
		{"\xc3\x84Z[`", true, NULL, "\xc3\x84z[`"},
	};
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(pwname_make(
			cases[i].login, cases[i].fold, cases[i].domain, name, sizeof name));
		assert_string_equal(name, cases[i].name);
	}
	assert_true(pwname_make("1234567", false, NULL, name, 8));
	assert_false(pwname_make("12345678", false, NULL, name, 8));
	assert_true(pwname_make("123", false, "456", name, 8));
	assert_false(pwname_make("123", false, "4567", name, 8));
	assert_string_equal(name, "123@");
}

static void expand_puts_the_parts_of_a_login_in(void **state)
{
	static const struct {
		const char *pattern, *name, *path;
	} cases[] = {
		{"/mail/%d/%n", "joe@example.org", "/mail/example.org/joe"},
		{"/mail/%u", "joe@example.org", "/mail/joe@example.org"},
		{"/mail/%u/%n", "joe", "/mail/joe/joe"},
		{"/a%%u%x%", "joe", "/a%u%x%"},
		{"/%d", "a@b@c", "/b@c"},
		{"/home", "..", "/home"},
		{"/%n", "...", "/..."},
		{"/%n", ".x", "/.x"},
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_null(pwname_expand(cases[i].pattern, cases[i].name, path, sizeof path));
		assert_string_equal(path, cases[i].path);
	}
}

static void expand_refuses_parts_that_lead_elsewhere(void **state)
{
	static const char *const cases[][2] = {
		{"/%d/%n", "joe"},
		{"/%d/%n", "joe@"},
		{"/%d/%n", "@example.org"},
		{"/%u", ""},
		{"/%u", "."},
		{"/%u", ".."},
		{"/%u", "a/b"},
		{"/%n", "..@example.org"},
		{"/%n", ".@example.org"},
		{"/.%n", ".@example.org"},
		{"/%d", "joe@.."},
		{"/%d", "joe@."},
		{"/%d", "joe@/etc"},
		{"/%n", "../joe@example.org"},
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_non_null(pwname_expand(cases[i][0], cases[i][1], path, sizeof path));
}

/* The room ends at every place. */
static void expand_never_writes_beyond_the_room(void **state)
{
	static const char whole[] = "/mail/example.org/joe";

	(void)state;
	for (size_t size = 1; size <= sizeof whole + 1; size++) {
		char *path = malloc(size);
		const char *problem;

		assert_non_null(path);
		problem = pwname_expand("/mail/%d/%n", "joe@example.org", path, size);
		assert_true((problem == NULL) == (size >= sizeof whole));
		assert_memory_equal(path, whole, strlen(path));
		free(path);
	}
}

static void a_pattern_is_what_has_something_to_replace(void **state)
{
	(void)state;
	assert_true(pwname_is_pattern("/mail/%n"));
	assert_true(pwname_is_pattern("/mail/%x%u"));
	assert_true(pwname_is_pattern("/mail/%%"));
	assert_false(pwname_is_pattern("/mail/50%"));
	assert_false(pwname_is_pattern("/mail/%x"));
	assert_false(pwname_is_pattern(""));
}

static void mail_is_a_maildir_or_refused(void **state)
{
	static const char *const cases[][2] = {
		{"maildir:~/Maildir", "Maildir"},
		{"maildir:~/Maildir:LAYOUT=fs:INDEX=/x", "Maildir"},
		{"Maildir:/var/mail/joe", "/var/mail/joe"},
		{"/var/mail/joe", "/var/mail/joe"},
		{"~/in", "in"},
		{"~", "."},
		{"maildir:~", "."},
		{"maildir:~/", "."},
		{"maildir:%h/in", "in"},
		{"maildir:in", "in"},
		{"mbox:~/mail", NULL},
		{"mdbox:~/mdbox", NULL},
		{"", NULL},
		{"in", NULL},
	};
	char maildir[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *problem = pwmail_parse(cases[i][0], maildir, sizeof maildir);

		assert_true((problem == NULL) == (cases[i][1] != NULL));
		if (problem == NULL)
			assert_string_equal(maildir, cases[i][1]);
	}
	assert_null(pwmail_parse("/234567", maildir, 8));
	assert_non_null(pwmail_parse("/2345678", maildir, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_folded_and_get_a_domain),
		cmocka_unit_test(expand_puts_the_parts_of_a_login_in),
		cmocka_unit_test(expand_refuses_parts_that_lead_elsewhere),
		cmocka_unit_test(expand_never_writes_beyond_the_room),
		cmocka_unit_test(a_pattern_is_what_has_something_to_replace),
		cmocka_unit_test(mail_is_a_maildir_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
