/* lang: see lang.h. */
#include "lang.h"

#include "reply.h"

static void list(struct wire *w)
{
	reply_ok(w, TEXT_LANGUAGES);
	for (int i = 0; i < LANGUAGE_COUNT; i++) {
		wire_puts(w, text_tag((enum language)i));
		wire_puts(w, " ");
		wire_puts(w, text_language_name((enum language)i));
		wire_puts(w, "\r\n");
	}
	wire_puts(w, ".\r\n");
}

bool lang_reply(struct wire *w, struct wire_text choice)
{
	enum language language = LANGUAGE_ENGLISH;

	if (choice.length == 0) {
		list(w);
		return true;
	}
	if (!(choice.length == 1 && choice.octets[0] == '*') &&
		!text_language(choice.octets, choice.length, &language)) {
		reply_error(w, REPLY_NO_CODE, TEXT_UNKNOWN_LANGUAGE);
		return false;
	}
	w->language = language;
	reply_ok_with(w, TEXT_LANGUAGE_SET, (struct text_values){{0, 0}, text_tag(language)});
	return true;
}
