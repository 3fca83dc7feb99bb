/* configuration: see configuration.h. Runs with the launch privileges. */
#include "tls/configuration.h"

#include <errno.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "os/file.h"
#include "os/log.h"
#include "tls/policy.h"

#define SYSTEM_DEFAULT "system_default"
#define LIST_OCTETS 4096

bool configuration_is_wanted(void)
{
	char *const path = CONF_get1_default_config_file();
	struct file_octets text = {NULL, 0};
	bool wanted = path == NULL;

	if (path == NULL || path[0] == '\0')
		;
	else if (file_read(path, &text, NULL))
		wanted = !policy_is_exceeded(text.data, text.length);
	else
		wanted = errno != ENOENT;
	file_forget(&text);
	OPENSSL_free(path);
	return wanted;
}

/* The names of those ciphers of a version, or of all before it, that are in both lists. Returns
 * false if there is no room. */
static bool list_common(
	char *list, const STACK_OF(SSL_CIPHER) * all, STACK_OF(SSL_CIPHER) * own, bool of_1_3)
{
	size_t length = 0;

	list[0] = '\0';
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		SSL_CIPHER *const cipher = (SSL_CIPHER *)sk_SSL_CIPHER_value(all, i);
		int added;

		if ((strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0) != of_1_3 ||
			sk_SSL_CIPHER_find(own, cipher) < 0)
			continue;
		added = snprintf(list + length, LIST_OCTETS - length, "%s%s",
			length > 0 ? ":" : "", SSL_CIPHER_get_name(cipher));
		if (added < 0 || (size_t)added >= LIST_OCTETS - length)
			return false;
		length += (size_t)added;
	}
	return true;
}

/* Leaves those ciphers that are in this list as well, in the order of the file. A version
 * without any is not offered. */
static bool leave_ciphers(SSL_CTX *context, STACK_OF(SSL_CIPHER) * own)
{
	char before_1_3[LIST_OCTETS], of_1_3[LIST_OCTETS];
	const STACK_OF(SSL_CIPHER) *const all = SSL_CTX_get_ciphers(context);
	const long most = SSL_CTX_get_max_proto_version(context);

	if (!list_common(before_1_3, all, own, false) || !list_common(of_1_3, all, own, true))
		return false;
	if (of_1_3[0] == '\0' && (most == 0 || most > TLS1_2_VERSION) &&
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) != 1)
		return false;
	if (before_1_3[0] == '\0')
		return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1;
	return SSL_CTX_set_ciphersuites(context, of_1_3) == 1 &&
	       SSL_CTX_set_cipher_list(context, before_1_3) == 1;
}

static bool log_trouble(const char *value)
{
	log_event(LOG_ERR,
		"tls-configuration problem=\"OpenSSL's configuration file\" value=\"%s\"",
		value != NULL ? value : "");
	return false;
}

/* Repeats what the library did as it made the context, over the settings of this program. */
static bool repeat_settings(const struct tls *t)
{
	if (SSL_CTX_config(t->context, SYSTEM_DEFAULT) == 1)
		return true;
	/* the file has other things in it, and no such name */
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_INVALID_CONFIGURATION_NAME) {
		ERR_clear_error();
		return true;
	}
	return log_trouble(ERR_reason_error_string(ERR_peek_error()));
}

/* When the library makes a context it passes by what the file says of certificates; when it
 * repeats the settings it does not. Which authorities count, and which keys the program has,
 * are for the options to say. */
static bool forget_certificates(SSL_CTX *context)
{
	SSL_CTX_set0_CA_list(context, NULL);
	SSL_CTX_set_client_CA_list(context, NULL);
	if (SSL_CTX_set0_verify_cert_store(context, NULL) != 1 ||
		SSL_CTX_set0_chain_cert_store(context, NULL) != 1)
		return log_trouble("authorities that cannot be left out");
	if (SSL_CTX_get0_certificate(context) != NULL ||
		SSL_CTX_get0_privatekey(context) != NULL)
		return log_trouble(
			"a certificate in it: --cert and --key name those of pop3d-tls");
	return true;
}

bool configuration_apply(const struct tls *t)
{
	SSL_CTX *const c = t->context;
	const int version = (int)SSL_CTX_get_min_proto_version(c);
	STACK_OF(SSL_CIPHER) *const own = sk_SSL_CIPHER_dup(SSL_CTX_get_ciphers(c));
	bool good = own != NULL && repeat_settings(t) && forget_certificates(c);
	long most;

	if (good && ((SSL_CTX_get_min_proto_version(c) < version &&
			     SSL_CTX_set_min_proto_version(c, version) != 1) ||
			    !leave_ciphers(c, own)))
		good = log_trouble("versions or ciphers that cannot be set");
	sk_SSL_CIPHER_free(own);
	/* the sandbox does not permit what the library would do for it */
	SSL_CTX_clear_options(c, SSL_OP_ENABLE_KTLS);
	most = SSL_CTX_get_max_proto_version(c);
	if (good && most != 0 && most < SSL_CTX_get_min_proto_version(c))
		return log_trouble("no version and cipher is left");
	return good;
}
