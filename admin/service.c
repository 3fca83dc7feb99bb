/* service: see service.h. */
#include "admin/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "lib/argument.h"
#include "os/finding.h"

struct service *service_add(struct services *s, enum superserver by, const char *source)
{
	struct service *added;

	if (s->count == SERVICES_MOST)
		return NULL;
	added = &s->list[s->count++];
	added->by = by;
	snprintf(added->source, sizeof added->source, "%s", source);
	added->user[0] = '\0';
	added->port = 0;
	added->is_enabled = true;
	words_clear(&added->words);
	return added;
}

static bool ends_in(const char *path, const char *end)
{
	const size_t octets = strlen(path), end_octets = strlen(end);

	return octets >= end_octets && strcmp(path + octets - end_octets, end) == 0;
}

bool service_is_ours(const struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (ends_in(w->list[i], "/pop3d") || ends_in(w->list[i], "/pop3d-tls") ||
			ends_in(w->list[i], "/pop3d/serve"))
			return true;
	return false;
}

unsigned service_port(const char *text)
{
	const char *const colon = strrchr(text, ':');
	const char *const name = colon != NULL ? colon + 1 : text;
	const struct servent *known;
	uint64_t port;

	if (argument_number(name, 1, 65535, &port))
		return (unsigned)port;
	known = getservbyname(name, "tcp");
	return known != NULL ? ntohs((uint16_t)known->s_port) : 0;
}

void service_read_defaults(struct variables *v, const char *path, bool may_be_missing)
{
	static char reported[SERVICE_SOURCE_OCTETS];
	const long line = variables_read(v, path);

	if (line == 0 || (line < 0 && errno == ENOENT && may_be_missing) ||
		strcmp(reported, path) == 0)
		return;
	snprintf(reported, sizeof reported, "%s", path);
	if (line < 0)
		finding_put(FINDING_WRONG, "service",
			"%s cannot be read (%s): make the file readable, or take it out of the "
			"unit",
			path, strerror(errno));
	else
		finding_put(FINDING_WRONG, "service",
			"%s, line %ld, is not NAME=\"words\": mend it; superservers do not see "
			"what it "
			"says",
			path, line);
}
