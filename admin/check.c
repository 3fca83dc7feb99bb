/* check: pop3d --check: whether an installation can serve, and if not, what to do about it. */
#include <stdio.h>

#include "admin/admin.h"
#include "admin/checks.h"
#include "admin/findings.h"

int check_run(char **words)
{
	(void)words;
	check_clock();
	check_kernel();
	return fflush(stdout) == 0 ? (int)findings_worst() : ADMIN_EXIT_TROUBLE;
}
