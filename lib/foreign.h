/* foreign: the unique-ids that other POP3 servers gave to messages of a Maildir. Pure functions
 * over file names, lines of a server's own list, and octets of a message. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest unique-id of another server, without a terminator. RFC 1939 permits 70 octets;
 * some servers send whole file names. */
#define FOREIGN_UID_OCTETS 255

/* The longest text of a kind, without a terminator. */
#define FOREIGN_KIND_OCTETS 127

/* Where a server has its unique-ids from. */
enum foreign_source {
	FOREIGN_FROM_NAME,  /* the file name says it */
	FOREIGN_FROM_LIST,  /* a list in the Maildir */
	FOREIGN_FROM_HEADER /* a field "X-UIDL" of the message */
};

/* A kind of server. */
struct foreign {
	const struct foreign_server *server;
	const char *format; /* Dovecot's pop3_uidl_format, in the text that was parsed */
};

/* Reads a kind as --uidl-from takes it: "dovecot", "dovecot:FORMAT", "courier", "mailfront",
 * "qmail", "solid-pop3d", "tpop3d", "mailutils". Returns false if there is no such kind, or if
 * its format is not one of a Maildir; f keeps a pointer into the text. */
bool foreign_parse(struct foreign *f, const char *text);

/* Writes the kind as foreign_parse takes it, with its format, terminated. */
void foreign_write(const struct foreign *f, char text[FOREIGN_KIND_OCTETS + 1]);

enum foreign_source foreign_source(const struct foreign *f);

/* The file name of the server's list in the Maildir; NULL if it has none. */
const char *foreign_list_name(const struct foreign *f);

/* Writes the unique-id that the server made from a unique name (the file name up to its info),
 * not terminated. Returns its length; 0 if a client cannot have been sent it. */
size_t foreign_of_name(const struct foreign *f, char uid[FOREIGN_UID_OCTETS],
	const char *unique, size_t octets);

/* What is known of a list whose lines are read in turn. */
struct foreign_list {
	const struct foreign *kind;
	uint64_t validity; /* IMAP's UIDVALIDITY */
	unsigned version;  /* of the list's format; 0 before its first line was read */
};

/* What a line of a list is. */
enum foreign_line {
	FOREIGN_HEAD,    /* the first line */
	FOREIGN_RECORD,  /* it gives a file a unique-id */
	FOREIGN_NOTHING, /* it gives none */
	FOREIGN_WRONG    /* it is none of such a list, or the list is of an unknown version */
};

/* The file that a record is about, with or without its info, in the line; and its unique-id. */
struct foreign_record {
	const char *name;
	size_t name_octets;
	char uid[FOREIGN_UID_OCTETS];
	size_t uid_octets;
};

/* Takes the next line of a list, without its end. */
enum foreign_line foreign_take_line(struct foreign_list *list, const char *line, size_t octets,
	struct foreign_record *record);

/* Looks for the first field "X-UIDL" in the header of a message, which arrives in pieces;
 * starts as FOREIGN_FIELD_START. Only a value of 1 to 70 octets of 0x21 to 0x7E counts. */
struct foreign_field {
	char line[96]; /* the beginning of the line that is being read */
	size_t line_octets;
	size_t uid_octets; /* of the value, which then stands in line */
	bool is_over;      /* the header has ended, or the field was found */
};

#define FOREIGN_FIELD_START ((struct foreign_field){.line_octets = 0})

/* Takes the next piece. Returns whether more is wanted. */
bool foreign_take_header(struct foreign_field *field, const char *octets, size_t length);

/* foreign_format.c */

/* Whether a client can have been sent this unique-id: 1 to FOREIGN_UID_OCTETS octets, none of
 * them a control. */
bool foreign_is_uid(const char *uid, size_t octets);

/* What Dovecot makes a unique-id from. */
struct foreign_values {
	uint64_t uid, validity;
	const char *name; /* the file name up to its info */
	size_t name_octets;
	const char *guid; /* or NULL: the name */
	size_t guid_octets;
};

/* Writes what a pop3_uidl_format makes of the values, not terminated. Returns its length; 0 if
 * the format is wrong, is not for Maildirs, or makes what no client can have been sent. */
size_t foreign_format(
	char uid[FOREIGN_UID_OCTETS], const char *format, const struct foreign_values *values);

#endif
