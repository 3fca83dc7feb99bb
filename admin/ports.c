/* ports: which superserver serves which port, and who listens there; see checks.h. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/checks.h"
#include "os/finding.h"

#define LISTENING 0x0aU
#define NAME_OCTETS 64

static const char *const by_names[] = {"the command line", "systemd", "xinetd", "inetd"};

/* The socket that listens at a port, by its inode; 0 if there is none. */
static uint64_t listener_in(const char *table, unsigned port)
{
	FILE *const file = fopen(table, "re");
	char line[512];
	uint64_t found = 0;

	while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
		unsigned at, state;
		uint64_t inode;

		if (sscanf(line,
			    " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d "
			    "%" SCNu64,
			    &at, &state, &inode) == 3 &&
			at == port && state == LISTENING)
			found = inode;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static uint64_t listener(unsigned port)
{
	const uint64_t inode = listener_in("/proc/net/tcp6", port);

	return inode != 0 ? inode : listener_in("/proc/net/tcp", port);
}

static bool has_socket(const char *pid, const char *wanted)
{
	char path[320], target[64];
	DIR *directory;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
	directory = opendir(path);
	for (const struct dirent *entry = NULL;
		directory != NULL && !found && (entry = readdir(directory)) != NULL;) {
		ssize_t octets;

		snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", pid, entry->d_name);
		octets = readlink(path, target, sizeof target - 1);
		if (octets > 0)
			target[octets] = '\0';
		found = octets > 0 && strcmp(target, wanted) == 0;
	}
	if (directory != NULL)
		closedir(directory);
	return found;
}

static void read_name(const char *pid, char name[NAME_OCTETS])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%.16s/comm", pid);
	file = fopen(path, "re");
	if (file != NULL && fgets(name, NAME_OCTETS, file) != NULL)
		name[strcspn(name, "\n")] = '\0';
	if (file != NULL)
		fclose(file);
}

/* The name of the process that has the socket; "" if it cannot be told, which only root can.
 * The lowest process id is the one that opened it. */
static void find_holder(uint64_t inode, char name[NAME_OCTETS])
{
	char wanted[64];
	DIR *const directory = opendir("/proc");
	long lowest = 0;

	name[0] = '\0';
	snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
	for (const struct dirent *entry = NULL;
		directory != NULL && (entry = readdir(directory)) != NULL;) {
		const long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && (lowest == 0 || pid < lowest) &&
			has_socket(entry->d_name, wanted)) {
			lowest = pid;
			read_name(entry->d_name, name);
		}
	}
	if (directory != NULL)
		closedir(directory);
}

/* Whether the holder of a port is the superserver of a service. */
static bool is_holder(enum superserver by, const char *name)
{
	switch (by) {
	case BY_SYSTEMD: return strncmp(name, "systemd", 7) == 0 || strcmp(name, "init") == 0;
	case BY_XINETD: return strcmp(name, "xinetd") == 0;
	case BY_INETD: return strstr(name, "inetd") != NULL && strcmp(name, "xinetd") != 0;
	case BY_HAND: break;
	}
	return true;
}

static void say_not_served(const struct service *service)
{
	static const char *const commands[] = {"start the superserver", "systemctl start %s",
		"service xinetd restart", "restart inetd"};

	finding_put(FINDING_WRONG, "port",
		"nobody listens at port %u, though %s (%s) should: %s, and look at its log if "
		"that does "
		"not help",
		service->port, by_names[service->by], service->source,
		service->by == BY_SYSTEMD ? "systemctl start the .socket unit"
					  : commands[service->by]);
}

static void check_service_port(const struct service *service)
{
	char holder[NAME_OCTETS];
	const uint64_t inode = service->port != 0 ? listener(service->port) : 0;

	if (service->port == 0) {
		finding_put(FINDING_WARNING, "port",
			"%s does not say which port it serves, or by a name that is not in "
			"/etc/services",
			service->source);
		return;
	}
	if (inode == 0) {
		say_not_served(service);
		return;
	}
	find_holder(inode, holder);
	if (holder[0] == '\0')
		finding_put(FINDING_WARNING, "port",
			"somebody listens at port %u, and who it is cannot be seen: run the "
			"check as root",
			service->port);
	else if (is_holder(service->by, holder))
		finding_put(FINDING_OK, "port", "port %u: %s, as in %s", service->port, holder,
			service->source);
	else
		finding_put(FINDING_WRONG, "port",
			"port %u belongs to %s, but %s (%s) should serve it: stop and disable "
			"%s, then "
			"start %s",
			service->port, holder, by_names[service->by], service->source, holder,
			by_names[service->by]);
}

/* Two superservers on one port: who comes second gets nothing. */
static bool is_contested(const struct services *s, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (s->list[j].is_enabled && s->list[j].port == s->list[i].port &&
			s->list[i].port != 0 && s->list[j].by != s->list[i].by) {
			finding_put(FINDING_WRONG, "port",
				"port %u is to be served by %s (%s) and by %s (%s): disable "
				"one of them",
				s->list[i].port, by_names[s->list[j].by], s->list[j].source,
				by_names[s->list[i].by], s->list[i].source);
			return true;
		}
	return false;
}

/* The ports of POP3, where the command line was given and nothing says which port it is for. */
static void check_known_ports(void)
{
	static const unsigned ports[] = {110, 995};

	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		char holder[NAME_OCTETS];
		const uint64_t inode = listener(ports[i]);

		if (inode == 0)
			continue;
		find_holder(inode, holder);
		finding_put(FINDING_OK, "port", "port %u: %s", ports[i],
			holder[0] != '\0' ? holder : "somebody");
	}
}

void check_ports(const struct services *s)
{
	size_t enabled = 0;

	if (s->count > 0 && s->list[0].by == BY_HAND) {
		check_known_ports();
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		if (!s->list[i].is_enabled)
			continue;
		enabled++;
		if (!is_contested(s, i))
			check_service_port(&s->list[i]);
	}
	if (s->count == 0)
		finding_put(FINDING_WRONG, "service",
			"neither systemd nor xinetd nor inetd starts pop3d: install a service "
			"(doc/SETUP), "
			"or give the command line of yours: pop3d --check [LOGIN] "
			"/path/to/pop3d OPTIONS "
			"-- CHECKER");
	else if (enabled == 0)
		finding_put(FINDING_WRONG, "service",
			"%s is there and not enabled, nor is any other: systemctl enable --now "
			"pop3d.target, or disable = no in the files of xinetd",
			s->list[0].source);
}
