/* check: pop3d --check: whether an installation can serve, and if not, what to do about it.
 *
 * The first word is a login unless it begins with '-' or has a slash; what follows is the
 * command line of a service, as a superserver has it. Without one, the files of superservers
 * say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/checks.h"
#include "os/finding.h"
#include "os/process.h"

static bool is_login(const char *word)
{
	return word != NULL && word[0] != '-' && strchr(word, '/') == NULL &&
	       strcmp(word, "pop3d") != 0;
}

static void find_services(struct services *s, char **words)
{
	if (words[0] == NULL) {
		service_find_systemd(s);
		service_find_xinetd(s);
		service_find_inetd(s);
		return;
	}
	service_add(s, BY_HAND, "the command line given");
	words_add_list(&s->list[0].words, words);
}

/* A disabled service does not count where there is another one. */
static bool is_relevant(const struct services *s, size_t i)
{
	bool any_enabled = false;

	for (size_t j = 0; j < s->count; j++)
		any_enabled |= s->list[j].is_enabled;
	return s->list[i].is_enabled || !any_enabled;
}

/* The two ports have the same certificates, and one of them this option. */
static size_t after_starttls(const struct words *w, size_t i)
{
	return i + (i < w->count && strcmp(w->list[i], "--starttls") == 0);
}

static bool same_words(const struct words *a, const struct words *b)
{
	size_t i = 0, j = 0;

	for (;; i++, j++) {
		i = after_starttls(a, i);
		j = after_starttls(b, j);
		if (i == a->count || j == b->count)
			return i == a->count && j == b->count;
		if (strcmp(a->list[i], b->list[j]) != 0)
			return false;
	}
}

/* What an earlier service has as well is not checked again. */
static void check_service(
	const struct command *commands, size_t number, const struct service *service)
{
	const struct command *const c = &commands[number];
	bool new_tls = c->tls.count > 0, new_checker = true, new_greeter = true;

	if (!check_programs(c, service->source))
		return;
	if (service->user[0] != '\0' && strcmp(service->user, "root") != 0)
		finding_put(FINDING_WARNING, "service",
			"%s starts pop3d as user %s: it can serve only that user's mail; let "
			"it start as "
			"root, who gives up all rights before a client is heard",
			service->source, service->user);
	for (size_t i = 0; i < number; i++) {
		new_tls &= !same_words(&commands[i].tls, &c->tls);
		new_checker &= !same_words(&commands[i].checker, &c->checker);
		new_greeter &=
			commands[i].settings.asked.greeter_uid != c->settings.asked.greeter_uid;
	}
	if (new_greeter)
		check_greeter(c);
	if (new_checker) {
		check_checker(c);
		check_password_file(c);
	}
	if (new_tls)
		check_tls(c);
}

/* Clients on other hosts need TLS, or somebody who permits passwords in clear text. */
static void check_reach(const struct command *commands, size_t count)
{
	char path[1024];
	const bool is_installed =
		access(process_find_beside("pop3d-tls", path, sizeof path), X_OK) == 0;

	for (size_t i = 0; i < count; i++)
		if (commands[i].tls.count > 0 || commands[i].settings.asked.allow_cleartext ||
			commands[i].settings.asked.proxy_protocol)
			return;
	if (count > 0)
		finding_put(FINDING_WARNING, "tls",
			"no service has TLS%s: clients on other hosts cannot log in; %s, or "
			"let a proxy do "
			"it (--proxy-protocol)",
			is_installed ? "" : ", and pop3d-tls is not installed",
			is_installed ? "enable port 995 (pop3d-tls)"
				     : "install pop3d-tls and enable port 995");
}

static void check_services(const struct services *s, struct command *commands, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct command *const c = &commands[*count];

		if (!is_relevant(s, i))
			continue;
		command_take(c, (char **)s->list[i].words.list);
		check_service(commands, *count, &s->list[i]);
		*count += !c->is_wrong;
	}
	check_reach(commands, *count);
}

int check_run(char **words)
{
	static struct services services;
	static struct command commands[SERVICES_MOST];
	const char *const login = is_login(words[0]) ? words[0] : NULL;
	size_t count;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0)
		finding_put(FINDING_WARNING, "check",
			"only root can look at everything: run it as root");
	find_services(&services, words + (login != NULL));
	check_services(&services, commands, &count);
	check_ports(&services);
	check_kernel();
	check_clock();
	if (login != NULL && count > 0)
		check_login(&commands[0], login);
	return fflush(stdout) == 0 ? (int)finding_worst() : ADMIN_EXIT_TROUBLE;
}
