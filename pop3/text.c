/* text: see text.h. No text has a singular of "octets", because a line end alone is two. */
#include "pop3/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const tags[LANGUAGE_COUNT][2] = {
	[LANGUAGE_ENGLISH] = {"en", "English"},
	[LANGUAGE_GERMAN] = {"de", "Deutsch"},
};

static const char *const catalogue[TEXT_COUNT][LANGUAGE_COUNT] = {
	[TEXT_READY] = {"%s POP3 server ready", "%s POP3-Server bereit"},
	[TEXT_PASSWORD_REQUIRED] = {"password required", "Passwort erforderlich"},
	[TEXT_CAPABILITIES] = {"capability list follows", "Liste der Fähigkeiten folgt"},
	[TEXT_GOODBYE] = {"%s POP3 server signing off", "%s POP3-Server meldet sich ab"},
	[TEXT_GOODBYE_EMPTY] = {"%s POP3 server signing off (maildrop empty)",
		"%s POP3-Server meldet sich ab (Mailbox leer)"},
	[TEXT_GOODBYE_ONE_LEFT] = {"%s POP3 server signing off (1 message left)",
		"%s POP3-Server meldet sich ab (noch 1 Nachricht)"},
	[TEXT_GOODBYE_LEFT] = {"%s POP3 server signing off (%1 messages left)",
		"%s POP3-Server meldet sich ab (noch %1 Nachrichten)"},
	[TEXT_ONE_MESSAGE] = {"1 message (%2 octets)", "1 Nachricht (%2 Oktette)"},
	[TEXT_MESSAGES] = {"%1 messages (%2 octets)", "%1 Nachrichten (%2 Oktette)"},
	[TEXT_MAILDROP_ONE_MESSAGE] = {"maildrop has 1 message (%2 octets)",
		"Mailbox hat 1 Nachricht (%2 Oktette)"},
	[TEXT_MAILDROP_MESSAGES] = {"maildrop has %1 messages (%2 octets)",
		"Mailbox hat %1 Nachrichten (%2 Oktette)"},
	[TEXT_UIDS] = {"unique-id listing follows", "Liste der eindeutigen Bezeichner folgt"},
	[TEXT_UIDS_UNREADABLE] = {"the unique-ids cannot be read",
		"die eindeutigen Bezeichner sind nicht lesbar"},
	[TEXT_OCTETS] = {"%1 octets", "%1 Oktette"},
	[TEXT_TOP] = {"top of message %1 follows", "Anfang der Nachricht %1 folgt"},
	[TEXT_DELETED] = {"message %1 deleted", "Nachricht %1 gelöscht"},
	[TEXT_BEGIN_TLS] = {"begin TLS negotiation", "TLS kann beginnen"},
	[TEXT_UTF8_ON] = {"UTF-8 accepted", "UTF-8 angenommen"},
	[TEXT_LANGUAGES] = {"language listing follows", "Liste der Sprachen folgt"},
	[TEXT_LANGUAGE_SET] = {"%s English from here on", "%s ab hier auf Deutsch"},
	[TEXT_MECHANISMS] = {"mechanism list follows", "Liste der Verfahren folgt"},
	[TEXT_LOGIN_FAILED] = {"login failed", "Anmeldung fehlgeschlagen"},
	[TEXT_LOGIN_BROKEN] = {"login is not possible, please tell the administrator",
		"Anmeldung nicht möglich, bitte dem Administrator melden"},
	[TEXT_LOGIN_LATER] = {"login is not possible now, please try again later",
		"Anmeldung zurzeit nicht möglich, bitte später noch einmal versuchen"},
	[TEXT_EMPTY_PASSWORD] = {"the password is empty", "das Passwort ist leer"},
	[TEXT_CREDENTIALS_TOO_LONG] = {"login and password are too long",
		"Name und Passwort sind zu lang"},
	[TEXT_CREDENTIALS_CONTROLS] = {"login and password must not contain control characters",
		"Name und Passwort dürfen keine Steuerzeichen enthalten"},
	[TEXT_CREDENTIALS_NOT_UTF8] = {"login and password must be UTF-8",
		"Name und Passwort müssen UTF-8 sein"},
	[TEXT_USER_FIRST] = {"send USER first", "bitte zuerst USER senden"},
	[TEXT_NO_CLEARTEXT] = {"no login in clear text here: connect with TLS",
		"keine Anmeldung im Klartext: bitte mit TLS verbinden"},
	[TEXT_NO_CLEARTEXT_BUT_APOP] = {"no login in clear text here: connect with TLS, or use "
					"APOP",
		"keine Anmeldung im Klartext: bitte mit TLS verbinden oder APOP verwenden"},
	[TEXT_NO_APOP] = {"APOP is not offered here", "APOP wird hier nicht angeboten"},
	[TEXT_BAD_APOP] = {"APOP needs a name and a digest of 32 hex digits",
		"APOP braucht einen Namen und einen Hashwert aus 32 Hexziffern"},
	[TEXT_LOGIN_FIRST] = {"log in first", "bitte zuerst anmelden"},
	[TEXT_ALREADY_IN] = {"already logged in", "schon angemeldet"},
	[TEXT_NO_STLS] = {"STLS is not offered here", "STLS wird hier nicht angeboten"},
	[TEXT_TLS_RUNS] = {"TLS is already active", "TLS ist schon aktiv"},
	[TEXT_UNKNOWN_LANGUAGE] = {"unknown language, LANG lists the languages",
		"unbekannte Sprache, LANG zählt die Sprachen auf"},
	[TEXT_UNKNOWN_MECHANISM] = {"unknown mechanism, AUTH lists the mechanisms",
		"unbekanntes Verfahren, AUTH zählt die Verfahren auf"},
	[TEXT_AUTH_CANCELLED] = {"authentication cancelled", "Anmeldung abgebrochen"},
	[TEXT_AUTH_MALFORMED] = {"malformed authentication exchange",
		"fehlerhafter Anmeldedialog"},
	[TEXT_AUTH_OTHER_USER] = {"acting for another user is not supported",
		"Handeln für andere Benutzer wird nicht unterstützt"},
	[TEXT_UNKNOWN_COMMAND] = {"unknown command", "unbekannter Befehl"},
	[TEXT_NO_ARGUMENT] = {"this command takes no argument",
		"dieser Befehl hat kein Argument"},
	[TEXT_ARGUMENT_MISSING] = {"argument missing", "das Argument fehlt"},
	[TEXT_NUMBER_MISSING] = {"message number missing", "die Nummer der Nachricht fehlt"},
	[TEXT_BAD_NUMBER] = {"message numbers are decimal and start at 1",
		"Nummern von Nachrichten sind dezimal und beginnen bei 1"},
	[TEXT_NUMBER_AND_LINES] = {"a message number and a number of lines are needed",
		"Nummer der Nachricht und Zahl der Zeilen sind nötig"},
	[TEXT_BAD_LINES] = {"the number of lines is decimal and not negative",
		"die Zahl der Zeilen ist dezimal und nicht negativ"},
	[TEXT_LINE_TOO_LONG] = {"line too long, at most 255 octets",
		"Zeile zu lang, höchstens 255 Oktette"},
	[TEXT_NUL] = {"NUL in command line", "NUL in der Befehlszeile"},
	[TEXT_NO_SUCH_MESSAGE] = {"no such message, only %1 in maildrop",
		"keine solche Nachricht, nur %1 in der Mailbox"},
	[TEXT_MESSAGE_DELETED] = {"message %1 is deleted", "Nachricht %1 ist gelöscht"},
	[TEXT_MESSAGE_GONE] = {"message %1 is gone, another program removed it",
		"Nachricht %1 ist nicht mehr da, ein anderes Programm hat sie entfernt"},
	[TEXT_MESSAGE_UNREADABLE] = {"message %1 cannot be read",
		"Nachricht %1 kann nicht gelesen werden"},
	[TEXT_ONE_NOT_REMOVED] = {"1 deleted message not removed, %2 left",
		"1 gelöschte Nachricht nicht entfernt, noch %2 da"},
	[TEXT_NOT_REMOVED] = {"%1 deleted messages not removed, %2 left",
		"%1 gelöschte Nachrichten nicht entfernt, %2 noch vorhanden"},
	[TEXT_IN_USE] = {"the maildrop is open in another session",
		"die Mailbox ist in einer anderen Sitzung geöffnet"},
	[TEXT_MAILDROP_BROKEN] = {"the maildrop cannot be opened, the administrator has to "
				  "mend it",
		"die Mailbox kann nicht geöffnet werden, der Administrator muss das beheben"},
	[TEXT_MAILDROP_LATER] = {"the maildrop cannot be opened now",
		"die Mailbox kann zurzeit nicht geöffnet werden"},
	[TEXT_NO_MAILDROP] = {"there is no mailbox yet", "es gibt noch keine Mailbox"},
};

const char *text_pattern(enum text text, enum language language)
{
	return catalogue[text][language];
}

/* Appends as much of the piece as fits. */
static size_t append_piece(
	char *out, size_t capacity, size_t used, const char *piece, size_t length)
{
	const size_t room = capacity - 1 - used;

	if (length > room)
		length = room;
	memcpy(out + used, piece, length);
	return used + length;
}

size_t text_fill(char *out, size_t capacity, enum text text, enum language language,
	const struct text_values *values)
{
	size_t used = 0;

	for (const char *at = text_pattern(text, language); *at != '\0'; at++) {
		char digits[24];

		if (at[0] != '%') {
			used = append_piece(out, capacity, used, at, 1);
			continue;
		}
		at++;
		if (at[0] == 's') {
			used = append_piece(
				out, capacity, used, values->word, strlen(values->word));
			continue;
		}
		snprintf(digits, sizeof digits, "%llu",
			(unsigned long long)values->number[at[0] == '2']);
		used = append_piece(out, capacity, used, digits, strlen(digits));
	}
	out[used] = '\0';
	return used;
}

bool text_language(const char *tag, size_t length, enum language *language)
{
	for (int i = 0; i < LANGUAGE_COUNT; i++) {
		const size_t primary = strlen(tags[i][0]);

		if (length < primary || strncasecmp(tag, tags[i][0], primary) != 0)
			continue;
		if (length > primary && tag[primary] != '-')
			continue;
		*language = (enum language)i;
		return true;
	}
	return false;
}

const char *text_tag(enum language language)
{
	return tags[language][0];
}

const char *text_language_name(enum language language)
{
	return tags[language][1];
}
