/* host: checks of the host that no setting of pop3d changes; see checks.h. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "admin/checks.h"
#include "os/finding.h"

#define LANDLOCK_VERSION 1U /* LANDLOCK_CREATE_RULESET_VERSION */
#define LANDLOCK_RENAMES 2  /* the first ABI that lets files move between directories */

void check_clock(void)
{
	struct stat program;
	const time_t now = time(NULL);
	char text[32];
	struct tm parts;

	if (gmtime_r(&now, &parts) == NULL ||
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
		text[0] = '\0';
	/* the program was made, or installed, before now */
	if (stat("/proc/self/exe", &program) != 0)
		finding_put(FINDING_WARNING, "clock",
			"the time is %s; /proc is not there to compare it with: mount it",
			text);
	else if (now < program.st_mtim.tv_sec)
		finding_put(FINDING_WRONG, "clock",
			"the time is %s, before pop3d was installed: set the clock; until then "
			"certificates are not valid yet, and new mail gets names of the past",
			text);
	else
		finding_put(FINDING_OK, "clock", "the time is %s", text);
}

static void check_landlock(void)
{
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);

	if (version >= LANDLOCK_RENAMES)
		finding_put(FINDING_OK, "kernel", "Landlock, ABI %ld", version);
	else if (version > 0)
		finding_put(FINDING_WARNING, "kernel",
			"Landlock has ABI %ld: sessions are not confined to their Maildir "
			"before ABI "
			"2 (Linux 5.19); a newer kernel would",
			version);
	else if (errno == EPERM)
		finding_put(FINDING_WARNING, "kernel",
			"Landlock is refused here (%s): sessions are not confined to their "
			"Maildir; "
			"permit the calls landlock_* where this container is started",
			strerror(errno));
	else
		finding_put(FINDING_WARNING, "kernel",
			"there is no Landlock (%s): sessions are not confined to their "
			"Maildir; put "
			"landlock into the kernel's lsm= list, or use Linux 5.19 or later",
			strerror(errno));
}

void check_kernel(void)
{
	check_landlock();
	/* EFAULT: the kernel knows the call and looked for a filter */
	if (prctl(PR_SET_SECCOMP, 2, NULL) != 0 && errno == EFAULT)
		finding_put(FINDING_OK, "kernel", "seccomp filters");
	else
		finding_put(FINDING_WARNING, "kernel",
			"there are no seccomp filters (%s): the processes that talk to clients "
			"keep "
			"every system call; use a kernel with CONFIG_SECCOMP_FILTER",
			strerror(errno));
}
