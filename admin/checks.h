/* checks: what pop3d --check looks at. Each function puts its findings. */
#ifndef CHECKS_H
#define CHECKS_H

#include "admin/command.h"
#include "admin/service.h"

/* The time, which certificates and the names of messages need. */
void check_clock(void);

/* What confines the processes that talk to strangers. */
void check_kernel(void);

/* Whether the programs of a command line are there and pop3d takes its options. Returns false
 * if nothing more can be said about it. */
bool check_programs(const struct command *c, const char *source);

/* The user that talks to clients before login. */
void check_greeter(const struct command *c);

/* Whether the checker runs and refuses a login that does not exist. */
void check_checker(const struct command *c);

/* The password file of pop3d-checkpw, if that is the checker and uses one. */
void check_password_file(const struct command *c);

/* Certificates, keys and tickets, by pop3d-tls itself. */
void check_tls(const struct command *c);

/* Which superserver serves which port, and who listens there. */
void check_ports(const struct services *s);

/* A login's account, home and Maildir. */
void check_login(const struct command *c, const char *login);

#endif
