/* listing: the lines of LIST and UIDL. */
#ifndef LISTING_H
#define LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "maildir.h"
#include "pop3/wire.h"

/* The longest line with its CRLF: two numbers, or a number and a unique-id. */
#define LISTING_LINE_OCTETS (24 + MAILDIR_UID_OCTETS)

/* Writes the line of a message (numbers begin at 1) and its CRLF. Returns its length, or 0 with
 * errno if the message cannot be looked up any more (see maildir_get). */
typedef size_t listing_line(struct maildir *m, size_t number, char line[LISTING_LINE_OCTETS]);

listing_line listing_size; /* RFC 1939, LIST: scan listing */
listing_line listing_uid;  /* RFC 1939, UIDL: unique-id listing */

/* Puts the lines of all messages that are not marked as deleted on the wire. Returns false with
 * errno if one of them cannot be looked up any more. */
bool listing_put(struct wire *w, struct maildir *m, listing_line *line);

#endif
