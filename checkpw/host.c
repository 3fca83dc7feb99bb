/* host: see host.h. */
#include "checkpw/host.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "checkpw/quote.h"
#include "os/log.h"
#include "os/program.h"

#ifdef WITH_HOST

const bool pwhost_is_here = true;

enum pw_status pwhost_take_over(char **argv)
{
	(void)argv;
	return PW_MISCONFIGURED;
}

static bool copy_path(char *to, const char *from)
{
	const size_t length = strlen(from);

	if (length > PWUSER_PATH_MAX)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

static enum pw_status fill_user(const struct passwd *account, struct pw_user *user)
{
	if (account == NULL)
		return errno != 0 ? PW_TEMPORARY : PW_REFUSED;
	user->uid = account->pw_uid;
	user->gid = account->pw_gid;
	user->host_account = true;
	return copy_path(user->home, account->pw_dir) &&
			       copy_path(user->shell, account->pw_shell)
		       ? PW_OK
		       : PW_MISCONFIGURED;
}

enum pw_status pwhost_find(const char *name, struct pw_user *user)
{
	errno = 0;
	return fill_user(getpwnam(name), user);
}

enum pw_status pwhost_find_self(struct pw_user *user)
{
	errno = 0;
	return fill_user(getpwuid(geteuid()), user);
}

bool pwhost_groups(const char *name, gid_t gid, gid_t *ids, int *count)
{
	return getgrouplist(name, gid, ids, count) >= 0;
}

#else

const bool pwhost_is_here = false;

enum pw_status pwhost_take_over(char **argv)
{
	static const char second[] = "pop3d-checkpw-host";
	char path[1024];
	char *slash;

	if (!program_own_path(path, sizeof path - sizeof second)) {
		path[0] = '\0';
	} else {
		slash = strrchr(path, '/');
		memcpy(slash != NULL ? slash + 1 : path, second, sizeof second);
		execv(path, argv);
	}
	log_event(LOG_ERR, "checkpw-not-run program=%s errno=%d error=\"%s\"",
		quote(path[0] != '\0' ? path : second).text, errno, strerror(errno));
	return PW_MISCONFIGURED;
}

enum pw_status pwhost_find(const char *name, struct pw_user *user)
{
	(void)name;
	(void)user;
	return PW_REFUSED;
}

enum pw_status pwhost_find_self(struct pw_user *user)
{
	(void)user;
	return PW_REFUSED;
}

bool pwhost_groups(const char *name, gid_t gid, gid_t *ids, int *count)
{
	(void)name;
	ids[0] = gid;
	*count = 1;
	return true;
}

#endif
