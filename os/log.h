/* log: one line per event, to syslog (facility mail) or to standard error. */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

/* Longest line that is written, in octets; longer ones are cut. */
#define LOG_LINE_OCTETS 1024
/* The longest id of a session, and the longest name of a user, quoted and terminated. */
#define LOG_SESSION_OCTETS 16
#define LOG_USER_OCTETS 256

/* Chooses where lines go, once per process: to syslog if force_syslog is set or if descriptor 2
 * is closed or may be the client's (it is the same socket, pipe or file as descriptor 0 or 1,
 * as under inetd; a terminal is a person's and may be written to), else to descriptor 2. */
void log_open(bool force_syslog);

/* The same for commands that a person or a script runs and that serve no client: one file or
 * pipe for standard output and standard error ("2>&1 | tee", cron) is no client's. A socket is
 * that of a superserver or of systemd's journal, which syslog reaches with the priority. */
void log_open_for_person(void);

/* Closes the descriptor of syslog, if there is one; the next line opens it again. */
void log_close(void);

/* Sets the name that lines begin with; the default is "pop3d". The text is not copied. */
void log_set_program(const char *name);

/* Every line ends in session=ID from now on. An id has at most LOG_SESSION_OCTETS lower-case
 * letters and digits; anything else is ignored. */
void log_set_session(const char *id);

/* The id, or "". */
const char *log_session(void);

/* Every line that does not name a user itself ends in user=LOGIN from now on (before session=).
 * Quotes the login, and cuts a long one. */
void log_set_user(const char *octets, size_t length);

/* The login as it stands in the log; "-" if there is none yet. */
const char *log_user(void);

/* Whether lines go to syslog; false before log_open. */
bool log_to_syslog(void);

/* True where descriptor 2 is what the client reads or writes: see log_open. */
bool log_stderr_is_clients(void);

/* Whether errors of the command line can be written to standard error: it is not the client's,
 * or descriptor 0 is a terminal ("2>&1 | less"). Call it after log_open. */
bool log_stderr_is_read(void);

/* Whether lines of priority LOG_DEBUG are written: not before log_show_debug. */
void log_show_debug(void);
bool log_shows_debug(void);

/* Writes one line: an event name, then key=value pairs. priority is one of syslog's. Never
 * fails, and waits a few seconds at most: a log that cannot be written must not stop the mail.
 * Values from outside go through log_quote. */
void log_event(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies octets to text as one word: printable ASCII without blanks and quotes stays as it is,
 * all else makes it a quoted string with \xHH escapes. text is always terminated; what does not
 * fit is cut and marked with "...". capacity must be at least 8. Returns text. */
const char *log_quote(char *text, size_t capacity, const char *octets, size_t length);

#endif
