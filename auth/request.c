/* request: see request.h. Keeps the launch privileges. */
#include "auth/request.h"

#include <string.h>
#include <sys/wait.h>

#include "peer/proxy_client.h"
#include "pop3/text.h"

/* Whether the greeter may ask for this, and may ask for it once more. */
static bool kind_permitted(const struct request *request, const struct request_limits *limits)
{
	if (request->kind >= MECHANISM_COUNT || request->language >= LANGUAGE_COUNT ||
		!mechanism_set_has(limits->offered, (enum mechanism)request->kind))
		return false;
	return !request_is_login(request) || limits->tries <= REQUEST_TRIES;
}

bool request_is_login(const struct request *request)
{
	return request->kind < MECHANISM_STLS;
}

size_t request_length(const struct request *request)
{
	return REQUEST_LEAST + request->login_octets + request->password_octets;
}

static bool is_text(const struct request *request, size_t octets)
{
	return memchr(request->octets, '\0', octets) == NULL &&
	       memchr(request->octets, '\r', octets) == NULL &&
	       memchr(request->octets, '\n', octets) == NULL;
}

static bool name_permitted(const struct request *request, const struct request_limits *limits)
{
	return (!mechanism_set_has(limits->offered, MECHANISM_USER) ||
		       !mechanism_set_has(limits->offered, MECHANISM_APOP)) &&
	       limits->names <= REQUEST_TRIES && request->language < LANGUAGE_COUNT &&
	       request->login_octets > 0 && request->login_octets <= REQUEST_NAME_OCTETS &&
	       request->password_octets == 0 && is_text(request, request->login_octets);
}

struct request_limits request_limits_of(const struct settings *o, const char *timestamp)
{
	return (struct request_limits){.offered = o->found.offered,
		.credentials_most =
			o->asked.long_credentials ? REQUEST_OCTETS : REQUEST_CREDENTIALS_OCTETS,
		.timestamp_octets = strlen(timestamp)};
}

/* Descriptor 3 carries login, password and timestamp, with a NUL after each. */
bool request_has_room(const struct request_limits *limits, size_t octets)
{
	return octets <= REQUEST_OCTETS &&
	       octets + limits->timestamp_octets + 3 <= limits->credentials_most;
}

bool request_permitted(const struct request *request, const struct request_limits *limits)
{
	const size_t login = request->login_octets, password = request->password_octets;

	if (request->kind == REQUEST_NAMES_USER)
		return name_permitted(request, limits);
	if (!kind_permitted(request, limits))
		return false;
	if (!request_is_login(request))
		return login == (request->kind == MECHANISM_PROXY ? sizeof(struct proxy_client)
								  : 0) &&
		       password == 0;
	if (login == 0 || password == 0 || !request_has_room(limits, login + password))
		return false;
	return is_text(request, login + password);
}

/* 1 is in the interface; the others are those of vchkpw. */
static bool is_refusal(int status)
{
	return status == 1 || status == 3 || status == 20 || status == 21 || status == 23;
}

enum request_verdict request_verdict_of(int wait_status, const bool *also_refused)
{
	const int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 111;

	if (WIFEXITED(wait_status) && (is_refusal(status) || also_refused[status]))
		return VERDICT_REFUSED;
	if (status == 2 || status == 100 || status == 126 || status == 127)
		return VERDICT_MISCONFIGURED;
	return VERDICT_TEMPORARY;
}
