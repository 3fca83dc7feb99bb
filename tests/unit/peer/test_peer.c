/* peer: who is at the other end, from the socket if there is one, otherwise from the
 * environment. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "peer/peer.h"

static struct peer p;

static int clear_environment(void **state)
{
	(void)state;
	return clearenv();
}

static void set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void is_peer(const char *protocol, const char *remote_ip, const char *remote_port,
	const char *local_ip, const char *local_port)
{
	assert_string_equal(p.protocol, protocol);
	assert_string_equal(p.remote_ip, remote_ip);
	assert_string_equal(p.remote_port, remote_port);
	assert_string_equal(p.local_ip, local_ip);
	assert_string_equal(p.local_port, local_port);
}

/* Looks with a descriptor that is not a socket. */
static void look_at_environment(void)
{
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(&p, 'x', sizeof p);
	peer_lookup(&p, fd);
	close(fd);
}

/* A connection over the loopback interface: at[0] is the client's end, at[1] the server's. */
static bool connect_tcp(int at[2], const struct sockaddr *listen_at, socklen_t octets,
	struct sockaddr *connect_to, in_port_t *port_to)
{
	const int listener = socket(listen_at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 bound; /* The port is at the same place in both kinds of address. */
	socklen_t bound_octets = sizeof bound;
	const int off = 0;

	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (listener < 0 || bind(listener, listen_at, octets) != 0 || listen(listener, 1) != 0)
		return false;
	assert_int_equal(
		getsockname(listener, (struct sockaddr *)(void *)&bound, &bound_octets), 0);
	*port_to = bound.sin6_port;
	at[0] = socket(connect_to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	octets = connect_to->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						  : sizeof(struct sockaddr_in6);
	assert_int_equal(connect(at[0], connect_to, octets), 0);
	at[1] = accept(listener, NULL, NULL);
	assert_true(at[1] >= 0);
	close(listener);
	return true;
}

/* The number of a socket's own port, in digits. */
static const char *port_of(int fd)
{
	static char text[2][8];
	static unsigned next;
	struct sockaddr_in6 address;
	socklen_t octets = sizeof address;
	char *const port = text[next++ % 2];

	assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &octets), 0);
	snprintf(port, sizeof text[0], "%u", ntohs(address.sin6_port));
	return port;
}

TEST(socket_tells_both_ends)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *const any = (struct sockaddr *)(void *)&address;
	struct sockaddr_in from = address;
	int at[2];

	set("PROTO", "TCP6");
	set("TCPREMOTEIP", "127.0.0.2"); /* no other host, so the socket knows it better */
	set("TCPREMOTEPORT", "1");
	set("TCPLOCALIP", "192.0.2.2");
	set("TCPLOCALPORT", "2");
	set("REMOTE_HOST", "192.0.2.3");
	assert_true(connect_tcp(
		at, (struct sockaddr *)(void *)&from, sizeof from, any, &address.sin_port));
	peer_lookup(&p, at[1]);
	is_peer("TCP", "127.0.0.1", port_of(at[0]), "127.0.0.1", port_of(at[1]));
	assert_true(peer_is_local(&p));
	close(at[0]);
	close(at[1]);
}

/* What stands at the other end of a loopback connection has a client of its own. */
TEST(client_that_is_named_counts_where_the_socket_is_a_wrappers)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = address;
	int at[2];

	assert_true(connect_tcp(at, (struct sockaddr *)(void *)&from, sizeof from,
		(struct sockaddr *)(void *)&address, &address.sin_port));
	set("REMOTE_HOST", "192.0.2.3");
	set("REMOTE_PORT", "77");
	peer_lookup(&p, at[1]);
	is_peer("TCP", "192.0.2.3", "77", "", "");
	assert_false(peer_is_local(&p));
	set("REMOTE_HOST", "client.example");
	peer_lookup(&p, at[1]);
	assert_string_equal(peer_ip(&p), "-");
	assert_false(peer_is_local(&p));
	set("REMOTE_HOST", "::ffff:127.0.0.1");
	peer_lookup(&p, at[1]);
	is_peer("TCP", "127.0.0.1", port_of(at[0]), "127.0.0.1", port_of(at[1]));
	assert_true(peer_is_local(&p));
	close(at[0]);
	close(at[1]);
}

/* socat, ncat and others give a program one end of a socket pair. */
TEST(unnamed_socket_is_not_of_this_host)
{
	const struct sockaddr_un own = {.sun_family = AF_UNIX}; /* the kernel makes a name */
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_lookup(&p, fds[0]);
	is_peer("", "", "", "", "");
	assert_false(peer_is_local(&p));
	assert_int_equal(
		bind(fds[0], (const struct sockaddr *)(const void *)&own, sizeof(sa_family_t)),
		0);
	peer_lookup(&p, fds[0]);
	assert_true(peer_is_local(&p));
	set("TCPREMOTEIP", "127.0.0.1");
	peer_lookup(&p, fds[1]);
	assert_true(peer_is_local(&p));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(clearenv(), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* as after a reset */
	peer_lookup(&p, fds[0]);
	assert_false(peer_is_local(&p));
	close(fds[0]);
	assert_int_equal(pipe(fds), 0);
	peer_lookup(&p, fds[0]);
	assert_true(peer_is_local(&p));
	close(fds[0]);
	close(fds[1]);
}

TEST(client_that_cannot_be_read_is_not_of_this_host)
{
	static const char *const names[] = {"TCPREMOTEIP", "SSLREMOTEIP", "REMOTE_ADDR",
		"REMOTE_HOST", "SOCAT_PEERADDR", "NCAT_REMOTE_ADDR", "TCPREMOTEADDR"};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		set(names[i], "client.example");
		look_at_environment();
		is_peer("", "", "", "", "");
		assert_false(peer_is_local(&p));
		assert_int_equal(clearenv(), 0);
	}
	set("TCPREMOTEIP", "unknown");
	set("REMOTE_HOST", "127.0.0.1");
	look_at_environment();
	assert_false(peer_is_local(&p));
	set("TCPREMOTEIP", "127.0.0.1");
	set("REMOTE_HOST", "localhost"); /* the name of the same */
	look_at_environment();
	assert_true(peer_is_local(&p));
	set("TCPREMOTEIP", "");
	set("REMOTE_HOST", "");
	look_at_environment();
	assert_true(peer_is_local(&p));
}

TEST(brackets_and_scopes_are_stripped)
{
	static const char *const given[][2] = {{"[2001:db8::7]", "2001:db8::7"},
		{"fe80::1%eth0", "fe80::1"}, {"[fe80::1%25eth0]", "fe80::1"},
		{"[192.0.2.1]", "192.0.2.1"},
		{"[0000:0000:0000:0000:0000:0000:0000:0001]", "::1"}};

	for (size_t i = 0; i < COUNT_OF(given); i++) {
		set("TCPREMOTEIP", given[i][0]);
		look_at_environment();
		assert_string_equal(peer_ip(&p), given[i][1]);
		assert_int_equal(peer_is_local(&p), strcmp(given[i][1], "::1") == 0);
	}
}

TEST(socat_and_ncat_and_busybox_have_names_of_their_own)
{
	set("SOCAT_PEERADDR", "[2001:0db8:0000:0000:0000:0000:0000:0007]");
	set("SOCAT_PEERPORT", "4711");
	set("SOCAT_SOCKADDR", "[2001:0db8:0000:0000:0000:0000:0000:0001]");
	set("SOCAT_SOCKPORT", "110");
	look_at_environment();
	is_peer("TCP6", "2001:db8::7", "4711", "2001:db8::1", "110");
	assert_int_equal(clearenv(), 0);
	set("NCAT_REMOTE_ADDR", "192.0.2.7");
	set("NCAT_REMOTE_PORT", "4711");
	set("NCAT_LOCAL_ADDR", "192.0.2.1");
	set("NCAT_LOCAL_PORT", "110");
	look_at_environment();
	is_peer("TCP", "192.0.2.7", "4711", "192.0.2.1", "110");
	assert_int_equal(clearenv(), 0);
	set("TCPREMOTEADDR", "192.0.2.7:4711");
	set("TCPLOCALADDR", "192.0.2.1:110");
	look_at_environment();
	is_peer("TCP", "192.0.2.7", "4711", "192.0.2.1", "110");
	set("TCPREMOTEADDR", "[2001:db8::7]:4711");
	set("TCPLOCALADDR", "[2001:db8::1]:110");
	look_at_environment();
	is_peer("TCP6", "2001:db8::7", "4711", "2001:db8::1", "110");
	set("TCP6REMOTEIP", "2001:db8::8");
	look_at_environment();
	assert_string_equal(peer_ip(&p), "2001:db8::8");
}

/* A connection that is already gone cannot tell its peer; that is not the same as an unknown
 * peer. */
TEST(socket_that_was_reset_is_told_from_one_that_has_no_address)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = address;
	const struct linger at_once = {1, 0};
	int at[2], pair[2];

	assert_true(connect_tcp(at, (struct sockaddr *)(void *)&from, sizeof from,
		(struct sockaddr *)(void *)&address, &address.sin_port));
	assert_false(peer_has_left(at[1]));
	assert_int_equal(setsockopt(at[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
	close(at[0]);
	assert_true(peer_has_left(at[1]));
	close(at[1]);
	assert_int_equal(pipe(pair), 0);
	assert_false(peer_has_left(pair[0]));
	close(pair[0]);
	close(pair[1]);
}

TEST(ipv6_socket_is_tcp6)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in6 from = address;
	int at[2];

	if (!connect_tcp(at, (struct sockaddr *)(void *)&from, sizeof from,
		    (struct sockaddr *)(void *)&address, &address.sin6_port)) {
		print_message("no IPv6 on this machine\n");
		skip();
	}
	peer_lookup(&p, at[1]);
	is_peer("TCP6", "::1", port_of(at[0]), "::1", port_of(at[1]));
	assert_true(peer_is_local(&p));
	close(at[0]);
	close(at[1]);
}

TEST(mapped_ipv4_of_a_dual_stack_listener_is_written_as_ipv4)
{
	struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int at[2];

	if (!connect_tcp(at, (struct sockaddr *)(void *)&from, sizeof from,
		    (struct sockaddr *)(void *)&address, &address.sin_port)) {
		print_message("no IPv6 on this machine\n");
		skip();
	}
	peer_lookup(&p, at[1]);
	is_peer("TCP", "127.0.0.1", port_of(at[0]), "127.0.0.1", port_of(at[1]));
	close(at[0]);
	close(at[1]);
}

TEST(local_socket_and_pipe_are_told_by_the_environment)
{
	int fds[2];

	set("TCPREMOTEIP", "192.0.2.1");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	peer_lookup(&p, fds[0]);
	is_peer("TCP", "192.0.2.1", "", "", "");
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(pipe(fds), 0);
	peer_lookup(&p, fds[0]);
	is_peer("TCP", "192.0.2.1", "", "", "");
	close(fds[0]);
	close(fds[1]);
	peer_lookup(&p, -1);
	is_peer("TCP", "192.0.2.1", "", "", "");
}

TEST(nothing_known_is_empty)
{
	look_at_environment();
	is_peer("", "", "", "", "");
	assert_string_equal(peer_ip(&p), "-");
	assert_string_equal(peer_port(&p), "-");
	assert_false(p.tls);
	assert_true(peer_is_local(&p));
}

TEST(sslserver_has_names_of_its_own)
{
	set("PROTO", "SSL");
	set("SSLREMOTEIP", "192.0.2.1");
	set("SSLREMOTEPORT", "40000");
	set("SSLLOCALIP", "192.0.2.2");
	set("SSLLOCALPORT", "995");
	look_at_environment();
	is_peer("TCP", "192.0.2.1", "40000", "192.0.2.2", "995");
	assert_false(p.tls);
}

TEST(tcpserver_tells_all)
{
	set("PROTO", "TCP");
	set("TCPREMOTEIP", "192.0.2.1");
	set("TCPREMOTEPORT", "40000");
	set("TCPLOCALIP", "192.0.2.2");
	set("TCPLOCALPORT", "110");
	look_at_environment();
	is_peer("TCP", "192.0.2.1", "40000", "192.0.2.2", "110");
	assert_string_equal(peer_ip(&p), "192.0.2.1");
	assert_string_equal(peer_port(&p), "40000");
}

TEST(systemd_and_xinetd_and_stunnel_tell_the_address)
{
	set("REMOTE_ADDR", "192.0.2.7");
	set("REMOTE_PORT", "123");
	look_at_environment();
	is_peer("TCP", "192.0.2.7", "123", "", "");
	assert_int_equal(clearenv(), 0);
	set("REMOTE_HOST", "192.0.2.8");
	look_at_environment();
	is_peer("TCP", "192.0.2.8", "", "", "");
}

TEST(address_in_the_environment_is_written_in_one_way)
{
	static const struct {
		const char *given, *protocol, *ip;
	} addresses[] = {
		{"::ffff:192.0.2.9", "TCP", "192.0.2.9"},
		{"::FFFF:c000:0209", "TCP", "192.0.2.9"},
		{"2001:DB8:0:0::1", "TCP6", "2001:db8::1"},
		{"::1", "TCP6", "::1"},
		{"::", "TCP6", "::"},
		{"0.0.0.0", "TCP", "0.0.0.0"},
		{"255.255.255.255", "TCP", "255.255.255.255"},
		{"fe80:1111:2222:3333:4444:5555:6666:7777", "TCP6",
			"fe80:1111:2222:3333:4444:5555:6666:7777"},
	};

	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		set("REMOTE_HOST", addresses[i].given);
		look_at_environment();
		is_peer(addresses[i].protocol, addresses[i].ip, "", "", "");
	}
}

TEST(what_is_no_address_is_not_taken)
{
	static const char *const wrong[] = {"", " ", "localhost", "192.0.2", "192.0.2.256",
		"192.0.2.1 ", " 192.0.2.1", "192.0.2.1:80", "192.0.2.1\n", "[::1", "::1]", "[]",
		"%lo", "192.0.2.1%lo", "[::1]:80", "2001:db8:::1",
		"12345::", "192.0.2.1,192.0.2.2", "$(id)", "user=x ip=1.2.3.4", "\xff\xfe",
		"1:2:3:4:5:6:7:8:9"};
	char longest[5000];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		set("TCPREMOTEIP", wrong[i]);
		set("TCPLOCALIP", wrong[i]);
		look_at_environment();
		is_peer("", "", "", "", "");
	}
	memset(longest, '1', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	set("TCPREMOTEIP", longest);
	set("TCPREMOTEPORT", longest);
	look_at_environment();
	is_peer("", "", "", "", "");
}

TEST(variable_that_is_no_address_gives_way_to_the_next)
{
	set("TCPREMOTEIP", "unknown");
	set("REMOTE_ADDR", "");
	set("REMOTE_HOST", "2001:db8::5");
	set("TCPREMOTEPORT", "-1");
	set("REMOTE_PORT", "77");
	look_at_environment();
	is_peer("TCP6", "2001:db8::5", "77", "", "");
}

TEST(port_is_a_number_up_to_65535)
{
	static const char *const wrong[] = {
		"", "65536", "-1", "+1", "1x", "0x1", " 1", "99999999999999999999", "pop3"};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		set("TCPREMOTEPORT", wrong[i]);
		set("TCPLOCALPORT", wrong[i]);
		look_at_environment();
		is_peer("", "", "", "", "");
	}
	set("TCPREMOTEPORT", "65535");
	set("TCPLOCALPORT", "00110");
	look_at_environment();
	is_peer("", "", "65535", "", "110");
}

TEST(tls_is_what_the_wrapper_says)
{
	set("SSL_PROTOCOL", "");
	look_at_environment();
	assert_false(p.tls);
	set("SSL_PROTOCOL", "TLSv1.3");
	look_at_environment();
	assert_true(p.tls);
	assert_int_equal(unsetenv("SSL_PROTOCOL"), 0);
	set("SSL_CIPHER", "x");
	look_at_environment();
	assert_true(p.tls);
}

static bool local(const char *remote_ip, const char *local_ip)
{
	snprintf(p.remote_ip, sizeof p.remote_ip, "%s", remote_ip);
	snprintf(p.local_ip, sizeof p.local_ip, "%s", local_ip);
	return peer_is_local(&p);
}

TEST(this_host_is_loopback_or_the_address_connected_to)
{
	assert_true(local("", ""));
	assert_true(local("127.0.0.1", ""));
	assert_true(local("127.255.1.1", "192.0.2.1"));
	assert_true(local("::1", "::1"));
	assert_true(local("192.0.2.1", "192.0.2.1"));
	assert_true(local("2001:db8::1", "2001:db8::1"));
	assert_false(local("192.0.2.1", ""));
	assert_false(local("192.0.2.1", "192.0.2.10"));
	assert_false(local("12.7.0.1", "192.0.2.10"));
	assert_false(local("::11", "::1"));
	assert_false(local("::127.0.0.1", "192.0.2.10"));
}

#define PEER_TEST(name) cmocka_unit_test_setup(name, clear_environment)

static const struct CMUnitTest tests[] = {
	PEER_TEST(socket_tells_both_ends),
	PEER_TEST(client_that_is_named_counts_where_the_socket_is_a_wrappers),
	PEER_TEST(unnamed_socket_is_not_of_this_host),
	PEER_TEST(client_that_cannot_be_read_is_not_of_this_host),
	PEER_TEST(brackets_and_scopes_are_stripped),
	PEER_TEST(socat_and_ncat_and_busybox_have_names_of_their_own),
	PEER_TEST(socket_that_was_reset_is_told_from_one_that_has_no_address),
	PEER_TEST(ipv6_socket_is_tcp6),
	PEER_TEST(mapped_ipv4_of_a_dual_stack_listener_is_written_as_ipv4),
	PEER_TEST(local_socket_and_pipe_are_told_by_the_environment),
	PEER_TEST(nothing_known_is_empty),
	PEER_TEST(sslserver_has_names_of_its_own),
	PEER_TEST(tcpserver_tells_all),
	PEER_TEST(systemd_and_xinetd_and_stunnel_tell_the_address),
	PEER_TEST(address_in_the_environment_is_written_in_one_way),
	PEER_TEST(what_is_no_address_is_not_taken),
	PEER_TEST(variable_that_is_no_address_gives_way_to_the_next),
	PEER_TEST(port_is_a_number_up_to_65535),
	PEER_TEST(tls_is_what_the_wrapper_says),
	PEER_TEST(this_host_is_loopback_or_the_address_connected_to),
};

int main(void)
{
	return UNIT_RUN("peer", tests);
}
