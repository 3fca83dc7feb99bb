/* argument: see argument.h. */
#include "lib/argument.h"

#include <string.h>

#include "lib/number.h"

bool argument_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	return number_parse(text, strlen(text), number) && *number >= least && *number <= most;
}

bool argument_seconds(const char *text, uint64_t least, uint64_t most, int64_t *seconds)
{
	uint64_t number;

	if (!argument_number(text, least, most, &number))
		return false;
	*seconds = (int64_t)number;
	return true;
}

bool argument_user(const char *text, uid_t *uid, gid_t *gid)
{
	const char *const colon = strchr(text, ':');
	const size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
	uint64_t user, group;

	if (!number_parse(text, length, &user))
		return false;
	group = user;
	if (colon != NULL && !number_parse(colon + 1, strlen(colon + 1), &group))
		return false;
	if (user == 0 || group == 0 || user >= UINT32_MAX || group >= UINT32_MAX)
		return false;
	*uid = (uid_t)user;
	*gid = (gid_t)group;
	return true;
}
