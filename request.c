/* request: see request.h. Keeps the launch privileges. */
#include "request.h"

#include <sys/wait.h>

/* All that a greeter may ever ask: before login, and nothing after it. */
static const struct rule {
	uint16_t mechanism;
	unsigned tries;
	bool needs_apop;
} rules[] = {
	{REQUEST_USER, REQUEST_TRIES, false},
	{REQUEST_APOP, REQUEST_TRIES, true},
};

static bool rule_permits(uint16_t mechanism, unsigned tries, bool apop)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].mechanism == mechanism)
			return tries <= rules[i].tries && (apop || !rules[i].needs_apop);
	return false;
}

bool request_permitted(
	const struct request *request, size_t timestamp_octets, unsigned tries, bool apop)
{
	const size_t login = request->login_octets, password = request->password_octets;

	if (!rule_permits(request->mechanism, tries, apop) || login == 0 || password == 0 ||
		login + password + timestamp_octets + 3 > REQUEST_CREDENTIALS_OCTETS)
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
