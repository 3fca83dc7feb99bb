/* directory: making a directory, reading it without the library's allocations, and renaming in
 * it. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the terminated name of an entry. Returning false with errno ends the reading. */
typedef bool directory_take(void *context, int directory_fd, const char *name, size_t octets);

/* Has take called for every regular file of a directory whose name has 1 to 255 octets and does
 * not begin with a dot, and for every entry of which neither the directory nor a look at it
 * tells what it is. The directory is opened anew: directory_fd is the caller's and its offset
 * is left alone. Links are not followed; a fifo or a device is never opened. Returns false with
 * errno where not all of it was read. Not reentrant: take must not read another directory. */
bool directory_read(int directory_fd, directory_take *take, void *context);

/* Asks the server of a network file system for the times of a directory. If they are new, what
 * this host keeps of the directory ends; otherwise NFS answers for up to a minute from what it
 * keeps. If this fails, the next fstat of the directory fails as well, or answers from what is
 * kept. */
void directory_refresh(int directory_fd);

/* Makes a directory with mode 0700. One that exists already stays as it is. Returns false with
 * errno. */
bool directory_make(int parent_fd, const char *name);

/* Renames a file, to another directory perhaps, and never replaces one (EEXIST). Where the file
 * system has no such call, the file has both names for a moment. Returns false with errno. */
bool directory_rename(int from_fd, const char *from, int to_fd, const char *to);

/* The same, where another program must never find the file under both names: it could remove
 * one of them, and the file would stay. On a file system that cannot refuse to replace a file
 * (NFS), this looks for a file of that name first; one that is made between the two calls is
 * replaced. */
bool directory_move(int from_fd, const char *from, int to_fd, const char *to);

#endif
