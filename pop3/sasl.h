/* sasl: SASL exchanges (RFC 4422) in the form that POP3 gives them (RFC 5034), decoded into
 * credentials. Pure computation on one struct. The caller sends and reads the lines, and has
 *the credentials checked.
 *
 *	outcome = sasl_start(s, allowed, arguments of AUTH, timestamp);
 *	while (outcome == SASL_CONTINUE) {
 *		send "+ ", s->challenge, CRLF; read a line;
 *		outcome = sasl_step(s, line);
 *	}
 *	if (outcome == SASL_CREDENTIALS) {
 *		have s->login and s->secret checked; if they are refused:
 *		outcome = sasl_refuse(s), and the loop above again, which ends in SASL_REFUSED;
 *	}
 *	sasl_wipe(s);
 */
#ifndef SASL_H
#define SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base64.h"
#include "lib/span.h"

enum sasl_mechanism {
	SASL_PLAIN,       /* RFC 4616 */
	SASL_LOGIN,       /* draft-murchison-sasl-login */
	SASL_CRAM_MD5,    /* RFC 2195: the secret is a digest of the timestamp */
	SASL_XOAUTH2,     /* of Google and Microsoft: the secret is a token */
	SASL_OAUTHBEARER, /* RFC 7628: likewise */
};
#define SASL_MECHANISMS 5

/* Sets of mechanisms. */
#define SASL_SET(mechanism) (1U << (mechanism))
#define SASL_SET_ALL (SASL_SET(SASL_MECHANISMS) - 1)

/* The longest that is accepted, in octets. */
#define SASL_LOGIN_OCTETS 512
#define SASL_PASSWORD_OCTETS 1024
#define SASL_TOKEN_OCTETS 12288
#define SASL_DIGEST_OCTETS 32
#define SASL_TIMESTAMP_OCTETS 255

/* The longest message of each mechanism, decoded. In the last two the token comes with at most
 * 2048 other octets: name, host, port. */
#define SASL_PLAIN_OCTETS (2 * SASL_LOGIN_OCTETS + SASL_PASSWORD_OCTETS + 2)
#define SASL_LOGIN_MESSAGE_OCTETS SASL_PASSWORD_OCTETS
#define SASL_CRAM_MD5_OCTETS (SASL_LOGIN_OCTETS + 1 + SASL_DIGEST_OCTETS)
#define SASL_XOAUTH2_OCTETS (SASL_TOKEN_OCTETS + 2048)
#define SASL_OAUTHBEARER_OCTETS (SASL_TOKEN_OCTETS + 2048)
#define SASL_MESSAGE_OCTETS SASL_OAUTHBEARER_OCTETS

/* The line that carries a message of so many octets, with its CRLF. */
#define SASL_LINE_OF(octets) (BASE64_OCTETS(octets) + 2)

/* The longest line of any mechanism, with its CRLF: 19118 octets. */
#define SASL_LINE_OCTETS SASL_LINE_OF(SASL_MESSAGE_OCTETS)

#define SASL_CHALLENGE_OCTETS (BASE64_OCTETS(SASL_TIMESTAMP_OCTETS) + 1)

enum sasl_outcome {
	SASL_CONTINUE,          /* send the challenge, give the answer to sasl_step */
	SASL_CREDENTIALS,       /* login and secret are complete and can be checked */
	SASL_REFUSED,           /* the exchange is over, the credentials were no good */
	SASL_CANCELLED,         /* by the client */
	SASL_MALFORMED,         /* not what the mechanism demands; see problem */
	SASL_NOT_ALLOWED,       /* the mechanism is known, but not in the allowed set */
	SASL_UNKNOWN_MECHANISM, /* no such mechanism */
};

/* What was wrong. */
enum sasl_problem {
	SASL_NO_PROBLEM,
	SASL_PROBLEM_MECHANISM,      /* of SASL_NOT_ALLOWED and SASL_UNKNOWN_MECHANISM */
	SASL_PROBLEM_INITIAL,        /* an initial response, but the server speaks first */
	SASL_PROBLEM_BASE64,         /* see BASE64_BAD */
	SASL_PROBLEM_TOO_LONG,       /* the message, or a part of it */
	SASL_PROBLEM_FORM,           /* not of the mechanism's form */
	SASL_PROBLEM_EMPTY_LOGIN,    /* or none at all */
	SASL_PROBLEM_EMPTY_PASSWORD, /* or token */
	SASL_PROBLEM_CONTROL,        /* NUL, CR or LF in either */
	SASL_PROBLEM_UTF8,           /* not UTF-8 where it must be */
	SASL_PROBLEM_OTHER_USER,     /* the client wants to act for another user */
	SASL_PROBLEM_BINDING,        /* the client wants channel binding */
	SASL_PROBLEM_NO_EXCHANGE,    /* a step or a refusal without an exchange */
};

enum sasl_state {
	SASL_IDLE,
	SASL_AWAITS_MESSAGE,
	SASL_AWAITS_LAST, /* the answer to the error challenge: it changes nothing */
};

/* Must not be copied: login and secret point into it. */
struct sasl {
	enum sasl_state state;
	enum sasl_mechanism mechanism;
	enum sasl_problem problem; /* SASL_NO_PROBLEM but for the last three outcomes */

	/* of SASL_CONTINUE: base64; send the space after "+" even if it is empty */
	char challenge[SASL_CHALLENGE_OCTETS];

	/* Of SASL_CREDENTIALS, valid until the next call. Both are not empty and hold no NUL,
	 * CR or LF; login is UTF-8; secret is the password, the digest or the token. */
	struct span login, secret;

	size_t message_octets;
	char message[SASL_MESSAGE_OCTETS];
};

/* Finds a mechanism by its name, case ignored; false if no mechanism has that name. */
bool sasl_find(struct span name, enum sasl_mechanism *mechanism);

/* Starts an exchange and forgets an earlier one. arguments is all that follows "AUTH ": the
 * name of a mechanism, and perhaps a space and an initial response ("=" is an empty one; a
 * space with nothing after it is none). allowed is a set of mechanisms. timestamp is "<...>",
 * the challenge of CRAM-MD5; without one, or with one longer than SASL_TIMESTAMP_OCTETS,
 * CRAM-MD5 is not allowed. */
enum sasl_outcome sasl_start(
	struct sasl *s, unsigned allowed, struct span arguments, struct span timestamp);

/* Takes the client's next line, without its CRLF. */
enum sasl_outcome sasl_step(struct sasl *s, struct span line);

/* The longest line for sasl_step, with its CRLF; a longer one is SASL_MALFORMED. */
size_t sasl_line_octets(const struct sasl *s);

/* The checker refused the credentials: returns the next outcome. XOAUTH2 and OAUTHBEARER send
 * the reason in one more challenge (RFC 7628 section 3.2.2); any answer to it, even "*", is
 * SASL_REFUSED. The other mechanisms are SASL_REFUSED at once. Wipes the credentials. */
enum sasl_outcome sasl_refuse(struct sasl *s);

/* Overwrites the whole struct. */
void sasl_wipe(struct sasl *s);

#endif
