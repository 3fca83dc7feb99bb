/* mail: see mail.h. */
#include "checkpw/mail.h"

#include <string.h>
#include <strings.h>

const char *pwmail_parse(const char *location, char *maildir, size_t size)
{
	static const char format[] = "maildir:";
	const size_t format_length = sizeof format - 1;
	size_t length;

	maildir[0] = '\0';
	if (strncasecmp(location, format, format_length) == 0)
		location += format_length;
	else if (location[0] != '/' && location[0] != '~' && location[0] != '%')
		return "the mail is not in a Maildir";
	length = strcspn(location, ":");
	if (length >= 2 && (memcmp(location, "~/", 2) == 0 || memcmp(location, "%h", 2) == 0)) {
		const size_t skipped = location[0] == '~' ? 2 : 2 + (location[2] == '/');

		location += skipped;
		length -= skipped;
	} else if (length == 1 && location[0] == '~') {
		length = 0;
	}
	if (length == 0) {
		location = ".";
		length = 1;
	}
	if (length >= size)
		return "the path of the mail is too long";
	memcpy(maildir, location, length);
	maildir[length] = '\0';
	return NULL;
}
