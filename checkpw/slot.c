/* slot: see slot.h. RUNS AS ROOT.
 *
 * Locks of fcntl(2) belong to the process: a child of a PAM module does not keep them, and the
 * kernel gives them back however the process ends. They need a file that other users cannot
 * open, since a lock for reading would keep a slot from everybody. */
#include "checkpw/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/log.h"

#define FIRST_OCTET ((off_t)1 << 30) /* beyond whatever else is locked in a password file */
#define LOOK_MS 40                   /* between two looks for a slot */

uint64_t pwslot_default_most(void)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > 4 ? 2 * (uint64_t)processors : 8;
}

static int open_slots(const char *own_file)
{
	static const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;

	if (geteuid() == 0) {
		const int fd = open(PWSLOT_FILE, flags, 0600);

		/* after a boot the first check makes the directory */
		if (fd >= 0 || errno != ENOENT)
			return fd;
		return mkdir(PWSLOT_DIRECTORY, 0755) == 0 || errno == EEXIST
			       ? open(PWSLOT_FILE, flags, 0600)
			       : -1;
	}
	if (own_file != NULL)
		return open(own_file, O_RDWR | O_CLOEXEC);
	errno = EACCES;
	return -1;
}

static bool is_private(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	errno = EPERM;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* Tries all slots, each process from another one on. Returns 0, EAGAIN where all are taken, or
 * another error of fcntl. */
static int try_slots(int fd, uint64_t most)
{
	const uint64_t first = (uint64_t)getpid();

	for (uint64_t i = 0; i < most; i++) {
		struct flock slot = {.l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = FIRST_OCTET + (off_t)((first + i) % most),
			.l_len = 1};

		if (fcntl(fd, F_SETLK, &slot) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return errno;
	}
	return EAGAIN;
}

static int wait_for_slot(int fd, const struct pwslot_limits *limits)
{
	static const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	const int64_t deadline_ms = clock_now_ms() + limits->wait_seconds * 1000;
	int error_number = try_slots(fd, limits->most);

	while (error_number == EAGAIN && clock_now_ms() < deadline_ms) {
		nanosleep(&pause, NULL);
		error_number = try_slots(fd, limits->most);
	}
	return error_number;
}

/* Another user than root cannot do anything about it, and serves nobody else. */
static void log_unbounded(int error_number)
{
	if (geteuid() == 0)
		log_event(LOG_WARNING,
			"checkpw-unbounded path=" PWSLOT_FILE " errno=%d error=\"%s\"",
			error_number, strerror(error_number));
}

enum pwslot_end pwslot_enter(const struct pwslot_limits *limits, const char *own_file, int *fd)
{
	int error_number;

	*fd = -1;
	if (limits->most == 0)
		return PWSLOT_FREE;
	*fd = open_slots(own_file);
	error_number = *fd < 0 || !is_private(*fd) ? errno : wait_for_slot(*fd, limits);
	if (error_number == 0)
		return PWSLOT_FREE;
	pwslot_leave(*fd);
	*fd = -1;
	if (error_number != EAGAIN) {
		log_unbounded(error_number);
		return PWSLOT_FREE;
	}
	log_event(LOG_WARNING, "checkpw-busy most=%llu seconds=%lld",
		(unsigned long long)limits->most, (long long)limits->wait_seconds);
	return PWSLOT_LATE;
}

void pwslot_leave(int fd)
{
	if (fd >= 0)
		close(fd);
}
