/* request: see request.h. Keeps the launch privileges. */
#include "request.h"

#include <sys/wait.h>

#include "text.h"

/* All that a greeter may ever ask, before login (after it nobody listens any more): as often as
 * this, and only what is offered. */
static bool kind_permitted(const struct request *request, const struct request_limits *limits)
{
	if (request->kind >= OFFER_COUNT || request->language >= LANGUAGE_COUNT ||
		!offer_has(limits->offered, (enum offer)request->kind))
		return false;
	return request->kind == OFFER_STLS || limits->tries <= REQUEST_TRIES;
}

bool request_permitted(const struct request *request, const struct request_limits *limits)
{
	const size_t login = request->login_octets, password = request->password_octets;

	if (!kind_permitted(request, limits))
		return false;
	if (request->kind == OFFER_STLS)
		return login == 0 && password == 0;
	if (login == 0 || password == 0 || login + password > REQUEST_OCTETS ||
		login + password + limits->timestamp_octets + 3 > limits->credentials_most)
		return false;
	for (size_t i = 0; i < login + password; i++)
		if (request->octets[i] == '\0' || request->octets[i] == '\r' ||
			request->octets[i] == '\n')
			return false;
	return true;
}

enum request_verdict request_judge(int wait_status)
{
	if (!WIFEXITED(wait_status))
		return VERDICT_TEMPORARY;
	switch (WEXITSTATUS(wait_status)) {
	case 1:
	case 3:
	case 20: return VERDICT_REFUSED;
	case 2:
	case 100:
	case 126:
	case 127: return VERDICT_MISCONFIGURED;
	default: return VERDICT_TEMPORARY;
	}
}
