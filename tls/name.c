/* name: see name.h. */
#include "tls/name.h"

#include <stdio.h>
#include <string.h>

#include "lib/lower.h"

/* The character in lower case if a name may contain it, or NUL. */
static char letter_of_name(char given)
{
	const char c = lower_of(given);

	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		c == '.')
		return c;
	return '\0';
}

bool tls_name_take(char name[TLS_NAME_OCTETS + 1], const char *text, size_t length)
{
	if (length == 0 || length > TLS_NAME_OCTETS || text[length - 1] == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		const bool begins = i == 0 || name[i - 1] == '.';

		name[i] = letter_of_name(text[i]);
		if (name[i] == '\0' || (begins && (name[i] == '.' || name[i] == '-')))
			return false;
	}
	name[length] = '\0';
	return true;
}

bool tls_name_wildcard(char wildcard[TLS_NAME_OCTETS + 1], const char *name)
{
	const char *const dot = strchr(name, '.');
	int length;

	if (dot == NULL)
		return false;
	length = snprintf(wildcard, TLS_NAME_OCTETS + 1, "_%s", dot);
	return length > 0 && length <= TLS_NAME_OCTETS;
}
