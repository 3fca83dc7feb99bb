/* name: see name.h. */
#include "checkpw/name.h"

#include <string.h>

#include "lib/lower.h"

bool pwname_has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

/* A text that grows in size octets, its NUL among them. */
struct growing {
	char *text;
	size_t length, size;
};

/* False, and nothing more is added, where it does not fit. */
static bool append(struct growing *g, const char *octets, size_t length)
{
	if (length >= g->size - g->length)
		return false;
	memcpy(g->text + g->length, octets, length);
	g->length += length;
	g->text[g->length] = '\0';
	return true;
}

bool pwname_make(
	const char *login, bool fold, const char *default_domain, char *name, size_t size)
{
	struct growing made = {name, 0, size};

	name[0] = '\0';
	if (!append(&made, login, strlen(login)))
		return false;
	if (fold)
		lower_octets(name, made.length);
	if (default_domain == NULL || strchr(name, '@') != NULL)
		return true;
	return append(&made, "@", 1) && append(&made, default_domain, strlen(default_domain));
}

/* The length of what is replaced at a percent sign; 1 if it stands for itself. */
static size_t sign_length(const char *at)
{
	return at[1] == 'u' || at[1] == 'n' || at[1] == 'd' || at[1] == '%' ? 2 : 1;
}

bool pwname_is_pattern(const char *pattern)
{
	for (const char *at = strchr(pattern, '%'); at != NULL; at = strchr(at, '%')) {
		if (sign_length(at) == 2)
			return true;
		at++;
	}
	return false;
}

/* The part of name for the letter. */
static const char *find_part(const char *name, char letter, size_t *length)
{
	const size_t before = strcspn(name, "@");

	*length = letter == 'n' ? before : strlen(name);
	if (letter != 'd')
		return name;
	*length -= before + (name[before] == '@');
	return name + before + (name[before] == '@');
}

static const char *judge_part(const char *part, size_t length)
{
	if (length == 0)
		return "a part of the login that its home needs is empty";
	if (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))
		return "a part of the login that its home needs is . or ..";
	if (memchr(part, '/', length) != NULL)
		return "a part of the login that its home needs has a slash";
	return NULL;
}

const char *pwname_expand(const char *pattern, const char *name, char *path, size_t size)
{
	static const char too_long[] = "the home would be too long";
	struct growing made = {path, 0, size};

	path[0] = '\0';
	for (const char *at = pattern; *at != '\0';) {
		const char *part = at;
		size_t length = strcspn(at, "%");
		const char *problem = NULL;

		if (length > 0) {
			at += length;
		} else if (sign_length(at) == 1 || at[1] == '%') {
			length = 1;
			at += sign_length(at);
		} else {
			part = find_part(name, at[1], &length);
			problem = judge_part(part, length);
			at += 2;
		}
		if (problem != NULL)
			return problem;
		if (!append(&made, part, length))
			return too_long;
	}
	return NULL;
}
