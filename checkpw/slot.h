/* slot: bounds how many passwords are checked at a time on one host: anybody on the network can
 * ask for a hash of 16 MiB and a tenth of a second, once for each connection. */
#ifndef PWSLOT_H
#define PWSLOT_H

#include <stdint.h>

/* Held by root's checks; the slots are locks on octets of this file. Nobody else can open it.
 */
#define PWSLOT_DIRECTORY "/run/pop3d"
#define PWSLOT_FILE PWSLOT_DIRECTORY "/checks"

/* More would be as good as no bound. */
#define PWSLOT_MOST 4096

struct pwslot_limits {
	uint64_t most; /* checks at a time; 0: any number */
	int64_t wait_seconds;
};

enum pwslot_end {
	PWSLOT_FREE, /* the check may begin */
	PWSLOT_LATE, /* none became free in time; logged */
};

/* Two for each processor, and at least eight. */
uint64_t pwslot_default_most(void);

/* Waits for a slot. own_file is the password file, or NULL: without root it takes the place of
 * PWSLOT_FILE if only this user can open it. Where there is no file to lock, checks are not
 * bounded, and root's log says so. *fd is the slot, for pwslot_leave. */
enum pwslot_end pwslot_enter(const struct pwslot_limits *limits, const char *own_file, int *fd);

/* Gives the slot back. So does the end of the process. */
void pwslot_leave(int fd);

#endif
