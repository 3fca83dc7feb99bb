/* user: giving up the privileges that pop3d-checkpw was started with.
 *
 * RUNS AS ROOT until drop_privileges has done its work. Calls there: getgrouplist, setgroups,
 * setgid, setuid. Groups go first, since only root may change them, and the uid last, since
 * after it nothing can be changed; then the kernel is asked whether all of it is true. */
#include "checkpw/user.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpw/host.h"
#include "checkpw/quote.h"
#include "os/log.h"

struct group_set {
	gid_t ids[NGROUPS_MAX];
	int count;
};

static int compare_gids(const void *left, const void *right)
{
	gid_t a = *(const gid_t *)left;
	gid_t b = *(const gid_t *)right;

	return (a > b) - (a < b);
}

static void sort_groups(struct group_set *set)
{
	qsort(set->ids, (size_t)set->count, sizeof set->ids[0], compare_gids);
}

static bool wanted_groups(const struct pw_user *user, struct group_set *wanted)
{
	if (!user->host_account) {
		wanted->ids[0] = user->gid;
		wanted->count = 1;
		return true;
	}
	wanted->count = NGROUPS_MAX;
	return pwhost_groups(user->name, user->gid, wanted->ids, &wanted->count);
}

static bool groups_are(struct group_set *wanted)
{
	static struct group_set actual;

	actual.count = getgroups(NGROUPS_MAX, actual.ids);
	if (actual.count != wanted->count)
		return false;
	sort_groups(&actual);
	sort_groups(wanted);
	return memcmp(actual.ids, wanted->ids, (size_t)actual.count * sizeof(gid_t)) == 0;
}

static bool ids_are(uid_t uid, gid_t gid)
{
	uid_t real_uid, effective_uid, saved_uid;
	gid_t real_gid, effective_gid, saved_gid;

	return getresuid(&real_uid, &effective_uid, &saved_uid) == 0 &&
	       getresgid(&real_gid, &effective_gid, &saved_gid) == 0 && real_uid == uid &&
	       effective_uid == uid && saved_uid == uid && real_gid == gid &&
	       effective_gid == gid && saved_gid == gid;
}

/* The proof of the pudding: a process that can become root again was never anybody else. */
static bool root_is_out_of_reach(const struct pw_user *user)
{
	if (setuid(0) == 0 || seteuid(0) == 0)
		return false;
	return user->gid == 0 || (setgid(0) != 0 && setegid(0) != 0);
}

static enum pw_status cannot(const char *what, const struct pw_user *user)
{
	log_event(LOG_ERR,
		"checkpw-failed step=%s user=%s uid=%lu gid=%lu errno=%d error=\"%s\"", what,
		quote(user->name).text, (unsigned long)user->uid, (unsigned long)user->gid,
		errno, strerror(errno));
	return PW_TEMPORARY;
}

static enum pw_status not_dropped(const struct pw_user *user)
{
	log_event(LOG_CRIT,
		"checkpw-privileges-kept user=%s uid=%lu gid=%lu problem=\"they were not given "
		"up as asked\"",
		quote(user->name).text, (unsigned long)user->uid, (unsigned long)user->gid);
	return PW_TEMPORARY;
}

static enum pw_status drop_privileges(const struct pw_user *user)
{
	static struct group_set wanted;

	if (!wanted_groups(user, &wanted))
		return cannot("getgrouplist", user);
	if (setgroups((size_t)wanted.count, wanted.ids) != 0)
		return cannot("setgroups", user);
	if (setgid(user->gid) != 0)
		return cannot("setgid", user);
	if (setuid(user->uid) != 0)
		return cannot("setuid", user);
	return groups_are(&wanted) ? PW_OK : not_dropped(user);
}

/* Without root there is one user that can be served: the one that runs this. */
static enum pw_status stay_same(const struct pw_user *user)
{
	if (user->uid == geteuid() && user->gid == getegid())
		return PW_OK;
	log_event(LOG_ERR,
		"checkpw-not-root user=%s uid=%lu gid=%lu problem=\"this runs as uid %lu, gid "
		"%lu, and only root can become another user\"",
		quote(user->name).text, (unsigned long)user->uid, (unsigned long)user->gid,
		(unsigned long)geteuid(), (unsigned long)getegid());
	return PW_TEMPORARY;
}

static enum pw_status enter_home(const struct pw_user *user)
{
	bool absolute = user->home[0] == '/';

	if (absolute && chdir(user->home) == 0)
		return PW_OK;
	log_event(LOG_ERR, "checkpw-home-unusable home=%s user=%s uid=%lu problem=\"%s\"",
		quote(user->home).text, quote(user->name).text, (unsigned long)user->uid,
		absolute ? strerror(errno) : "it is not an absolute path");
	return PW_TEMPORARY;
}

static enum pw_status set_environment(const struct pw_user *user)
{
	if (setenv("USER", user->name, 1) != 0 || setenv("HOME", user->home, 1) != 0 ||
		setenv("SHELL", user->shell[0] != '\0' ? user->shell : "/bin/sh", 1) != 0 ||
		(user->maildir[0] != '\0' && setenv("MAILDIR", user->maildir, 1) != 0))
		return cannot("setenv", user);
	return PW_OK;
}

enum pw_status pwuser_become(const struct pw_user *user)
{
	enum pw_status status;

	/* a module of PAM may have made root of another login; nobody else hands one over */
	if (user->uid == 0) {
		log_event(LOG_ERR, "checkpw-refused user=%s problem=\"it has uid 0\"",
			quote(user->name).text);
		return PW_REFUSED;
	}
	status = geteuid() == 0 ? drop_privileges(user) : stay_same(user);
	if (status != PW_OK)
		return status;
	if (!ids_are(user->uid, user->gid) || !root_is_out_of_reach(user))
		return not_dropped(user);
	status = enter_home(user);
	return status == PW_OK ? set_environment(user) : status;
}
