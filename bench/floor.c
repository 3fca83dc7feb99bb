/* floor: answers +OK to every line and has no mail. It is not a server. It shows what one
 * process for each connection costs by itself, which is the lower limit for every server of
 * that kind. */
#include <string.h>
#include <unistd.h>

static int say(const char *text)
{
	const size_t length = strlen(text);

	return write(1, text, length) == (ssize_t)length;
}

int main(void)
{
	char line[512];
	ssize_t length;

	if (!say("+OK floor\r\n"))
		return 111;
	while ((length = read(0, line, sizeof line)) > 0) {
		if (!say(length >= 4 && memcmp(line, "STAT", 4) == 0 ? "+OK 0 0\r\n"
								     : "+OK\r\n"))
			return 111;
		if (length >= 4 && memcmp(line, "QUIT", 4) == 0)
			return 0;
	}
	return 0;
}
