/* sasl: see sasl.h. */
#include "pop3/sasl.h"

#include <string.h>
#include <strings.h>

#include "lib/utf8.h"
#include "pop3/wire.h"

#define KVSEP '\x01' /* RFC 7628 section 3.1 */

/* Takes a decoded message and returns how the exchange continues. */
typedef enum sasl_outcome take_function(struct sasl *s, struct span message);

static take_function take_plain, take_login, take_cram_md5, take_xoauth2, take_oauthbearer;

static const struct sasl_row {
	const char *name;
	const char *challenge; /* the first, unencoded; NULL: the timestamp */
	size_t message_octets;
	take_function *take;
} mechanisms[SASL_MECHANISMS] = {
	[SASL_PLAIN] = {"PLAIN", "", SASL_PLAIN_OCTETS, take_plain},
	[SASL_LOGIN] = {"LOGIN", "Username:", SASL_LOGIN_MESSAGE_OCTETS, take_login},
	[SASL_CRAM_MD5] = {"CRAM-MD5", NULL, SASL_CRAM_MD5_OCTETS, take_cram_md5},
	[SASL_XOAUTH2] = {"XOAUTH2", "", SASL_XOAUTH2_OCTETS, take_xoauth2},
	[SASL_OAUTHBEARER] = {"OAUTHBEARER", "", SASL_OAUTHBEARER_OCTETS, take_oauthbearer},
};

bool sasl_find(struct span name, enum sasl_mechanism *mechanism)
{
	for (unsigned i = 0; i < SASL_MECHANISMS; i++)
		if (strlen(mechanisms[i].name) == name.length &&
			strncasecmp(mechanisms[i].name, name.octets, name.length) == 0) {
			*mechanism = (enum sasl_mechanism)i;
			return true;
		}
	return false;
}

/* Wipes the message; the exchange may continue. */
static void forget_message(struct sasl *s)
{
	explicit_bzero(s->message, s->message_octets);
	s->message_octets = 0;
	s->login = s->secret = (struct span){s->message, 0};
}

void sasl_wipe(struct sasl *s)
{
	explicit_bzero(s, sizeof *s);
}

static enum sasl_outcome end_exchange(
	struct sasl *s, enum sasl_outcome outcome, enum sasl_problem problem)
{
	forget_message(s);
	s->challenge[0] = '\0';
	s->problem = problem;
	s->state = SASL_IDLE;
	return outcome;
}

static enum sasl_outcome end_malformed(struct sasl *s, enum sasl_problem problem)
{
	return end_exchange(s, SASL_MALFORMED, problem);
}

static enum sasl_outcome set_challenge(
	struct sasl *s, struct span challenge, enum sasl_state state)
{
	base64_encode(challenge.octets, challenge.length, s->challenge);
	s->state = state;
	return SASL_CONTINUE;
}

static struct span span_of(const char *terminated)
{
	return (struct span){terminated, strlen(terminated)};
}

static bool span_is(struct span text, const char *terminated)
{
	return text.length == strlen(terminated) &&
	       memcmp(text.octets, terminated, text.length) == 0;
}

static struct span skip_octets(struct span text, size_t octets)
{
	return (struct span){text.octets + octets, text.length - octets};
}

/* Takes a prefix off, case ignored; false if the text does not begin with it. */
static bool skip_prefix(struct span *text, const char *prefix)
{
	const size_t length = strlen(prefix);

	if (text->length < length || strncasecmp(text->octets, prefix, length) != 0)
		return false;
	*text = skip_octets(*text, length);
	return true;
}

/* Takes off the octets before the next mark, and the mark; false if there is no mark. */
static bool cut_at(struct span *rest, char mark, struct span *piece)
{
	const char *const at =
		rest->length > 0 ? memchr(rest->octets, mark, rest->length) : NULL;

	if (at == NULL)
		return false;
	*piece = (struct span){rest->octets, (size_t)(at - rest->octets)};
	*rest = skip_octets(*rest, piece->length + 1);
	return true;
}

static bool has_control(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.octets[i] == '\0' || text.octets[i] == '\r' || text.octets[i] == '\n')
			return true;
	return false;
}

static enum sasl_problem check_login(struct span login)
{
	if (login.length == 0)
		return SASL_PROBLEM_EMPTY_LOGIN;
	if (login.length > SASL_LOGIN_OCTETS)
		return SASL_PROBLEM_TOO_LONG;
	if (has_control(login))
		return SASL_PROBLEM_CONTROL;
	return utf8_is_valid(login.octets, login.length) ? SASL_NO_PROBLEM : SASL_PROBLEM_UTF8;
}

static enum sasl_problem check_secret(struct span secret, size_t most)
{
	if (secret.length == 0)
		return SASL_PROBLEM_EMPTY_PASSWORD;
	if (secret.length > most)
		return SASL_PROBLEM_TOO_LONG;
	return has_control(secret) ? SASL_PROBLEM_CONTROL : SASL_NO_PROBLEM;
}

/* The last check of all mechanisms. */
static enum sasl_outcome accept_credentials(
	struct sasl *s, struct span login, struct span secret, size_t secret_most)
{
	enum sasl_problem problem = check_login(login);

	if (problem == SASL_NO_PROBLEM)
		problem = check_secret(secret, secret_most);
	if (problem != SASL_NO_PROBLEM)
		return end_malformed(s, problem);
	s->login = login;
	s->secret = secret;
	s->challenge[0] = '\0';
	s->state = SASL_IDLE;
	return SASL_CREDENTIALS;
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd, all UTF-8. */
static enum sasl_outcome take_plain(struct sasl *s, struct span message)
{
	struct span authzid, login;

	if (!cut_at(&message, '\0', &authzid) || !cut_at(&message, '\0', &login))
		return end_malformed(s, SASL_PROBLEM_FORM);
	if (authzid.length > 0 &&
		(authzid.length != login.length ||
			memcmp(authzid.octets, login.octets, login.length) != 0))
		return end_malformed(s, SASL_PROBLEM_OTHER_USER);
	if (!utf8_is_valid(message.octets, message.length))
		return end_malformed(s, SASL_PROBLEM_UTF8);
	return accept_credentials(s, login, message, SASL_PASSWORD_OCTETS);
}

/* Two messages: the name, then the password. Some clients send passwords that are not UTF-8. */
static enum sasl_outcome take_login(struct sasl *s, struct span message)
{
	enum sasl_problem problem;

	if (s->login.length > 0)
		return accept_credentials(s, s->login, message, SASL_PASSWORD_OCTETS);
	problem = check_login(message);
	if (problem != SASL_NO_PROBLEM)
		return end_malformed(s, problem);
	s->login = message;
	return set_challenge(s, span_of("Password:"), SASL_AWAITS_MESSAGE);
}

/* RFC 2195 section 2: the name, a space, the digest. The name may contain spaces. */
static enum sasl_outcome take_cram_md5(struct sasl *s, struct span message)
{
	struct span name, digest;

	if (message.length < SASL_DIGEST_OCTETS + 1)
		return end_malformed(s, SASL_PROBLEM_FORM);
	name = (struct span){message.octets, message.length - SASL_DIGEST_OCTETS - 1};
	digest = skip_octets(message, name.length + 1);
	if (message.octets[name.length] != ' ')
		return end_malformed(s, SASL_PROBLEM_FORM);
	for (size_t i = 0; i < digest.length; i++)
		if (digest.octets[i] == '\0' ||
			strchr("0123456789abcdef", digest.octets[i]) == NULL)
			return end_malformed(s, SASL_PROBLEM_FORM);
	return accept_credentials(s, name, digest, SASL_DIGEST_OCTETS);
}

/* Takes "Bearer" (case ignored), spaces and a token (RFC 6750 section 2.1). Tokens in use
 * contain visible characters that the RFC does not list, so all of these are accepted. */
static enum sasl_outcome accept_bearer(
	struct sasl *s, struct span login, struct span authorization)
{
	if (!skip_prefix(&authorization, "Bearer "))
		return end_malformed(s, SASL_PROBLEM_FORM);
	while (authorization.length > 0 && authorization.octets[0] == ' ')
		authorization = skip_octets(authorization, 1);
	for (size_t i = 0; i < authorization.length; i++)
		if (authorization.octets[i] < '!' || authorization.octets[i] > '~')
			return end_malformed(s, SASL_PROBLEM_FORM);
	return accept_credentials(s, login, authorization, SASL_TOKEN_OCTETS);
}

/* "user=" name ^A "auth=Bearer " token ^A ^A */
static enum sasl_outcome take_xoauth2(struct sasl *s, struct span message)
{
	struct span user, authorization;

	if (!cut_at(&message, KVSEP, &user) || !cut_at(&message, KVSEP, &authorization) ||
		!span_is(message, "\x01") || !skip_prefix(&user, "user=") ||
		!skip_prefix(&authorization, "auth="))
		return end_malformed(s, SASL_PROBLEM_FORM);
	return accept_bearer(s, user, authorization);
}

/* RFC 5801 section 4: in a name "=2C" stands for a comma and "=3D" for "=". Works in place.
 * Returns false if a "=" means anything else. */
static bool unescape_name(struct sasl *s, struct span *name)
{
	char *const octets = s->message + (name->octets - s->message);
	size_t length = 0;

	for (size_t i = 0; i < name->length; i++) {
		char c = octets[i];

		if (c == '=') {
			const struct span code = {octets + i + 1, 2};

			if (name->length - i < 3 ||
				(!span_is(code, "2C") && !span_is(code, "3D")))
				return false;
			c = code.octets[0] == '2' ? ',' : '=';
			i += 2;
		}
		octets[length++] = c;
	}
	*name = (struct span){octets, length};
	return true;
}

/* RFC 5801 section 4: takes off the GS2 header. Only its name matters here. */
static enum sasl_problem take_gs2_header(
	struct sasl *s, struct span *message, struct span *login)
{
	struct span flag;

	if (!cut_at(message, ',', &flag) ||
		(span_is(flag, "F") && !cut_at(message, ',', &flag)))
		return SASL_PROBLEM_FORM;
	if (flag.length > 2 && memcmp(flag.octets, "p=", 2) == 0)
		return SASL_PROBLEM_BINDING;
	if (!span_is(flag, "n") && !span_is(flag, "y"))
		return SASL_PROBLEM_FORM;
	if (!cut_at(message, ',', login))
		return SASL_PROBLEM_FORM;
	if (login->length == 0)
		return SASL_PROBLEM_EMPTY_LOGIN;
	if (login->length < 2 || memcmp(login->octets, "a=", 2) != 0)
		return SASL_PROBLEM_FORM;
	*login = skip_octets(*login, 2);
	return unescape_name(s, login) ? SASL_NO_PROBLEM : SASL_PROBLEM_FORM;
}

/* RFC 7628 section 3.1: key "=" value, letters and visible characters or space. */
static bool split_pair(struct span pair, struct span *key, struct span *value)
{
	if (!cut_at(&pair, '=', key) || key->length == 0)
		return false;
	*value = pair;
	for (size_t i = 0; i < key->length; i++) {
		const char letter = (char)(key->octets[i] | 0x20);

		if (letter < 'a' || letter > 'z')
			return false;
	}
	for (size_t i = 0; i < pair.length; i++) {
		const char c = pair.octets[i];

		if ((c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n')
			return false;
	}
	return true;
}

/* RFC 7628 section 3.1: pairs, each ended by ^A, then one more ^A. Finds "auth", which must
 * occur once. Other pairs are ignored, as the RFC demands. */
static bool find_authorization(struct span pairs, struct span *authorization)
{
	struct span pair, key, value;
	bool found = false;

	while (cut_at(&pairs, KVSEP, &pair)) {
		if (pair.length == 0)
			return pairs.length == 0 && found;
		if (!split_pair(pair, &key, &value))
			return false;
		if (!span_is(key, "auth"))
			continue;
		if (found)
			return false;
		found = true;
		*authorization = value;
	}
	return false;
}

/* RFC 7628 section 3.1: gs2-header ^A pairs ^A. With an empty "auth" the client
 * asks which token is wanted (section 4.3); the error challenge answers that. */
static enum sasl_outcome take_oauthbearer(struct sasl *s, struct span message)
{
	struct span login, nothing, authorization;
	enum sasl_problem problem = take_gs2_header(s, &message, &login);

	if (problem != SASL_NO_PROBLEM)
		return end_malformed(s, problem);
	if (!cut_at(&message, KVSEP, &nothing) || nothing.length > 0 ||
		!find_authorization(message, &authorization))
		return end_malformed(s, SASL_PROBLEM_FORM);
	if (authorization.length > 0)
		return accept_bearer(s, login, authorization);
	problem = check_login(login);
	if (problem != SASL_NO_PROBLEM)
		return end_malformed(s, problem);
	s->login = login;
	return sasl_refuse(s);
}

static enum sasl_outcome take_line(struct sasl *s, struct span base64)
{
	const struct sasl_row *const m = &mechanisms[s->mechanism];
	char *const octets = s->message + s->message_octets;
	const size_t left = SASL_MESSAGE_OCTETS - s->message_octets;
	const size_t room = m->message_octets < left ? m->message_octets : left;
	const enum base64_result result =
		base64_decode(base64.octets, base64.length, octets, room, &base64.length);

	/* the decoder may have written anywhere in the room: all of it must be wiped later */
	s->message_octets += result == BASE64_GOOD ? base64.length : room;
	if (result != BASE64_GOOD)
		return end_malformed(s, result == BASE64_TOO_LONG ? SASL_PROBLEM_TOO_LONG
								  : SASL_PROBLEM_BASE64);
	return m->take(s, (struct span){octets, base64.length});
}

enum sasl_outcome sasl_start(
	struct sasl *s, unsigned allowed, struct span arguments, struct span timestamp)
{
	struct span name, initial = arguments, challenge;

	sasl_wipe(s);
	if (!cut_at(&initial, ' ', &name)) {
		name = arguments;
		initial.length = 0;
	}
	if (!sasl_find(name, &s->mechanism))
		return end_exchange(s, SASL_UNKNOWN_MECHANISM, SASL_PROBLEM_MECHANISM);
	challenge = timestamp;
	if (mechanisms[s->mechanism].challenge != NULL)
		challenge = span_of(mechanisms[s->mechanism].challenge);
	else if (timestamp.length == 0 || timestamp.length > SASL_TIMESTAMP_OCTETS)
		allowed &= ~SASL_SET(s->mechanism);
	if ((allowed & SASL_SET(s->mechanism)) == 0)
		return end_exchange(s, SASL_NOT_ALLOWED, SASL_PROBLEM_MECHANISM);
	forget_message(s);
	if (initial.length == 0)
		return set_challenge(s, challenge, SASL_AWAITS_MESSAGE);
	if (mechanisms[s->mechanism].challenge == NULL)
		return end_malformed(s, SASL_PROBLEM_INITIAL);
	if (span_is(initial, "="))
		initial.length = 0;
	return take_line(s, initial);
}

enum sasl_outcome sasl_step(struct sasl *s, struct span line)
{
	switch (s->state) {
	case SASL_AWAITS_MESSAGE: break;
	case SASL_AWAITS_LAST: return end_exchange(s, SASL_REFUSED, SASL_NO_PROBLEM);
	case SASL_IDLE: return end_malformed(s, SASL_PROBLEM_NO_EXCHANGE);
	}
	if (span_is(line, "*"))
		return end_exchange(s, SASL_CANCELLED, SASL_NO_PROBLEM);
	return take_line(s, line);
}

size_t sasl_line_octets(const struct sasl *s)
{
	if (s->state == SASL_AWAITS_MESSAGE)
		return SASL_LINE_OF(mechanisms[s->mechanism].message_octets);
	return WIRE_COMMAND_OCTETS;
}

enum sasl_outcome sasl_refuse(struct sasl *s)
{
	/* RFC 7628 section 3.2.2; XOAUTH2 has a form of its own */
	static const char oauthbearer[] = "{\"status\":\"invalid_token\"}",
			  xoauth2[] = "{\"status\":\"401\",\"schemes\":\"bearer\","
				      "\"scope\":\"mail\"}";

	if (s->login.length == 0)
		return end_malformed(s, SASL_PROBLEM_NO_EXCHANGE);
	forget_message(s);
	if (s->mechanism == SASL_OAUTHBEARER)
		return set_challenge(s, span_of(oauthbearer), SASL_AWAITS_LAST);
	if (s->mechanism == SASL_XOAUTH2)
		return set_challenge(s, span_of(xoauth2), SASL_AWAITS_LAST);
	return end_exchange(s, SASL_REFUSED, SASL_NO_PROBLEM);
}
