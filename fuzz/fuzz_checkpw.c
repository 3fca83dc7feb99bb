/* fuzz_checkpw: what pop3d-checkpw takes apart. The first octet of the input says what the rest
 * is: a line of Dovecot, a line of the password file, or a pattern and a login with a LF
 * between. */
#include "fuzz.h"

#include "checkpw/auth_line.h"
#include "checkpw/entry.h"
#include "checkpw/name.h"

static void fuzz_auth_line(char *line, size_t length)
{
	struct auth_line split;
	size_t octets = 0;

	if (!auth_line_split(line, length, &split))
		return;
	CHECK(split.count > 0 && split.count <= AUTH_FIELDS_MAX);
	for (size_t i = 0; i < split.count; i++)
		octets += strlen(split.field[i]) + 1;
	CHECK(octets <= length + 1);
	(void)auth_line_value(&split, 1, "user");
}

static void fuzz_entry(char *line, size_t length)
{
	static struct pwfile_entry entry;
	const char *why = NULL;

	switch (pwfile_parse(line, length, &entry, &why)) {
	case PWFILE_BAD: CHECK(why != NULL); break;
	case PWFILE_ENTRY: CHECK(entry.hash[0] == '$'); /* fall through */
	case PWFILE_LOCKED:
		CHECK(entry.user.uid != 0 && entry.user.home[0] == '/');
		CHECK(pwfile_login_is_valid(entry.user.name));
		break;
	case PWFILE_NOTHING: break;
	}
}

/* The pattern /%n or /x/%d cannot lead elsewhere. */
static void fuzz_pattern(char *text, size_t length)
{
	char path[64];
	char *login;

	text[length] = '\0';
	login = strchr(text, '\n');
	if (login == NULL)
		return;
	*login++ = '\0';
	(void)pwname_expand(text, login, path, sizeof path);
	CHECK(memchr(path, '\0', sizeof path) != NULL);
	if (pwname_expand("/%n", login, path, sizeof path) == NULL)
		CHECK(strchr(path + 1, '/') == NULL && strcmp(path, "/..") != 0 &&
			path[1] != '\0');
	if (pwname_expand("/x/%d", login, path, sizeof path) == NULL)
		CHECK(strchr(path + 3, '/') == NULL && strcmp(path, "/x/..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line;

	if (size < 2)
		return 0;
	/* the functions write a NUL after the line */
	line = realloc(fuzz_copy(data + 1, size - 1), size);
	CHECK(line != NULL);
	if (data[0] % 3 == 0)
		fuzz_auth_line(line, size - 1);
	else if (data[0] % 3 == 1)
		fuzz_entry(line, size - 1);
	else
		fuzz_pattern(line, size - 1);
	free(line);
	return 0;
}
