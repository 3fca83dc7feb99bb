/* keeper: see keeper.h. Runs with the launch privileges. */
#include "tls/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/log.h"
#include "os/process.h"
#include "tls/material.h"
#include "tls/name.h"

/* A handshake needs at most three files: for the name, for its wildcard, and the default. */
#define FILES_ALLOWED 3
#define PATH_OCTETS 4096
#define LOWEST_FOR_PROGRAM 10 /* 3 and 4 mean something to checkpassword programs */

/* The first octet of each message. */
enum message { MESSAGE_FILE = 'f', MESSAGE_BEGIN = 'b' };

/* The variables that the engine may set for the program. */
static const char *const tls_variables[] = {"SSL_PROTOCOL", "SSL_CIPHER",
	"SSL_TLS_SNI_SERVERNAME", "SSL_PEER_CERT_HASH", "SSL_PEER_CERT_SUBJECT"};

/* These as well if a proxy has named the client. */
static const char *const proxy_variables[] = {
	"PROTO", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT"};

static const char *const descriptor_variables[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void send_answer(int gate, enum keeper_answer answered, const struct file_octets *octets)
{
	char first = (char)answered;
	struct iovec parts[2] = {{&first, 1}, {octets->data, octets->length}};
	const struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = octets->data != NULL ? 2 : 1};

	sendmsg(gate, &message, MSG_NOSIGNAL);
}

/* The octets after the first one of a message are the name. The engine is not trusted, so the
 * name is checked again. */
static void hand_out_certificate(const struct keeper *k, const char *text, size_t length)
{
	char name[TLS_NAME_OCTETS + 1] = "default", path[PATH_OCTETS];
	struct file_octets octets = {NULL, 0};
	enum keeper_answer answered = KEEPER_TROUBLE;
	struct stat st;
	int written;

	if (length > 0 && !tls_name_take(name, text, length)) {
		send_answer(k->gate, KEEPER_NOT_THERE, &octets);
		return;
	}
	written = snprintf(path, sizeof path, "%s/%s.pem", k->options->cert_dir, name);
	errno = ENAMETOOLONG;
	if (written > 0 && (size_t)written < sizeof path && file_read(path, &octets, &st)) {
		tls_material_warn_exposed(path, &st);
		answered = KEEPER_FOUND;
	} else if (errno == ENOENT || errno == ENAMETOOLONG)
		answered = KEEPER_NOT_THERE;
	else
		log_event(LOG_ERR, "tls-configuration file=%s problem=\"%s\"", path,
			strerror(errno));
	send_answer(k->gate, answered, &octets);
	file_forget(&octets);
}

static bool is_printable(const char *value)
{
	for (; *value != '\0'; value++)
		if (*value < ' ' || *value > '~')
			return false;
	return true;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool set_variable(const struct keeper *k, char *variable)
{
	char *const sign = strchr(variable, '=');

	if (sign == NULL || !is_printable(sign + 1))
		return false;
	*sign = '\0';
	if (!is_one_of(variable, tls_variables, COUNT(tls_variables)) &&
		!(k->options->proxy_protocol &&
			is_one_of(variable, proxy_variables, COUNT(proxy_variables))))
		return false;
	return setenv(variable, sign + 1, 1) == 0;
}

static bool set_variables(const struct keeper *k, char *variables, size_t length)
{
	if (length > 0 && variables[length - 1] != '\0')
		return false;
	while (length > 0) {
		const size_t one = strlen(variables) + 1;

		if (!set_variable(k, variables))
			return false;
		variables += one;
		length -= one;
	}
	return true;
}

static bool set_known(const char *name, const char *value)
{
	return value[0] == '\0' || setenv(name, value, 1) == 0;
}

/* The program sees the channel and not the internet socket, so the addresses are in its
 * environment. */
static bool set_peer(const struct peer *p)
{
	return set_known("PROTO", p->protocol) && set_known("TCPREMOTEIP", p->remote_ip) &&
	       set_known("TCPREMOTEPORT", p->remote_port) &&
	       set_known("TCPLOCALIP", p->local_ip) && set_known("TCPLOCALPORT", p->local_port);
}

/* Removes inherited variables that described the connection of another process. */
static void unset_inherited(void)
{
	for (size_t i = 0; i < COUNT(tls_variables); i++)
		unsetenv(tls_variables[i]);
	for (size_t i = 0; i < COUNT(descriptor_variables); i++)
		unsetenv(descriptor_variables[i]);
}

/* Gives the program a descriptor of its own, which it may close. */
static bool pass_descriptor(const char *name, int fd)
{
	const int passed = fcntl(fd, F_DUPFD, LOWEST_FOR_PROGRAM);
	char number[12];

	snprintf(number, sizeof number, "%d", passed);
	return passed >= 0 && setenv(name, number, 1) == 0;
}

static bool arrange_descriptors(const struct keeper *k)
{
	if (k->options->starttls)
		return pass_descriptor("SSLCTLFD", k->control) &&
		       pass_descriptor("SSLREADFD", k->channel) &&
		       pass_descriptor("SSLWRITEFD", k->channel);
	/* output to standard error must not reach the client in clear text */
	if (log_stderr_is_clients() && dup2(k->channel, 2) < 0)
		return false;
	return dup2(k->channel, 0) == 0 && dup2(k->channel, 1) == 1;
}

/* No other process reports why the program did not start, so this one logs it. */
static _Noreturn void become_program(const struct keeper *k, char *variables, size_t length)
{
	char path[PATH_OCTETS];
	char **const program = k->options->program;
	int error_number;

	unset_inherited();
	if (!set_peer(k->peer) || !set_variables(k, variables, length) ||
		!arrange_descriptors(k)) {
		log_event(LOG_ERR, "tls-program-not-started program=%s errno=%d", program[0],
			errno);
		_exit(111);
	}
	umask(k->umask);
	process_default_signals();
	execv(process_find_program(program[0], path, sizeof path), program);
	error_number = errno;
	log_event(LOG_ERR, "tls-program-not-started program=%s errno=%d error=\"%s\"",
		program[0], error_number, strerror(error_number));
	_exit(error_number == ENOENT ? 127 : 126);
}

_Noreturn void keeper_run(const struct keeper *k)
{
	char message[1 + KEEPER_VARIABLES_OCTETS];
	unsigned files = 0;

	for (;;) {
		const ssize_t length = recv(k->gate, message, sizeof message, 0);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			_exit(0);
		if (message[0] == MESSAGE_BEGIN)
			become_program(k, message + 1, (size_t)length - 1);
		if (message[0] != MESSAGE_FILE || k->options->cert_dir == NULL ||
			files++ == FILES_ALLOWED)
			_exit(111);
		hand_out_certificate(k, message + 1, (size_t)length - 1);
	}
}

static bool send_message(int gate, enum message kind, const char *octets, size_t length)
{
	char message[1 + KEEPER_VARIABLES_OCTETS];

	if (length > KEEPER_VARIABLES_OCTETS)
		return false;
	message[0] = (char)kind;
	memcpy(message + 1, octets, length);
	return send(gate, message, length + 1, MSG_NOSIGNAL) == (ssize_t)length + 1;
}

enum keeper_answer keeper_ask(int gate, const char *name, struct file_octets *octets)
{
	enum keeper_answer answered;
	ssize_t length;

	octets->data = malloc(FILE_MOST_OCTETS + 1);
	octets->length = 0;
	if (octets->data == NULL || !send_message(gate, MESSAGE_FILE, name, strlen(name)))
		return KEEPER_TROUBLE;
	do
		length = recv(gate, octets->data, FILE_MOST_OCTETS + 1, 0);
	while (length < 0 && errno == EINTR);
	if (length <= 0)
		return KEEPER_TROUBLE;
	answered = (enum keeper_answer)octets->data[0];
	octets->length = (size_t)length - 1;
	memmove(octets->data, octets->data + 1, octets->length);
	octets->data[octets->length] = '\0';
	return answered;
}

bool keeper_begin(int gate, const char *variables, size_t length)
{
	return send_message(gate, MESSAGE_BEGIN, variables, length);
}
