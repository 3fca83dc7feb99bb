/* lang: see lang.h. */
#include "pop3/lang.h"

#include <string.h>
#include <strings.h>

#include "pop3/reply.h"

/* The name for the language before one is chosen (RFC 2277); RFC 6856 wants it listed. */
static const char default_tag[] = "i-default";

static void list_languages(struct wire *w)
{
	reply_ok(w, TEXT_LANGUAGES);
	wire_puts(w, default_tag);
	wire_puts(w, " ");
	wire_puts(w, text_language_name(LANGUAGE_ENGLISH));
	wire_puts(w, "\r\n");
	for (int i = 0; i < LANGUAGE_COUNT; i++) {
		wire_puts(w, text_tag((enum language)i));
		wire_puts(w, " ");
		wire_puts(w, text_language_name((enum language)i));
		wire_puts(w, "\r\n");
	}
	wire_puts(w, ".\r\n");
}

static bool is_default(struct span choice)
{
	return (choice.length == 1 && choice.octets[0] == '*') ||
	       (choice.length == strlen(default_tag) &&
		       strncasecmp(choice.octets, default_tag, choice.length) == 0);
}

bool lang_reply(struct wire *w, struct span choice)
{
	enum language language = LANGUAGE_ENGLISH;

	if (choice.length == 0) {
		list_languages(w);
		return true;
	}
	if (!is_default(choice) && !text_language(choice.octets, choice.length, &language)) {
		reply_error(w, REPLY_NO_CODE, TEXT_UNKNOWN_LANGUAGE);
		return false;
	}
	w->language = language;
	reply_ok_with(w, TEXT_LANGUAGE_SET, (struct text_values){{0, 0}, text_tag(language)});
	return true;
}
