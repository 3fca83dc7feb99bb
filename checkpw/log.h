/*
 * pwlog.h - what pop3d-checkpw tells the administrator, and the person at a terminal.
 */
#ifndef PWLOG_H
#define PWLOG_H

#include <syslog.h>

/* a text that a client or a file chose, made safe to stand in a log line */
struct pwlog_quoted {
	char text[1024];
};

/* Chooses between standard error and syslog; to be called before a descriptor is opened. */
void pwlog_open(void);
void pwlog_close(void);

/* One line of log, cut at some 3000 octets; priority as for syslog(3). errno stays as it was.
 */
void pwlog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Words for a person: only to standard error, and only where pwlog writes there too. */
void pwlog_person(const char *text);

struct pwlog_quoted pwlog_quote(const char *text);

#endif
