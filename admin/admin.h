/* admin: what pop3d-admin does, a function for each command. */
#ifndef ADMIN_H
#define ADMIN_H

#define ADMIN_EXIT_USAGE 100
#define ADMIN_EXIT_TROUBLE 111

/* Takes the words of the command line after the name of the command, ended by NULL. Returns the
 * exit status. */
typedef int admin_command(char **words);

admin_command import_run; /* import-uids KIND [--write] [--file FILE | MAILDIR ...] */
admin_command check_run;  /* check [LOGIN] [COMMAND LINE] */
admin_command show_run;   /* show MAILDIR */

#endif
