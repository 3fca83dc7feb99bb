/* policy: which configuration files of OpenSSL ask for nothing more. */
#include "tests/unit/unit.h"

#include "tls/policy.h"

static bool is_exceeded(const char *text)
{
	return policy_is_exceeded(text, strlen(text));
}

#define HEAD "HOME = .\n# comment\nopenssl_conf = init # and why\n[new_oids]\na = $b::c\n"

TEST(a_file_that_configures_nothing)
{
	static const char *const texts[] = {"", "\n\n# only a comment", "[ca]\ndir = ./ca\n",
		"x = \"quoted # text\"\n[a]\ny = ${z}\n", HEAD "[ init ]\n", HEAD,
		HEAD
		"[init]\r\nproviders = p\r\n[p]\r\ndefault = d\r\n[d]\r\n# activate = 1\r\n",
		HEAD "[d]\nactivate = 1\n[p]\ndefault=d\n[init]\nproviders=p",
		"[other]\nopenssl_conf = x\n[x]\nengines = e\n"};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_true(is_exceeded(texts[i]));
}

TEST(settings_of_tls_that_are_no_stricter)
{
	static const char *const settings[] = {"MinProtocol = TLSv1.2\n", "MinProtocol = None",
		"CipherString = DEFAULT@SECLEVEL=2\n", "CipherString = DEFAULT:@SECLEVEL=1\n",
		"MinProtocol = TLSv1\nCipherString = DEFAULT\n"};

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		char text[512];

		snprintf(text, sizeof text,
			HEAD
			"[init]\nssl_conf = s\n[s]\nsystem_default = d\nopenssh = o\n[d]\n%s",
			settings[i]);
		assert_true(is_exceeded(text));
	}
}

TEST(settings_of_tls_that_may_be_stricter)
{
	static const char *const settings[] = {"MinProtocol = TLSv1.3\n",
		"MaxProtocol = TLSv1.2\n", "CipherString = DEFAULT@SECLEVEL=3\n",
		"Groups = P-256\n", "Options = -SessionTicket\n", "minprotocol = TLSv1.2\n",
		"MinProtocol = $v\n", "MinProtocol = \"TLSv1.3\"\n", "Ciphersuites =\n",
		"SignatureAlgorithms = ECDSA+SHA256\n",
		"MinProtocol = TLSv1.2\n[x]\n[d]\nCurves = X\n"};

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		char text[512];

		snprintf(text, sizeof text,
			"[d]\n%s[default]\nopenssl_conf=init\n[init]\nssl_conf = s\n[s]\n"
			"system_default = d\n",
			settings[i]);
		assert_false(is_exceeded(text));
	}
}

TEST(other_modules)
{
	static const char *const modules[] = {"engines = e\n", "alg_section = a\n",
		"providers = p\n[p]\nlegacy = l\n[l]\nactivate = 1\n",
		"providers = p\n[p]\ndefault = d\n[d]\nmodule = x.so\n",
		"providers = p\n[p]\ndefault = d\nfips = f\n", "providers = $p\n",
		"random = r\n"};

	for (size_t i = 0; i < COUNT_OF(modules); i++) {
		char text[512];

		snprintf(text, sizeof text, HEAD "[init]\n%s", modules[i]);
		assert_false(is_exceeded(text));
	}
}

TEST(what_is_not_understood_may_be_anything)
{
	static const char *const texts[] = {".include /etc/ssl/more.cnf\n",
		".pragma = abspath:true\n", ".include = more.cnf", "a = b\\\n[init]\nx = y\n",
		"# comment \\\nopenssl_conf = x\n", "x::y = z\n", "[a\n", "[a b]\n",
		"no assignment\n", "= x\n", "\xef\xbb\xbfopenssl_conf = init\n",
		"openssl_conf = $ENV::X\n", "openssl_conf = 'x'\n", "openssl_conf =\n",
		"open\\ssl_conf = x\n"};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_false(is_exceeded(texts[i]));
}

TEST(the_last_assignment_counts)
{
	assert_true(is_exceeded("openssl_conf = a\nopenssl_conf = b\n[a]\nengines = e\n[b]\n"));
	assert_false(is_exceeded(
		"openssl_conf = b\n[default]\nopenssl_conf = a\n[a]\nengines = e\n"));
}

TEST(no_octet_after_the_text_is_read)
{
	static const char text[] =
		HEAD "[init]\nproviders = p\n[p]\ndefault = d\n[d]\nactivate = 1\n";

	for (size_t length = 0; length < sizeof text; length++) {
		char *const copy = malloc(length);

		assert_non_null(copy);
		memcpy(copy, text, length);
		(void)policy_is_exceeded(copy, length);
		free(copy);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_file_that_configures_nothing),
	cmocka_unit_test(settings_of_tls_that_are_no_stricter),
	cmocka_unit_test(settings_of_tls_that_may_be_stricter),
	cmocka_unit_test(other_modules),
	cmocka_unit_test(what_is_not_understood_may_be_anything),
	cmocka_unit_test(the_last_assignment_counts),
	cmocka_unit_test(no_octet_after_the_text_is_read),
};

int main(void)
{
	return UNIT_RUN("policy", tests);
}
