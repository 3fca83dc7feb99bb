/* lang: the LANG command, RFC 6856 section 3, which both states have. */
#ifndef LANG_H
#define LANG_H

#include <stdbool.h>

#include "pop3/wire.h"

/* Serves LANG: lists the languages, or chooses one ("*" or "i-default": the default) and
 * answers in it. Returns false where the choice was none. */
bool lang_reply(struct wire *w, struct span choice);

#endif
