/* utf8: see utf8.h. */
#include "lib/utf8.h"

/* RFC 3629 section 4: how many octets follow a first octet, and the range of the second. */
/*@ requires \valid(least) && \valid(most) && \separated(least, most);
    assigns *least, *most;
    ensures \initialized(least) && \initialized(most);
    ensures \result <= 3; */
static size_t count_following(unsigned char first, unsigned char *least, unsigned char *most)
{
	*least = 0x80;
	*most = 0xbf;
	switch (first) {
	case 0xe0: *least = 0xa0; break;
	case 0xed: *most = 0x9f; break;
	case 0xf0: *least = 0x90; break;
	case 0xf4: *most = 0x8f; break;
	default: break;
	}
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

bool utf8_is_valid(const char *octets, size_t length)
{
	size_t at = 0;

	/*@ loop invariant at <= length;
	    loop assigns at;
	    loop variant length - at; */
	while (at < length) {
		const unsigned char first = (unsigned char)octets[at++];
		unsigned char least, most;
		size_t left = count_following(first, &least, &most);

		if (first < 0x80)
			continue;
		if (left == 0 || left > length - at)
			return false;
		/*@ loop invariant at + left <= length && at >= \at(at, LoopEntry);
		    loop assigns at, left, least, most;
		    loop variant left; */
		for (; left > 0; left--) {
			const unsigned char c = (unsigned char)octets[at++];

			if (c < least || c > most)
				return false;
			least = 0x80;
			most = 0xbf;
		}
	}
	return true;
}
