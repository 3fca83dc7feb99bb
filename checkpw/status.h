/* status: how pop3d-checkpw ends; documented in pop3d-checkpw(8).
 *
 * Status 0 never comes from here: a good login ends in the program that is run. */
#ifndef PWSTATUS_H
#define PWSTATUS_H

enum pw_status {
	PW_OK = 0,
	PW_REFUSED = 1,
	PW_MISUSED = 2,
	PW_MISCONFIGURED = 100,
	PW_TEMPORARY = 111,
	PW_NOT_EXECUTABLE = 126,
	PW_NOT_FOUND = 127
};

#endif
