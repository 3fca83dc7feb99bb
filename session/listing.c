/* listing: see listing.h. */
#include "session/listing.h"

#include "lib/number.h"

/* Lines gather in a buffer: for a hundred thousand messages, a call for each piece of a line
 * costs measurable time. */
#define GATHERED_OCTETS 4096

static size_t end_line(char *line, size_t octets)
{
	line[octets] = '\r';
	line[octets + 1] = '\n';
	return octets + 2;
}

size_t listing_size(struct maildir *m, size_t number, char line[LISTING_LINE_OCTETS])
{
	uint64_t size_octets;
	size_t octets;

	if (!maildir_get_size(m, number - 1, &size_octets))
		return 0;
	octets = number_write(line, number);
	line[octets++] = ' ';
	return end_line(line, octets + number_write(line + octets, size_octets));
}

size_t listing_uid(struct maildir *m, size_t number, char line[LISTING_LINE_OCTETS])
{
	size_t octets = number_write(line, number), uid_octets;

	line[octets++] = ' ';
	uid_octets = maildir_uid(m, number - 1, line + octets);
	return uid_octets > 0 ? end_line(line, octets + uid_octets) : 0;
}

bool listing_put(struct wire *w, struct maildir *m, listing_line *line)
{
	char gathered[GATHERED_OCTETS];
	size_t used = 0;

	for (size_t i = 0; i < m->snapshot.count && w->end == WIRE_OPEN; i++) {
		size_t octets;

		if (maildir_is_deleted(m, i))
			continue;
		octets = line(m, i + 1, gathered + used);
		if (octets == 0)
			return false;
		used += octets;
		if (used > sizeof gathered - LISTING_LINE_OCTETS) {
			wire_put(w, gathered, used);
			used = 0;
		}
	}
	wire_put(w, gathered, used);
	return true;
}
