/* finding: see finding.h. */
#include "os/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

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
		if ((unsigned char)*octet < ' ' || (unsigned char)*octet >= 0x7f)
			*octet = '?';
	printf("%-8s %s: %s\n", names[finding], subject, text);
	if (finding > worst)
		worst = finding;
}

enum finding finding_worst(void)
{
	return worst;
}

bool finding_add_status(int wait_status)
{
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) > FINDING_WRONG)
		return false;
	if (WEXITSTATUS(wait_status) > (int)worst)
		worst = (enum finding)WEXITSTATUS(wait_status);
	return true;
}
