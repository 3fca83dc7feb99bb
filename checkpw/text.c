/* text: see text.h. */
#include "checkpw/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "checkpw/file.h"

#define FILE_OCTETS_MAX ((off_t)1 << 28)
#define LOCK_TRIES 100
#define LOCK_PAUSE_MS 100

enum pw_status pwtext_failed(const char *path)
{
	const bool is_missing = errno == ENOENT || errno == EACCES;

	return pwfile_unusable(
		path, strerror(errno), is_missing ? PW_MISCONFIGURED : PW_TEMPORARY);
}

size_t pwtext_line_length(const char *octets, size_t left)
{
	const char *const end = memchr(octets, '\n', left);

	return end != NULL ? (size_t)(end - octets) : left;
}

/* The file that is named now, and not one that another process has replaced since. False with
 * errno; ESTALE where it has been replaced. */
static bool lock_current(struct pwtext *text)
{
	struct stat now;

	if (flock(text->fd, LOCK_EX | LOCK_NB) != 0)
		return false;
	if (fstat(text->fd, &text->st) != 0 || stat(text->path, &now) != 0)
		return false;
	errno = ESTALE;
	return now.st_dev == text->st.st_dev && now.st_ino == text->st.st_ino;
}

static bool open_once(struct pwtext *text, enum pwtext_use use)
{
	const int access = use == PWTEXT_READ ? O_RDONLY : O_RDWR;

	text->fd = open(text->path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	text->is_new = use == PWTEXT_MAKE && text->fd < 0 && errno == ENOENT;
	if (text->is_new)
		text->fd = open(text->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return text->fd >= 0;
}

/* Links are followed to the file itself, since it is a file that is replaced. */
static bool find_path(struct pwtext *text, const char *path)
{
	static char copy[PATH_MAX];

	if (strlen(path) >= sizeof copy) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (realpath(path, text->path) == NULL) {
		if (errno != ENOENT)
			return false;
		strcpy(text->path, path);
	}
	strcpy(copy, text->path);
	strcpy(text->directory, dirname(copy));
	return true;
}

/* Waits for another one that changes it, for ten seconds. */
static enum pw_status open_locked(struct pwtext *text, const char *path, enum pwtext_use use)
{
	static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};

	if (!find_path(text, path))
		return pwtext_failed(path);
	for (int tries = 0;; tries++) {
		if (!open_once(text, use))
			return pwtext_failed(path);
		if (use == PWTEXT_READ ? fstat(text->fd, &text->st) == 0 : lock_current(text))
			return PW_OK;
		close(text->fd);
		if (errno == EWOULDBLOCK && tries == LOCK_TRIES)
			return pwfile_unusable(
				path, "another process has locked it", PW_TEMPORARY);
		if ((errno != EWOULDBLOCK && errno != ESTALE && errno != ENOENT) ||
			tries == LOCK_TRIES)
			return pwtext_failed(path);
		nanosleep(&pause, NULL);
	}
}

static enum pw_status read_whole(struct pwtext *text)
{
	const size_t size = (size_t)text->st.st_size;

	text->octets = malloc(size + 1);
	if (text->octets == NULL)
		return pwtext_failed(text->path);
	while (text->length < size) {
		const ssize_t got =
			read(text->fd, text->octets + text->length, size - text->length);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return pwtext_failed(text->path);
		text->length += got > 0 ? (size_t)got : 0;
	}
	return PW_OK;
}

enum pw_status pwtext_open(struct pwtext *text, const char *path, enum pwtext_use use)
{
	enum pw_status status = open_locked(text, path, use);
	const char *why;

	text->octets = NULL;
	text->length = 0;
	if (status != PW_OK)
		return status;
	why = pwfile_why_unsafe(&text->st);
	if (why == NULL && text->st.st_size > FILE_OCTETS_MAX)
		why = "it is too large";
	status = why != NULL ? pwfile_unusable(path, why, PW_MISCONFIGURED) : read_whole(text);
	if (status != PW_OK)
		pwtext_close(text);
	return status;
}

/* Nobody but us has the new file while it is locked, so an empty one can go. */
void pwtext_close(struct pwtext *text)
{
	struct stat now;

	if (text->octets != NULL)
		explicit_bzero(text->octets, text->length);
	free(text->octets);
	if (text->is_new && stat(text->path, &now) == 0 && now.st_size == 0 &&
		now.st_ino == text->st.st_ino)
		unlink(text->path);
	close(text->fd);
}
