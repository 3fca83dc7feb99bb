/* reply: the first line of a reply: status, response code (RFC 2449 section 8), text. */
#ifndef REPLY_H
#define REPLY_H

#include "pop3/text.h"
#include "pop3/wire.h"

enum reply_code {
	REPLY_NO_CODE,
	REPLY_AUTH,     /* RFC 3206: the credentials are wrong */
	REPLY_SYS_TEMP, /* RFC 3206: try later */
	REPLY_SYS_PERM, /* RFC 3206: the administrator has to mend it */
	REPLY_IN_USE,   /* RFC 2449 */
};

/* Put a whole line on the wire, in the wire's language. The second pair fills values in. */
void reply_ok(struct wire *w, enum text text);
void reply_error(struct wire *w, enum reply_code code, enum text text);
void reply_ok_with(struct wire *w, enum text text, struct text_values values);
void reply_error_with(
	struct wire *w, enum reply_code code, enum text text, struct text_values values);

/* The values of a text with one or two numbers. */
struct text_values reply_numbers(uint64_t first, uint64_t second);

#endif
