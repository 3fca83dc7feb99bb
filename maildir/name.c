/* name: see name.h. */
#include "maildir/name.h"

#include <string.h>

#include "lib/number.h"
#include "lib/siphash.h"

bool uid_is_info(const char *info, size_t octets)
{
	return octets >= 3 && (info[0] == ':' || info[0] == ';' || info[0] == '!') &&
	       info[1] == '2' && info[2] == ',';
}

bool uid_has_flag(const char *info, size_t octets, char flag)
{
	if (!uid_is_info(info, octets))
		return false;
	for (size_t i = 3; i < octets && info[i] != ','; i++)
		if (info[i] == flag)
			return true;
	return false;
}

size_t uid_unique_octets(const char *name, size_t name_octets)
{
	const char *comma = memchr(name, ':', name_octets);
	size_t at;

	if (comma != NULL)
		return (size_t)(comma - name);
	/* most names have none of the separators of Windows, so look for the comma first */
	for (at = 0; at < name_octets; at = (size_t)(comma - name) + 1) {
		comma = memchr(name + at, ',', name_octets - at);
		if (comma == NULL)
			break;
		if (comma - name >= 2 && uid_is_info(comma - 2, 3))
			return (size_t)(comma - name) - 2;
	}
	return name_octets;
}

size_t uid_base_octets(const char *unique, size_t octets)
{
	const char *const comma = memchr(unique, ',', octets);

	return comma != NULL ? (size_t)(comma - unique) : octets;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool uid_has_only_fields(const char *unique, size_t octets)
{
	size_t at = uid_base_octets(unique, octets);

	while (at < octets) {
		const size_t start = ++at;

		while (at < octets && is_letter_or_digit(unique[at]))
			at++;
		if (at == start || at == octets || unique[at] != '=')
			return false;
		while (at < octets && unique[at] != ',')
			at++;
	}
	return true;
}

/* "M123456" before the first dot. */
static uint32_t microseconds(const char *part, size_t length)
{
	for (size_t i = 0; i < length && part[i] != '.'; i++) {
		uint64_t value;

		if (part[i] == 'M' && number_take(part + i + 1, length - i - 1, &value) > 0)
			return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
	}
	return 0;
}

struct uid_time uid_delivery_time(const char *unique, size_t octets)
{
	const size_t base_octets = uid_base_octets(unique, octets);
	struct uid_time time = {0, 0};
	uint64_t seconds;
	const size_t digits = number_take(unique, base_octets, &seconds);
	const char *dot;

	if (digits == 0 || digits == base_octets ||
		(unique[digits] != '.' && unique[digits] != '_'))
		return time;
	time.seconds = seconds;
	dot = memchr(unique + digits, '.', base_octets - digits);
	if (dot != NULL)
		time.microseconds =
			microseconds(dot + 1, base_octets - (size_t)(dot + 1 - unique));
	return time;
}

bool uid_size_field(const char *unique, size_t octets, char field, uint64_t *size)
{
	for (size_t i = uid_base_octets(unique, octets); i + 3 < octets; i++) {
		size_t end;

		if (unique[i] != ',' || unique[i + 1] != field || unique[i + 2] != '=')
			continue;
		end = i + 3 + number_take(unique + i + 3, octets - i - 3, size);
		if (end > i + 3 && (end == octets || unique[end] == ','))
			return *size <= UID_SIZE_MOST;
	}
	return false;
}

/* Whether the octets of a word are all of 0x21 to 0x7E. */
static bool is_printable(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101U, high = ones << 7;

	/* below 0x80 no sum carries into the next octet */
	return (word & high) == 0 && ((word + ones * (0x80 - 0x21)) & high) == high &&
	       ((word + ones) & high) == 0;
}

/* Copies a unique name that can be a unique-id as it is; eight octets at a time, since UIDL
 * does this for each message. Returns false at the first octet that cannot. */
static bool copy_unique_id(char text[UID_TEXT_OCTETS], const char *unique, size_t octets)
{
	uint64_t word;
	size_t at = 0;

	if (octets == 0 || octets >= UID_TEXT_OCTETS)
		return false;
	for (; at + sizeof word <= octets; at += sizeof word) {
		memcpy(&word, unique + at, sizeof word);
		if (!is_printable(word))
			return false;
		memcpy(text + at, &word, sizeof word);
	}
	for (; at < octets; at++) {
		if (unique[at] < 0x21 || unique[at] > 0x7e)
			return false;
		text[at] = unique[at];
	}
	text[octets] = '\0';
	return true;
}

size_t uid_twin_name(
	char name[UID_NAME_OCTETS], const char *unique, size_t octets, uint64_t inode)
{
	const size_t base_octets = uid_base_octets(unique, octets);
	char digits[NUMBER_HEX_DIGITS];
	const size_t digit_count = number_write_hex(digits, inode);
	size_t at = base_octets;

	if (octets + 2 + digit_count > UID_NAME_OCTETS)
		return 0;
	memcpy(name, unique, base_octets);
	name[at++] = '-';
	name[at++] = 'i';
	memcpy(name + at, digits, digit_count);
	at += digit_count;
	memcpy(name + at, unique + base_octets, octets - base_octets);
	return at + octets - base_octets;
}

static size_t hex_value(char c)
{
	static const char hex[] = "0123456789abcdef";
	const char *const found = c != '\0' ? strchr(hex, c) : NULL;

	return found != NULL ? (size_t)(found - hex) : 16;
}

size_t uid_untwin_name(
	char name[UID_NAME_OCTETS], const char *unique, size_t octets, uint64_t *inode)
{
	const size_t base_octets = uid_base_octets(unique, octets);
	size_t start = base_octets;

	*inode = 0;
	while (start > 0 && base_octets - start < 16 && hex_value(unique[start - 1]) < 16)
		start--;
	if (start == base_octets || start < 2 || unique[start - 1] != 'i' ||
		unique[start - 2] != '-')
		return 0;
	for (size_t i = start; i < base_octets; i++)
		*inode = *inode << 4 | hex_value(unique[i]);
	start -= 2;
	memcpy(name, unique, start);
	memcpy(name + start, unique + base_octets, octets - base_octets);
	return start + octets - base_octets;
}

/* What a unique-id is made of: the unique name of the message, or the one that it will get. */
struct own_name {
	const char *octets;
	size_t length;
	uint64_t shared; /* the inode if another message keeps the name, else 0 */
	char made[UID_NAME_OCTETS];
};

static void find_own_name(
	struct own_name *own, const char *unique, size_t octets, uint64_t shared)
{
	own->octets = unique;
	own->length = octets;
	own->shared = shared;
	if (shared == 0)
		return;
	octets = uid_twin_name(own->made, unique, octets, shared);
	if (octets == 0)
		return;
	own->octets = own->made;
	own->length = octets;
	own->shared = 0;
}

static size_t put_hash(char text[UID_TEXT_OCTETS], const struct own_name *own, uint64_t salt)
{
	for (size_t i = 0; i < 2; i++) {
		const uint64_t key[2] = {
			own->shared, (i == 0 ? 0x706f703364 : 0x5549444c) ^ salt << 48};

		number_write_all_hex(text + 16 * i, siphash(key, own->octets, own->length));
	}
	text[32] = '\0';
	return 32;
}

size_t uid_text(char text[UID_TEXT_OCTETS], const char *unique, size_t octets, uint64_t shared)
{
	struct own_name own;

	find_own_name(&own, unique, octets, shared);
	if (own.shared == 0 && copy_unique_id(text, own.octets, own.length))
		return own.length;
	return put_hash(text, &own, 0);
}

size_t uid_hash(char text[UID_TEXT_OCTETS], const char *unique, size_t octets, uint64_t shared,
	unsigned salt)
{
	struct own_name own;

	find_own_name(&own, unique, octets, shared);
	return put_hash(text, &own, salt);
}
