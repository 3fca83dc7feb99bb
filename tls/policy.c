/* policy: see policy.h. Runs with the launch privileges.
 *
 * The file names a section with openssl_conf, and that section names others for the library's
 * modules. Each section that is reached in this way has a role, and may say only certain
 * things. */
#include "tls/policy.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct span {
	const char *at; /* NULL: there is none */
	size_t length;
};

struct assignment {
	struct span section, key, value;
};

struct reader {
	struct span left, section;
	bool understood; /* so far */
};

enum role { MODULES, PROVIDERS, DEFAULT_PROVIDER, APPLICATIONS, SYSTEM_DEFAULT, ROLES };

/* What a section of a role may say: a key, and the values that it may have or, without them,
 * the role of the section that it names. No key: any other. */
struct rule {
	enum role role;
	const char *key;
	enum role named; /* ROLES: none */
	const char *values[6];
};

static const struct rule rules[] = {
	{MODULES, "providers", PROVIDERS, {NULL}},
	{MODULES, "ssl_conf", APPLICATIONS, {NULL}},
	{PROVIDERS, "default", DEFAULT_PROVIDER, {NULL}},
	{DEFAULT_PROVIDER, "activate", ROLES, {"1", NULL}},
	{APPLICATIONS, "system_default", SYSTEM_DEFAULT, {NULL}},
	{APPLICATIONS, NULL, ROLES, {NULL}}, /* another application's */
	{SYSTEM_DEFAULT, "MinProtocol", ROLES, {"None", "TLSv1", "TLSv1.1", "TLSv1.2", NULL}},
	{SYSTEM_DEFAULT, "CipherString", ROLES,
		{"DEFAULT", "DEFAULT@SECLEVEL=1", "DEFAULT@SECLEVEL=2", "DEFAULT:@SECLEVEL=1",
			"DEFAULT:@SECLEVEL=2", NULL}},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.length > 0 && is_blank(s.at[0])) {
		s.at++;
		s.length--;
	}
	while (s.length > 0 && is_blank(s.at[s.length - 1]))
		s.length--;
	return s;
}

static bool is_same(struct span s, const char *text)
{
	return s.length == strlen(text) && memcmp(s.at, text, s.length) == 0;
}

static bool is_name_octet(char c)
{
	const unsigned octet = (unsigned char)c, letter = octet | 0x20;

	return letter - 'a' < 26 || octet - '0' < 10 || c == '_' || c == '-' || c == '.';
}

/* A name without anything that the library treats in a special way. */
static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if (!is_name_octet(s.at[i]))
			return false;
	return s.length > 0 && s.at[0] != '.';
}

/* The part before the first such octet, or nothing. */
static struct span part_before(struct span s, char c)
{
	const char *const found = s.length > 0 ? memchr(s.at, c, s.length) : NULL;

	return found != NULL ? (struct span){s.at, (size_t)(found - s.at)}
			     : (struct span){NULL, 0};
}

static struct span part_from(struct span s, size_t at)
{
	return (struct span){s.at + at, s.length - at};
}

static struct span next_line(struct reader *r)
{
	struct span line = part_before(r->left, '\n');

	if (line.at == NULL)
		line = r->left;
	r->left = part_from(r->left, line.length + (line.length < r->left.length ? 1 : 0));
	return line;
}

/* A line that continues on the next one is not understood, even if it is a comment. */
static struct span without_comment(struct reader *r, struct span line)
{
	struct span before;

	line = trim(line);
	if (line.length > 0 && line.at[line.length - 1] == '\\')
		r->understood = false;
	before = part_before(line, '#');
	return before.at != NULL ? trim(before) : line;
}

static void enter_section(struct reader *r, struct span line)
{
	const struct span inside = part_before(part_from(line, 1), ']');

	r->section = inside.at != NULL ? trim(inside) : inside;
	r->understood = r->understood && inside.at != NULL && is_name(r->section);
}

static bool is_section(struct span a, struct span b)
{
	return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* Takes the line apart; notes if it is not understood. */
static bool take_assignment(struct reader *r, struct span line, struct assignment *a)
{
	const struct span key = part_before(line, '=');

	r->understood = r->understood && key.at != NULL;
	if (!r->understood)
		return false;
	a->section = r->section;
	a->key = trim(key);
	a->value = trim(part_from(line, key.length + 1));
	r->understood = is_name(a->key);
	return r->understood;
}

/* The next assignment, of one section only if that is not NULL: then no other is looked at.
 * Returns false at the end of the file, and at the first line that it does not understand. */
static bool next_assignment(struct reader *r, const struct span *section, struct assignment *a)
{
	while (r->left.length > 0 && r->understood) {
		const struct span whole = next_line(r);
		struct span line;

		if (section != NULL && !is_section(r->section, *section) &&
			part_before(whole, '[').at == NULL)
			continue;
		line = without_comment(r, whole);
		if (line.length == 0)
			continue;
		if (line.at[0] != '[')
			return take_assignment(r, line, a);
		enter_section(r, line);
	}
	return false;
}

static struct reader start(const char *text, size_t length)
{
	return (struct reader){{text, length}, {"default", strlen("default")}, true};
}

static bool is_one_of(struct span value, const char *const *values)
{
	for (; *values != NULL; values++)
		if (is_same(value, *values))
			return true;
	return false;
}

static const struct rule *rule_for(enum role role, struct span key)
{
	for (size_t i = 0; i < COUNT(rules); i++)
		if (rules[i].role == role &&
			(rules[i].key == NULL || is_same(key, rules[i].key)))
			return &rules[i];
	return NULL;
}

/* Whether a section of this role may say that; enters the section that it names. */
static bool is_harmless(enum role role, const struct assignment *a, struct span *sections)
{
	const struct rule *const rule = rule_for(role, a->key);

	if (rule == NULL)
		return false;
	if (rule->named == ROLES)
		return rule->key == NULL || is_one_of(a->value, rule->values);
	sections[rule->named] = a->value;
	return is_name(a->value);
}

/* Finds the section of the modules. Returns false if the file is not understood. */
static bool find_modules(struct reader r, struct span *found)
{
	struct assignment a;

	while (next_assignment(&r, NULL, &a))
		if (is_same(a.section, "default") && is_same(a.key, "openssl_conf"))
			*found = a.value;
	return r.understood && (found->at == NULL || is_name(*found));
}

bool policy_is_exceeded(const char *text, size_t length)
{
	struct span sections[ROLES] = {{NULL, 0}};

	if (!find_modules(start(text, length), &sections[MODULES]))
		return false;
	for (enum role role = MODULES; role < ROLES; role++) {
		struct reader r = start(text, length);
		struct assignment a;

		while (sections[role].at != NULL && next_assignment(&r, &sections[role], &a))
			if (is_section(a.section, sections[role]) &&
				!is_harmless(role, &a, sections))
				return false;
	}
	return true;
}
