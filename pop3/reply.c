/* reply: see reply.h. */
#include "pop3/reply.h"

static const char *const codes[] = {
	[REPLY_NO_CODE] = "",
	[REPLY_AUTH] = "[AUTH] ",
	[REPLY_SYS_TEMP] = "[SYS/TEMP] ",
	[REPLY_SYS_PERM] = "[SYS/PERM] ",
	[REPLY_IN_USE] = "[IN-USE] ",
};

static void put_line(struct wire *w, const char *status, const char *code, enum text text,
	const struct text_values *values)
{
	char line[WIRE_REPLY_OCTETS - 32];

	text_fill(line, sizeof line, text, w->language, values);
	wire_reply(w, "%s%s%s", status, code, line);
}

struct text_values reply_numbers(uint64_t first, uint64_t second)
{
	return (struct text_values){{first, second}, ""};
}

void reply_ok_with(struct wire *w, enum text text, struct text_values values)
{
	put_line(w, "+OK ", "", text, &values);
}

void reply_error_with(
	struct wire *w, enum reply_code code, enum text text, struct text_values values)
{
	put_line(w, "-ERR ", codes[code], text, &values);
}

void reply_ok(struct wire *w, enum text text)
{
	reply_ok_with(w, text, reply_numbers(0, 0));
}

void reply_error(struct wire *w, enum reply_code code, enum text text)
{
	reply_error_with(w, code, text, reply_numbers(0, 0));
}
