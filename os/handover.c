/* handover: see handover.h. */
#include "os/handover.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

void handover_announce(int status_fd)
{
	const char runs = HANDOVER_SESSION_RUNS;
	struct stat st;

	if (status_fd < 0)
		return;
	/* a checker may have closed it and opened something of its own there */
	if (fstat(status_fd, &st) != 0 || !S_ISFIFO(st.st_mode) ||
		write(status_fd, &runs, 1) != 1)
		fcntl(1, F_SETSIG, SIGURG);
	close(status_fd);
}

void handover_unmark_connection(void)
{
	if (handover_connection_is_marked())
		fcntl(1, F_SETSIG, 0);
}

bool handover_connection_is_marked(void)
{
	return fcntl(1, F_GETSIG) == SIGURG;
}
