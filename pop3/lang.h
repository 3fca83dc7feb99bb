/* lang: the LANG command of both states, RFC 6856 section 3. */
#ifndef LANG_H
#define LANG_H

#include <stdbool.h>

#include "pop3/wire.h"

/* Serves LANG: lists the languages, or chooses one ("*" or "i-default": the default) and
 * answers in it. Returns false if there is no such language. */
bool lang_reply(struct wire *w, struct span choice);

#endif
