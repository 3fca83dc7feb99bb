/* name: unique names of Maildir messages, and the unique-ids that UIDL makes of them. Pure
 * functions. */
#ifndef UID_H
#define UID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest unique-id (RFC 1939 section 7) with its terminator. */
#define UID_TEXT_OCTETS 71

/* Longest file name, without a terminator. */
#define UID_NAME_OCTETS 255

/* Length of the unique name in a file name: the octets before the first ':'. If there is no
 * ':',
 * ";2," or "!2," ends the unique name: programs on Windows write these. */
size_t uid_unique_octets(const char *name, size_t name_octets);

/* Whether an info of this form begins here: "2," after one of the three separators. */
bool uid_is_info(const char *info, size_t octets);

/* Whether such an info has this flag. */
bool uid_has_flag(const char *info, size_t octets, char flag);

/* Length of the base of a unique name: what stands before the first ','. Programs add and
 * remove fields such as ",S=" after it. */
size_t uid_base_octets(const char *unique, size_t octets);

/* Whether all that stands after the base is fields: each a ',', letters or digits, a '=' and a
 * value. In other names the part after a ',' may be what tells two messages apart. */
bool uid_has_only_fields(const char *unique, size_t octets);

/* The delivery time in the base of a unique name: seconds before the first '.' or '_',
 * microseconds after an 'M' in the part after the first '.'. 0 if the name has no time. */
struct uid_time {
	uint64_t seconds;
	uint32_t microseconds;
};

struct uid_time uid_delivery_time(const char *unique, size_t octets);

/* A larger size in a name is not believed, so that no sum of sizes wraps. */
#define UID_SIZE_MOST ((uint64_t)1 << 44)

/* Reads a field such as ",W=1234" (field is 'W') of a unique name. False if it is not there, or
 * is more than UID_SIZE_MOST. */
bool uid_size_field(const char *unique, size_t octets, char field, uint64_t *size);

/* Writes the new unique name for a file whose unique name another file keeps: the base, "-i",
 * the inode in hexadecimal digits, and the fields after the base. Returns its length, or 0 if
 * it would be longer than a file name. name is not terminated. */
size_t uid_twin_name(
	char name[UID_NAME_OCTETS], const char *unique, size_t octets, uint64_t inode);

/* Undoes uid_twin_name: writes the unique name without "-i" and the inode, and sets *inode.
 * Returns its length, or 0 if the name is not of that form. */
size_t uid_untwin_name(
	char name[UID_NAME_OCTETS], const char *unique, size_t octets, uint64_t *inode);

/* Writes the unique-id and its terminator to text: the unique name itself where that is 1 to 70
 * octets of 0x21 to 0x7E, else 32 hex digits made from it. If shared is not 0, it is the inode
 * of a file that gets a name of its own. The unique-id is then that of the new name, or a hash
 * of name and inode if the new name would be too long. Returns its length. */
size_t uid_text(char text[UID_TEXT_OCTETS], const char *unique, size_t octets, uint64_t shared);

/* Writes 32 hex digits made from the same, and a terminator: other ones for each salt (1 and
 * more), for a message whose unique-id another one has already. Returns their number. */
size_t uid_hash(char text[UID_TEXT_OCTETS], const char *unique, size_t octets, uint64_t shared,
	unsigned salt);

#endif
