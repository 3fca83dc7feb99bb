/* tls-storm PORT MODE COUNT: a client of TLS that other clients do not have.
 *
 * updates: asks for new keys COUNT times without a word in between (TLS 1.3)
 * handshakes: asks for a new handshake (TLS 1.2), COUNT is not used
 * early: takes a session and then sends early data with it, whether it was invited or not
 *
 * Before, it reads the line with which the server greets. Prints "open" when the server then
 * still answers QUIT, "closed" when it does not; in the early mode also what became of the
 * early data. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_SESSION *session;

static int keep(SSL *ssl, SSL_SESSION *new_session)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = new_session;
	return 1;
}

static void die(const char *what)
{
	fprintf(stderr, "tls-storm: %s\n", what);
	exit(2);
}

static SSL *dial(SSL_CTX *context, const char *port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((unsigned short)atoi(port)),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct timeval patience = {.tv_sec = 10};
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	SSL *const ssl = SSL_new(context);

	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		die("no connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		die("no memory");
	return ssl;
}

static int read_line(SSL *ssl)
{
	char c = '\0';

	while (c != '\n')
		if (SSL_read(ssl, &c, 1) != 1)
			return 0;
	return 1;
}

static void update(SSL *ssl, long count)
{
	for (long i = 0; i < count; i++)
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
			SSL_do_handshake(ssl) != 1)
			return;
}

static SSL *early(SSL_CTX *context, SSL *first, const char *port)
{
	SSL *const ssl = dial(context, port);
	size_t written = 0;

	SSL_shutdown(first);
	if (session == NULL)
		die("no session");
	SSL_SESSION_set_max_early_data(session, 16384);
	if (SSL_set_session(ssl, session) != 1 ||
		SSL_write_early_data(ssl, "CAPA\r\n", 6, &written) != 1)
		die("early data cannot be sent");
	if (SSL_connect(ssl) != 1)
		die("no handshake after early data");
	puts(SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED ? "accepted"
								       : "rejected");
	return ssl;
}

int main(int argc, char **argv)
{
	SSL_CTX *const context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	if (argc != 4 || context == NULL)
		die("usage: tls-storm PORT MODE COUNT");
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[2], "handshakes") == 0)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(context, keep);
	ssl = dial(context, argv[1]);
	if (SSL_connect(ssl) != 1 || !read_line(ssl))
		die("no greeting");
	if (strcmp(argv[2], "updates") == 0) {
		update(ssl, atol(argv[3]));
	} else if (strcmp(argv[2], "handshakes") == 0) {
		SSL_renegotiate(ssl);
		puts(SSL_do_handshake(ssl) == 1 ? "renegotiated" : "refused");
	} else {
		ssl = early(context, ssl, argv[1]);
		if (!read_line(ssl))
			die("no greeting");
	}
	puts(SSL_write(ssl, "QUIT\r\n", 6) == 6 && read_line(ssl) ? "open" : "closed");
	return 0;
}
