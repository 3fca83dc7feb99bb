/* foreign_format: Dovecot's pop3_uidl_format, as versions 2.3 (%08Xu%08Xv) and 2.4
 * (%{uid | hex(8)}%{uidvalidity | hex(8)}) write it; see foreign.h. */
#include <string.h>

#include "lib/foreign.h"
#include "lib/lower.h"
#include "lib/md5.h"
#include "lib/number.h"

bool foreign_is_uid(const char *uid, size_t octets)
{
	if (octets == 0 || octets > FOREIGN_UID_OCTETS)
		return false;
	for (size_t i = 0; i < octets; i++)
		if ((unsigned char)uid[i] < ' ' || uid[i] == 0x7f)
			return false;
	return true;
}

enum variable { VARIABLE_UID, VARIABLE_VALIDITY, VARIABLE_NAME, VARIABLE_GUID, VARIABLE_NONE };

/* One variable of a format, and what is done with its value. */
struct piece {
	enum variable variable;
	size_t width;
	bool zeros; /* fills with zeros, else with blanks */
	bool hex, md5, upper, lower;
};

/* What is being made. */
struct made {
	char *uid;
	size_t octets;
	bool is_full;
};

static void put(struct made *made, const char *octets, size_t length)
{
	if (length > FOREIGN_UID_OCTETS - made->octets) {
		made->is_full = true;
		return;
	}
	memcpy(made->uid + made->octets, octets, length);
	made->octets += length;
}

static enum variable variable_of(char letter)
{
	switch (letter) {
	case 'u': return VARIABLE_UID;
	case 'v': return VARIABLE_VALIDITY;
	case 'f': return VARIABLE_NAME;
	case 'g': return VARIABLE_GUID;
	default: return VARIABLE_NONE;
	}
}

static size_t take_width(const char **at)
{
	size_t width = 0;

	while (**at >= '0' && **at <= '9' && width < 100)
		width = 10 * width + (size_t)(*(*at)++ - '0');
	return width;
}

/* "08Xu", after the '%'. */
static struct piece short_piece(const char **at)
{
	struct piece piece = {.variable = VARIABLE_NONE};

	piece.zeros = **at == '0';
	piece.width = take_width(at);
	for (;; (*at)++) {
		switch (**at) {
		case 'X': piece.hex = true; continue;
		case 'M': piece.md5 = true; continue;
		case 'U': piece.upper = true; continue;
		case 'L': piece.lower = true; continue;
		default: break;
		}
		break;
	}
	piece.variable = variable_of(**at);
	if (piece.variable != VARIABLE_NONE)
		(*at)++;
	return piece;
}

static bool take_word(const char **at, const char *word)
{
	const size_t octets = strlen(word);

	while (**at == ' ')
		(*at)++;
	if (strncmp(*at, word, octets) != 0)
		return false;
	*at += octets;
	while (**at == ' ')
		(*at)++;
	return true;
}

/* "| hex(8)", "| hex", "| upper" or "| lower". */
static bool take_filter(const char **at, struct piece *piece)
{
	if (take_word(at, "upper"))
		piece->upper = true;
	else if (take_word(at, "lower"))
		piece->lower = true;
	else if (take_word(at, "hex"))
		piece->hex = true;
	else
		return false;
	if (!piece->hex || !take_word(at, "("))
		return true;
	piece->zeros = true;
	piece->width = take_width(at);
	return take_word(at, ")");
}

/* "uid | hex(8)}", after the "%{". */
static struct piece long_piece(const char **at)
{
	static const char *const names[] = {"uidvalidity", "uid", "filename", "guid"};
	static const enum variable variables[] = {
		VARIABLE_VALIDITY, VARIABLE_UID, VARIABLE_NAME, VARIABLE_GUID};
	struct piece piece = {.variable = VARIABLE_NONE};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (piece.variable == VARIABLE_NONE && take_word(at, names[i]))
			piece.variable = variables[i];
	while (piece.variable != VARIABLE_NONE && take_word(at, "|"))
		if (!take_filter(at, &piece))
			piece.variable = VARIABLE_NONE;
	if (!take_word(at, "}"))
		piece.variable = VARIABLE_NONE;
	return piece;
}

static void put_number(struct made *made, const struct piece *piece, uint64_t number)
{
	char digits[NUMBER_DIGITS];
	const size_t octets =
		piece->hex ? number_write_hex(digits, number) : number_write(digits, number);

	for (size_t i = octets; i < piece->width; i++)
		put(made, piece->zeros ? "0" : " ", 1);
	put(made, digits, octets);
}

static void put_text(
	struct made *made, const struct piece *piece, const char *octets, size_t length)
{
	char digits[MD5_DIGITS];

	if (piece->md5) {
		md5_digits(digits, octets, length);
		put(made, digits, sizeof digits);
	} else {
		put(made, octets, length);
	}
}

/* Returns false for what no pop3_uidl_format of a Maildir can have. */
static bool put_piece(
	struct made *made, const struct piece *piece, const struct foreign_values *v)
{
	const size_t start = made->octets;
	const bool has_guid = piece->variable == VARIABLE_GUID && v->guid != NULL;

	switch (piece->variable) {
	case VARIABLE_UID: put_number(made, piece, v->uid); break;
	case VARIABLE_VALIDITY: put_number(made, piece, v->validity); break;
	case VARIABLE_NAME:
	case VARIABLE_GUID:
		if (piece->hex || piece->width > 0)
			return false;
		put_text(made, piece, has_guid ? v->guid : v->name,
			has_guid ? v->guid_octets : v->name_octets);
		break;
	case VARIABLE_NONE: return false;
	}
	for (size_t i = start; i < made->octets; i++) {
		char *const c = &made->uid[i];

		if (piece->upper && *c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
		else if (piece->lower)
			*c = lower_of(*c);
	}
	return true;
}

size_t foreign_format(
	char uid[FOREIGN_UID_OCTETS], const char *format, const struct foreign_values *values)
{
	struct made made = {.uid = uid};

	for (const char *at = format; *at != '\0';) {
		struct piece piece;

		if (*at != '%' || at[1] == '%') {
			put(&made, at, 1);
			at += *at == '%' ? 2 : 1;
			continue;
		}
		at++;
		if (*at == '{') {
			at++;
			piece = long_piece(&at);
		} else {
			piece = short_piece(&at);
		}
		if (!put_piece(&made, &piece, values))
			return 0;
	}
	return !made.is_full && foreign_is_uid(uid, made.octets) ? made.octets : 0;
}
