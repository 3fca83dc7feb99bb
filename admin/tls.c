/* tls: what pop3d-tls says of its certificates and ticket keys; see checks.h. OpenSSL is linked
 * into that program only, so that program looks. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/checks.h"
#include "os/finding.h"
#include "os/process.h"

static void make_arguments(const struct command *c, struct words *w, const char *host)
{
	char path[1024];

	words_clear(w);
	process_find_program(c->tls.list[0], path, sizeof path);
	words_add(w, path, strlen(path));
	words_add(w, "--check", 7);
	words_add(w, host, strlen(host));
	words_add_list(w, c->tls.list + 1);
}

/* The whole name of the host, where the resolver knows it. */
static void find_own_name(char *host, size_t octets)
{
	const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	if (gethostname(host, octets - 1) == 0 && strchr(host, '.') == NULL &&
		getaddrinfo(host, NULL, &hints, &found) == 0 && found->ai_canonname != NULL)
		snprintf(host, octets, "%s", found->ai_canonname);
	if (found != NULL)
		freeaddrinfo(found);
}

void check_tls(const struct command *c)
{
	static struct words arguments;
	char host[256] = "localhost";
	pid_t pid;

	find_own_name(host, sizeof host);
	make_arguments(
		c, &arguments, c->settings.asked.host != NULL ? c->settings.asked.host : host);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		process_default_signals();
		execv(arguments.list[0], arguments.list);
		_exit(127);
	}
	if (pid < 0 || !finding_add_status(process_await(pid)))
		finding_put(FINDING_WRONG, "tls",
			"%s refuses its options, or cannot be run; standard error says why: "
			"mend them",
			c->tls.list[0]);
}
