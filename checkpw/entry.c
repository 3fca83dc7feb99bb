/* entry: see entry.h. */
#include "checkpw/entry.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "checkpw/mail.h"
#include "checkpw/name.h"
#include "lib/number.h"

#define ID_DIGITS_MAX 10 /* of a uid or gid */

enum { FIELDS_LEAST = 5, FIELDS_OURS = 6, FIELDS_PASSWD = 7, FIELDS_MOST = 8 };

/* The fields of both forms; those that a form does not have are empty. */
struct fields {
	char *login, *hash, *uid, *gid, *home, *maildir, *shell, *extra;
};

bool pwfile_login_is_valid(const char *login)
{
	size_t length = strlen(login);

	/* a blank or # in front would make the line a comment, or look like one */
	return length > 0 && length <= PWUSER_NAME_MAX && strchr(login, ':') == NULL &&
	       login[0] != '#' && login[0] != ' ' && !pwname_has_control(login, length);
}

/* Kinds that are still dear to guess. DES, MD5, NT and the bcrypt with the sign bug are not
 * here. */
static bool hash_is_strong(const char *hash)
{
	static const char *const kinds[] = {
		"$y$", "$gy$", "$7$", "$2b$", "$2y$", "$2a$", "$6$", "$5$"};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(hash, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

bool pwfile_parse_id(const char *text, unsigned *id)
{
	const size_t digits = strlen(text);
	uint64_t value;

	if (digits > ID_DIGITS_MAX || !number_parse(text, digits, &value) ||
		value >= UINT32_MAX)
		return false;
	*id = (unsigned)value;
	return true;
}

static bool copy_field(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* Cuts line at its colons. The eighth field is the rest of the line, colons and all. */
static size_t split_fields(char *line, char *field[FIELDS_MOST])
{
	size_t count = 0;
	char *rest = line;

	while (rest != NULL && count < FIELDS_MOST - 1)
		field[count++] = strsep(&rest, ":");
	if (rest != NULL)
		field[count++] = rest;
	return count;
}

/* Names the fields by their number. False where there are too few. */
static bool name_fields(char *line, struct fields *named)
{
	static char none[1];
	char *field[FIELDS_MOST];
	const size_t count = split_fields(line, field);

	if (count < FIELDS_LEAST)
		return false;
	*named = (struct fields){.login = field[0],
		.hash = field[1],
		.uid = field[2],
		.gid = field[3],
		.home = field[count >= FIELDS_PASSWD ? 5 : 4],
		.maildir = count == FIELDS_OURS ? field[5] : none,
		.shell = count >= FIELDS_PASSWD ? field[6] : none,
		.extra = count == FIELDS_MOST ? field[7] : none};
	return true;
}

/* A name before a hash, as Dovecot has it: {SHA512-CRYPT}$6$... Moves *hash after it. Returns
 * NULL, or what is wrong with it. */
static const char *take_scheme(char **hash)
{
	static const struct {
		const char *name, *begins; /* the hash after it */
	} schemes[] = {{"{CRYPT}", ""}, {"{SHA512-CRYPT}", "$6$"}, {"{SHA256-CRYPT}", "$5$"},
		{"{BLF-CRYPT}", "$2"}};
	static const char *const clear[] = {"{PLAIN}", "{CLEAR}", "{CLEARTEXT}", "{PLAIN."};

	if ((*hash)[0] != '{')
		return NULL;
	for (size_t i = 0; i < sizeof clear / sizeof *clear; i++)
		if (strncasecmp(*hash, clear[i], strlen(clear[i])) == 0)
			return "the password is in clear text, and only hashes are accepted";
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		const size_t length = strlen(schemes[i].name);

		if (strncasecmp(*hash, schemes[i].name, length) != 0)
			continue;
		*hash += length;
		if ((*hash)[0] != '!' && (*hash)[0] != '*' &&
			strncmp(*hash, schemes[i].begins, strlen(schemes[i].begins)) != 0)
			return "the hash is not of the kind that is named before it";
		return NULL;
	}
	return "the kind of hash in braces is not one of crypt(3)";
}

/* Extra fields of Dovecot. Those of its userdb only describe the user, but every other one may
 * restrict who can log in: a line that has one is not for this program. */
static const char *take_extra(char *extra, char *maildir, size_t size)
{
	static const char mail[] = "userdb_mail=", userdb[] = "userdb_";

	for (char *word = strsep(&extra, " "); word != NULL; word = strsep(&extra, " ")) {
		const char *problem = NULL;

		if (strncmp(word, mail, sizeof mail - 1) == 0)
			problem = pwmail_parse(word + sizeof mail - 1, maildir, size);
		else if (word[0] != '\0' && strncmp(word, userdb, sizeof userdb - 1) != 0)
			problem = "it has an extra field that only Dovecot understands";
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

static const char *fill_entry(struct fields *field, struct pwfile_entry *entry)
{
	const char *problem;

	if (!pwfile_login_is_valid(field->login))
		return "no login that can be used";
	if (!pwfile_parse_id(field->uid, &entry->user.uid))
		return "the uid is not a number";
	if (!pwfile_parse_id(field->gid, &entry->user.gid))
		return "the gid is not a number";
	if (entry->user.uid == 0)
		return "uid 0 is never served";
	if (field->home[0] != '/')
		return "the home is not an absolute path";
	problem = take_scheme(&field->hash);
	if (problem != NULL)
		return problem;
	if (!copy_field(entry->user.name, sizeof entry->user.name, field->login) ||
		!copy_field(entry->hash, sizeof entry->hash, field->hash) ||
		!copy_field(entry->user.home, sizeof entry->user.home, field->home) ||
		!copy_field(entry->user.shell, sizeof entry->user.shell, field->shell) ||
		!copy_field(entry->user.maildir, sizeof entry->user.maildir, field->maildir))
		return "a field is too long";
	return take_extra(field->extra, entry->user.maildir, sizeof entry->user.maildir);
}

enum pwfile_line pwfile_parse(
	char *line, size_t length, struct pwfile_entry *entry, const char **why)
{
	struct fields fields;

	explicit_bzero(entry, sizeof *entry);
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	if (line[strspn(line, " \t")] == '#' || strspn(line, " \t") == length)
		return PWFILE_NOTHING;
	*why = "it holds a control character";
	if (pwname_has_control(line, length))
		return PWFILE_BAD;
	*why = "it is neither login:hash:uid:gid:home[:maildir] nor a line of passwd(5)";
	if (!name_fields(line, &fields))
		return PWFILE_BAD;
	*why = fill_entry(&fields, entry);
	if (*why != NULL)
		return PWFILE_BAD;
	if (entry->hash[0] == '!' || entry->hash[0] == '*')
		return PWFILE_LOCKED;
	*why = "the hash is empty or of a kind too weak to be accepted";
	return hash_is_strong(entry->hash) ? PWFILE_ENTRY : PWFILE_BAD;
}

enum pwfile_line pwfile_parse_copy(
	const char *line, size_t length, struct pwfile_entry *entry, const char **why)
{
	static char copy[PWFILE_LINE_MAX + 1];
	enum pwfile_line kind;

	*why = "it is too long";
	if (length > PWFILE_LINE_MAX)
		return PWFILE_BAD;
	memcpy(copy, line, length);
	kind = pwfile_parse(copy, length, entry, why);
	explicit_bzero(copy, sizeof copy);
	return kind;
}
