/* quote: see quote.h. */
#include "checkpw/quote.h"

#include <string.h>

#include "os/log.h"

struct quoted quote(const char *text)
{
	struct quoted quoted = {.text = ""};

	log_quote(quoted.text, sizeof quoted.text, text, strlen(text));
	return quoted;
}
