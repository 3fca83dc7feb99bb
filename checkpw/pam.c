/* pam: asks PAM whether an account of this host may read its mail.
 *
 * RUNS AS ROOT, and so do the modules that the service names. No session is opened and no
 * credentials are set: the process that could close them again is about to become the mail
 * session, and a mailbox needs neither. What the service says under "session" is therefore
 * never run. */
#include "checkpw/pam.h"

#include "os/log.h"

#ifndef WITH_PAM

enum pw_status pwpam_ask(const char *login, const char *password, char *name, size_t size)
{
	(void)login;
	(void)password;
	(void)name;
	(void)size;
	log_event(LOG_ERR, "checkpw-misused problem=\"--system, --pam: this program was built "
			   "without PAM\"");
	return PW_MISUSED;
}

enum pw_status pwpam_check(const char *login, const char *password, struct pw_user *user)
{
	return pwpam_ask(login, password, user->name, sizeof user->name);
}

#else

#include <errno.h>
#include <security/pam_appl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checkpw/entry.h"
#include "checkpw/host.h"
#include "checkpw/quote.h"

static void wipe_answers(struct pam_response *answers, int count)
{
	for (int i = 0; i < count; i++) {
		if (answers[i].resp != NULL)
			explicit_bzero(answers[i].resp, strlen(answers[i].resp));
		free(answers[i].resp);
	}
	free(answers);
}

/* The password is the answer to any question that is not echoed; a question that is echoed
 * cannot be answered here. Texts that a module merely shows have nobody to read them. */
static bool answer(const struct pam_message *message, const char *password, char **reply)
{
	*reply = NULL;
	switch (message->msg_style) {
	case PAM_PROMPT_ECHO_OFF: *reply = strdup(password); return *reply != NULL;
	case PAM_TEXT_INFO:
	case PAM_ERROR_MSG: return true;
	default:
		log_event(LOG_ERR, "checkpw-pam step=conversation problem=\"a module asks for "
				   "more than a password\"");
		return false;
	}
}

/* The answers given become PAM's, which wipes and frees them. */
static int converse(int count, const struct pam_message **messages,
	struct pam_response **responses, void *password)
{
	struct pam_response *answers;

	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	answers = calloc((size_t)count, sizeof *answers);
	if (answers == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		if (!answer(messages[i], password, &answers[i].resp)) {
			wipe_answers(answers, i);
			return PAM_CONV_ERR;
		}
	}
	*responses = answers;
	return PAM_SUCCESS;
}

static enum pw_status status_of(int result)
{
	switch (result) {
	case PAM_SUCCESS: return PW_OK;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD: return PW_REFUSED;
	case PAM_OPEN_ERR:
	case PAM_SYMBOL_ERR:
	case PAM_MODULE_UNKNOWN:
	case PAM_BAD_ITEM:
	case PAM_CONV_ERR:
	case PAM_CRED_INSUFFICIENT: return PW_MISCONFIGURED;
	default: return PW_TEMPORARY;
	}
}

/* A refusal by "auth" gets no line here: it would tell unknown logins from wrong passwords. */
static enum pw_status judge(pam_handle_t *pam, const char *step, int result, const char *login)
{
	enum pw_status status = status_of(result);
	bool account_is_shut = status == PW_REFUSED && strcmp(step, "account") == 0;

	if (account_is_shut || status == PW_MISCONFIGURED || status == PW_TEMPORARY)
		log_event(LOG_ERR, "checkpw-pam step=%s user=%s problem=\"%s\"", step,
			quote(login).text, pam_strerror(pam, result));
	return status;
}

/* Waits for nothing: pop3d delays failures itself, all by the same time. PAM's own delay is a
 * random one, and its modules ask for it only where an account exists. */
static void do_not_delay(int status, unsigned microseconds, void *conversation)
{
	(void)status;
	(void)microseconds;
	(void)conversation;
}

static int set_items(pam_handle_t *pam)
{
	const char *remote = getenv("TCPREMOTEIP");
	int result = pam_set_item(pam, PAM_TTY, "pop3");

	if (result == PAM_SUCCESS && remote != NULL && remote[0] != '\0')
		result = pam_set_item(pam, PAM_RHOST, remote);
#ifdef PAM_FAIL_DELAY
	if (result == PAM_SUCCESS)
		result = pam_set_item(
			pam, PAM_FAIL_DELAY, (const void *)(uintptr_t)do_not_delay);
#else
	(void)do_not_delay;
#endif
	return result;
}

/* Modules may map the login to another account; the name that counts afterwards goes to name.
 */
static enum pw_status authenticate(
	pam_handle_t *pam, const char *login, char *name, size_t size)
{
	enum pw_status status = judge(pam, "start", set_items(pam), login);
	const void *mapped = NULL;
	int result;

	if (status == PW_OK)
		status = judge(pam, "auth",
			pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK), login);
	if (status == PW_OK)
		status = judge(pam, "account",
			pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK), login);
	if (status != PW_OK)
		return status;
	result = pam_get_item(pam, PAM_USER, &mapped);
	if (result != PAM_SUCCESS || mapped == NULL || strlen(mapped) >= size)
		return judge(pam, "user-name", PAM_SYSTEM_ERR, login);
	memcpy(name, mapped, strlen(mapped) + 1);
	return PW_OK;
}

static enum pw_status ask_pam(const char *login, const char *password, char *name, size_t size)
{
	/* PAM's interface is not const; converse only reads it */
	struct pam_conv conversation = {converse, (void *)(uintptr_t)password};
	pam_handle_t *pam = NULL;
	int result = pam_start(PWPAM_SERVICE, login, &conversation, &pam);
	enum pw_status status;

	if (result != PAM_SUCCESS)
		return judge(pam, "start", result, login);
	status = authenticate(pam, login, name, size);
	pam_end(pam, status == PW_OK ? PAM_SUCCESS : PAM_AUTH_ERR);
	return status;
}

static enum pw_status fill_user(struct pw_user *user)
{
	const enum pw_status status = pwhost_find(user->name, user);

	switch (status) {
	case PW_OK: return PW_OK;
	case PW_MISCONFIGURED:
		log_event(LOG_ERR,
			"checkpw-no-account user=%s problem=\"its home or shell is too long\"",
			quote(user->name).text);
		return PW_MISCONFIGURED;
	default:
		log_event(LOG_ERR,
			"checkpw-no-account user=%s problem=\"PAM knows it, but the host has "
			"no such account: %s\"",
			quote(user->name).text,
			status == PW_TEMPORARY ? strerror(errno) : "not found");
		return status == PW_TEMPORARY ? PW_TEMPORARY : PW_MISCONFIGURED;
	}
}

static bool is_root(const char *login)
{
	static struct pw_user account;

	return pwhost_find(login, &account) == PW_OK && account.uid == 0;
}

enum pw_status pwpam_ask(const char *login, const char *password, char *name, size_t size)
{
	/* Modules make file names and command lines of the login. And root is refused before
	 * PAM sees the password, since the time that a refusal takes must not tell whether it
	 * was right. */
	if (!pwfile_login_is_valid(login) || strchr(login, '/') != NULL || is_root(login))
		return PW_REFUSED;
	return ask_pam(login, password, name, size);
}

enum pw_status pwpam_check(const char *login, const char *password, struct pw_user *user)
{
	const enum pw_status status = pwpam_ask(login, password, user->name, sizeof user->name);

	return status == PW_OK ? fill_user(user) : status;
}

#endif
