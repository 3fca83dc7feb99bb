/* ticketfile: see ticketfile.h. Runs with the launch privileges, on a file of the
 * administrator's. */
#include "tls/ticketfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "os/log.h"

#define LINE_OCTETS (2 * TICKET_KEY_OCTETS + 1)
#define PATH_OCTETS 4096

static bool log_trouble(const char *path, const char *problem)
{
	log_event(LOG_ERR, "tls-configuration file=%s problem=\"%s\"", path, problem);
	return false;
}

static bool system_trouble(const char *path)
{
	return log_trouble(path, strerror(errno));
}

enum ticketfile_state ticketfile_judge(
	const char *path, struct ticket_keys *keys, struct stat *st)
{
	struct file_octets octets;
	bool good;

	if (!file_read(path, &octets, st))
		return TICKETFILE_UNREADABLE;
	good = ticket_parse(keys, octets.data, octets.length);
	file_forget(&octets);
	if (!good)
		return TICKETFILE_NO_KEYS;
	if ((st->st_mode & (S_IWGRP | S_IRWXO)) != 0)
		return TICKETFILE_OPEN;
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return TICKETFILE_FOREIGN;
	return TICKETFILE_GOOD;
}

static bool read_with_state(const char *path, struct ticket_keys *keys, struct stat *st)
{
	switch (ticketfile_judge(path, keys, st)) {
	case TICKETFILE_UNREADABLE: return system_trouble(path);
	case TICKETFILE_NO_KEYS: return log_trouble(path, "no file of ticket keys");
	case TICKETFILE_OPEN:
		return log_trouble(path, "others may read it, or its group write it");
	case TICKETFILE_FOREIGN: return log_trouble(path, "belongs to another user");
	case TICKETFILE_GOOD: break;
	}
	return true;
}

bool ticketfile_read(const char *path, struct ticket_keys *keys)
{
	struct stat st;

	if (read_with_state(path, keys, &st))
		return true;
	explicit_bzero(keys, sizeof *keys);
	return false;
}

static bool make_key(struct ticket_key *key)
{
	return getrandom(key, sizeof *key, 0) == (ssize_t)sizeof *key;
}

static void write_line(char *line, const struct ticket_key *key)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char octets[TICKET_KEY_OCTETS];

	memcpy(octets, key, sizeof octets);
	for (size_t i = 0; i < sizeof octets; i++) {
		line[2 * i] = hex[octets[i] >> 4];
		line[2 * i + 1] = hex[octets[i] & 15];
	}
	line[LINE_OCTETS - 1] = '\n';
	explicit_bzero(octets, sizeof octets);
}

static bool write_keys(int fd, const struct ticket_keys *keys)
{
	char text[TICKET_KEYS * LINE_OCTETS];
	const size_t length = keys->count * LINE_OCTETS;
	ssize_t written;

	for (size_t i = 0; i < keys->count; i++)
		write_line(text + i * LINE_OCTETS, &keys->keys[i]);
	written = write(fd, text, length);
	explicit_bzero(text, sizeof text);
	if (written >= 0 && (size_t)written != length)
		errno = ENOSPC;
	return written == (ssize_t)length && fsync(fd) == 0;
}

bool ticketfile_make(const char *path)
{
	struct ticket_keys keys = {.count = 1};
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good;

	if (fd < 0)
		return system_trouble(path);
	good = make_key(&keys.keys[0]) && write_keys(fd, &keys);
	explicit_bzero(&keys, sizeof keys);
	if (close(fd) == 0 && good)
		return true;
	system_trouble(path);
	unlink(path);
	return false;
}

/* Writes the same keys after a new one, to a file with the same owner and mode. */
static bool replace_file(
	const char *path, const struct ticket_keys *keys, const struct stat *st)
{
	char other[PATH_OCTETS];
	const int length = snprintf(other, sizeof other, "%s.XXXXXX", path);
	int fd;

	errno = ENAMETOOLONG;
	if (length < 0 || (size_t)length >= sizeof other)
		return system_trouble(path);
	fd = mkostemp(other, O_CLOEXEC);
	if (fd < 0)
		return system_trouble(path);
	if (write_keys(fd, keys) && fchown(fd, st->st_uid, st->st_gid) == 0 &&
		fchmod(fd, st->st_mode & 0777) == 0 && rename(other, path) == 0) {
		close(fd);
		return true;
	}
	system_trouble(path);
	close(fd);
	unlink(other);
	return false;
}

bool ticketfile_rotate(const char *path, size_t keep)
{
	struct ticket_keys keys;
	struct stat st;
	bool good = read_with_state(path, &keys, &st);

	if (good) {
		if (keys.count > keep - 1)
			keys.count = keep - 1;
		memmove(&keys.keys[1], &keys.keys[0], keys.count * sizeof *keys.keys);
		keys.count++;
		good = make_key(&keys.keys[0]) ? replace_file(path, &keys, &st)
					       : system_trouble(path);
	}
	explicit_bzero(&keys, sizeof keys);
	return good;
}
