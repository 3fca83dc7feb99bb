/* mail: where mail is, in the words of Dovecot. Pure. */
#ifndef PWMAIL_H
#define PWMAIL_H

#include <stddef.h>

/* Writes the path of "maildir:PATH[:OPTION ...]", or of a path alone, to maildir, terminated.
 * What begins with ~/ or %h/ becomes relative to the home. Returns NULL, or what is wrong:
 * another format, or too long. */
const char *pwmail_parse(const char *location, char *maildir, size_t size);

#endif
