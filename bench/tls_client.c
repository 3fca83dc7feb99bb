/* tls_client: logins and downloads under TLS, on the loopback interface.
 *
 * tls_client login PORT USER PASSWORD VERSION full|resumed COUNT AT_ONCE
 *     COUNT sessions of USER, PASS, STAT, QUIT, by AT_ONCE processes; prints how many were
 *     resumed, and the seconds that all took. The first one of each process is not resumed.
 * tls_client idle PORT USER PASSWORD VERSION COUNT
 *     logs in COUNT sessions, prints a line, and ends them when its standard input ends.
 * tls_client retr PORT USER PASSWORD
 *     RETR 1; prints octets and seconds from the command to the last octet.
 * tls_client http PORT PATH
 *     GET PATH; the same.
 *
 * VERSION is 1.2 or 1.3. Certificates are not looked at. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 18];
static SSL_SESSION *session;

static void die(const char *what)
{
	fprintf(stderr, "tls_client: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int keep(SSL *ssl, SSL_SESSION *new_session)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = new_session;
	return 1;
}

static SSL_CTX *make_context(const char *version)
{
	SSL_CTX *const context = SSL_CTX_new(TLS_client_method());
	const int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if (context == NULL || SSL_CTX_set_max_proto_version(context, number) != 1 ||
		SSL_CTX_set_min_proto_version(context, number) != 1)
		die("no context");
	SSL_CTX_set_session_cache_mode(
		context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep);
	return context;
}

static SSL *dial(SSL_CTX *context, const char *port, int resume)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((unsigned short)atoi(port)),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	SSL *const ssl = SSL_new(context);

	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		die("no connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	SSL_set_fd(ssl, fd);
	if (resume && session != NULL)
		SSL_set_session(ssl, session);
	if (SSL_connect(ssl) != 1)
		die("no handshake");
	return ssl;
}

static void hang_up(SSL *ssl)
{
	const int fd = SSL_get_fd(ssl);

	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

/* Sends a line, if any, and reads the reply of one line. */
static void ask(SSL *ssl, const char *line, const char *argument)
{
	const int length = snprintf(buffer, sizeof buffer, "%s%s\r\n", line, argument);
	int got;

	if (line[0] != '\0' && SSL_write(ssl, buffer, length) != length)
		die("no command sent");
	got = SSL_read(ssl, buffer, sizeof buffer);
	if (got < 3 || memcmp(buffer, "+OK", 3) != 0)
		die("no +OK");
}

static void log_in(SSL *ssl, char **argv)
{
	ask(ssl, "", "");
	ask(ssl, "USER ", argv[3]);
	ask(ssl, "PASS ", argv[4]);
}

/* Sessions one after another; returns how many were resumed. */
static long log_in_often(char **argv, long count)
{
	SSL_CTX *const context = make_context(argv[5]);
	const int resume = strcmp(argv[6], "resumed") == 0;
	long resumed = 0;

	for (long i = 0; i < count; i++) {
		SSL *const ssl = dial(context, argv[2], resume);

		resumed += SSL_session_reused(ssl);
		log_in(ssl, argv);
		ask(ssl, "STAT", "");
		ask(ssl, "QUIT", "");
		hang_up(ssl);
	}
	return resumed;
}

static void logins(char **argv)
{
	const long count = atol(argv[7]), at_once = atol(argv[8]);
	const double begin = now();
	long resumed = 0, one;
	int results[2], status;

	if (pipe(results) != 0)
		die("no pipe");
	for (long i = 0; i < at_once; i++)
		if (fork() == 0) {
			one = log_in_often(argv, count / at_once);
			_exit(write(results[1], &one, sizeof one) != sizeof one);
		}
	for (long i = 0; i < at_once; i++)
		if (wait(&status) < 0 || status != 0 ||
			read(results[0], &one, sizeof one) != sizeof one)
			die("a process failed");
		else
			resumed += one;
	printf("%ld %f\n", resumed, now() - begin);
}

static void stay_idle(char **argv)
{
	SSL_CTX *const context = make_context(argv[5]);

	for (long i = atol(argv[6]); i > 0; i--) {
		SSL *const ssl = dial(context, argv[2], 0);

		log_in(ssl, argv);
		ask(ssl, "STAT", "");
	}
	puts("idle");
	fflush(stdout);
	while (read(0, buffer, sizeof buffer) > 0)
		;
}

/* Reads until the end of a reply of many lines, or of the connection. */
static void download(SSL *ssl, const char *request, int multi_line)
{
	const double begin = now();
	unsigned long long octets = 0;
	int got = 0;

	SSL_write(ssl, request, (int)strlen(request));
	do {
		got = SSL_read(ssl, buffer, sizeof buffer);
		octets += got > 0 ? (unsigned long long)got : 0;
	} while (got > 0 &&
		 !(multi_line && got >= 5 && memcmp(buffer + got - 5, "\r\n.\r\n", 5) == 0));
	printf("%llu %f\n", octets, now() - begin);
}

int main(int argc, char **argv)
{
	char request[1024];
	SSL *ssl;

	if (argc == 9 && strcmp(argv[1], "login") == 0) {
		logins(argv);
	} else if (argc == 7 && strcmp(argv[1], "idle") == 0) {
		stay_idle(argv);
	} else if (argc == 5 && strcmp(argv[1], "retr") == 0) {
		ssl = dial(make_context("1.3"), argv[2], 0);
		log_in(ssl, argv);
		download(ssl, "RETR 1\r\n", 1);
		ask(ssl, "QUIT", "");
		hang_up(ssl);
	} else if (argc == 4 && strcmp(argv[1], "http") == 0) {
		ssl = dial(make_context("1.3"), argv[2], 0);
		snprintf(request, sizeof request, "GET /%s HTTP/1.0\r\n\r\n", argv[3]);
		download(ssl, request, 0);
	} else {
		die("wrong use");
	}
	return 0;
}
