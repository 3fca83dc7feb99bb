/* text: the password file as a whole, for administrators: no login reads it so. */
#ifndef PWTEXT_H
#define PWTEXT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "checkpw/status.h"

enum pwtext_use {
	PWTEXT_READ,   /* without a lock: a file that is replaced stays whole for its readers */
	PWTEXT_CHANGE, /* locked against other changes */
	PWTEXT_MAKE    /* the same; a file that is missing is made */
};

struct pwtext {
	int fd; /* locked until pwtext_close, or until the end of the process */
	struct stat st;
	char path[PATH_MAX]; /* of the file itself, where path was a link */
	char directory[PATH_MAX];
	bool is_new;  /* made by pwtext_open, and empty */
	char *octets; /* hashes are among them */
	size_t length;
};

/* Opens and reads the file as its use wants it. A file that others could have written is not
 * taken. Whatever is not PW_OK is logged, and leaves nothing open. */
enum pw_status pwtext_open(struct pwtext *text, const char *path, enum pwtext_use use);

/* Wipes the octets, and gives the lock back. A new file that is still empty is removed. */
void pwtext_close(struct pwtext *text);

/* The length of the line at octets, without its LF. */
size_t pwtext_line_length(const char *octets, size_t left);

/* Logs that the file cannot be used, and why by errno; returns the status. */
enum pw_status pwtext_failed(const char *path);

#endif
