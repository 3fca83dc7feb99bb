/* landlock: see landlock.h. */
#include "confine/landlock.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/kernel.h"
#include "os/log.h"

static int landlock_abi(void)
{
	return (int)syscall(SYSTEM_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);
}

static uint64_t all_file_rights(int abi)
{
	if (abi >= 5)
		return LANDLOCK_ALL_ABI5;
	if (abi >= 3)
		return LANDLOCK_ALL_ABI3;
	return abi == 2 ? LANDLOCK_ALL_ABI2 : LANDLOCK_ALL_ABI1;
}

/* A ruleset that takes everything the kernel's ABI can take; -1 with errno. */
static int create_ruleset(int abi, unsigned scoped)
{
	const struct kernel_landlock_ruleset ruleset = {
		.filesystem = all_file_rights(abi),
		.network = abi >= 4 ? LANDLOCK_ALL_NETWORK : 0,
		.scoped = abi >= 6 ? scoped : 0,
	};
	const size_t octets = abi >= 6   ? sizeof ruleset
			      : abi >= 4 ? offsetof(struct kernel_landlock_ruleset, scoped)
					 : offsetof(struct kernel_landlock_ruleset, network);

	return (int)syscall(SYSTEM_LANDLOCK_CREATE_RULESET, &ruleset, octets, 0);
}

static bool add_place(int ruleset_fd, const struct confine_place *place)
{
	struct kernel_landlock_path rule = {.parent_fd = place->fd};

	if ((place->rights & CONFINE_READ) != 0)
		rule.allowed |= LANDLOCK_READ_FILE | LANDLOCK_READ_DIRECTORY;
	if ((place->rights & CONFINE_REMOVE) != 0)
		rule.allowed |= LANDLOCK_REMOVE_FILE | LANDLOCK_REFER;
	if ((place->rights & CONFINE_ADD) != 0)
		rule.allowed |= LANDLOCK_MAKE_REGULAR | LANDLOCK_REFER;
	if ((place->rights & CONFINE_WRITE) != 0)
		rule.allowed |=
			LANDLOCK_MAKE_REGULAR | LANDLOCK_WRITE_FILE | LANDLOCK_REMOVE_FILE;
	return syscall(SYSTEM_LANDLOCK_ADD_RULE, ruleset_fd, LANDLOCK_PATH_BENEATH, &rule, 0) ==
	       0;
}

void landlock_restrict(unsigned scoped, const struct confine_place *places, size_t count)
{
	const int least_abi = count > 0 ? 2 : 1;
	const int abi = landlock_abi();
	const int fd = abi >= least_abi ? create_ruleset(abi, scoped) : -1;
	bool ruled = fd >= 0;

	for (size_t i = 0; i < count && ruled; i++)
		ruled = places[i].fd < 0 || add_place(fd, &places[i]);
	if (ruled)
		ruled = syscall(SYSTEM_LANDLOCK_RESTRICT_SELF, fd, 0) == 0;
	if (!ruled)
		log_event(LOG_DEBUG, "no-landlock abi=%d needed=%d", abi, least_abi);
	if (fd >= 0)
		close(fd);
}
