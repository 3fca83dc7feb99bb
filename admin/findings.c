/* findings: see findings.h. */
#include "admin/findings.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_OCTETS 2048

static enum finding worst;

void finding_put(enum finding finding, const char *subject, const char *format, ...)
{
	static const char *const names[] = {"ok", "warning", "wrong"};
	char text[TEXT_OCTETS];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	/* names of files and the like are a user's: no line ends and no control sequences */
	for (char *octet = text; *octet != '\0'; octet++)
		if ((unsigned char)*octet < ' ' || *octet == 0x7f)
			*octet = '?';
	printf("%-8s %s: %s\n", names[finding], subject, text);
	if (finding > worst)
		worst = finding;
}

enum finding findings_worst(void)
{
	return worst;
}
