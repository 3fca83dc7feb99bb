/* ticketfile: making and rotating the file of ticket keys, for its administrator. */
#ifndef TLS_TICKETFILE_H
#define TLS_TICKETFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "os/file.h"
#include "tls/ticket.h"

/* As many as a rotation can keep. */
#define TICKETFILE_KEYS TICKET_KEYS

/* Reads a file of keys. It must belong to root or to the user of this process and be readable
 * for nobody but its owner and group. False after a log line. */
bool ticketfile_read(const char *path, struct ticket_keys *keys);

/* Makes a file with one key, for its owner only. False after a log line, if there is a file
 * already, too. */
bool ticketfile_make(const char *path);

/* Puts a new key before those in the file and keeps so many in all; the file is replaced as a
 * whole. False after a log line, with the file as it was. */
bool ticketfile_rotate(const char *path, size_t keep);

#endif
