"""Real proxies in front of pop3d: HAProxy, stunnel and nginx's mail proxy.

Clients connect from 127.0.0.77, which distinguishes them in the log from the proxies on 127.0.0.1.
"""
import errno
import http.server
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

import harness
from harness import retry_until
from launch import Superserver, Tcpserver, checker_options, find_program, free_port
from mail_lab import PLAIN, in_order, wire_form
from tls_lab import GREETING, TlsClient, TlsServer, tls_program
from tls_lab import own, pki  # fixtures, pylint: disable=unused-import

CLIENT = "127.0.0.77"


class Plain(TlsClient):
    """The same client without TLS."""


def connect(port, context=None):
    raw = socket.create_connection(("127.0.0.1", port), harness.TIMEOUT, (CLIENT, 0))
    if context is None:
        return Plain(raw)
    return TlsClient(context.wrap_socket(raw, server_hostname="mail.example"))


def fetch_all(client, home, greeting=GREETING):
    """A session. Returns what RETR sent."""
    assert client.line() == greeting
    assert client.ask(f"USER {home.login}").startswith("+OK")
    reply = client.ask(f"PASS {home.password}")
    assert reply.startswith("+OK"), reply
    count = int(client.ask("STAT").split()[1])
    found = []
    for number in range(1, count + 1):
        assert client.ask(f"RETR {number}").startswith("+OK")
        lines = []
        while (line := client.line()) != ".":
            lines.append(line[1:] if line.startswith(".") else line)
        found.append("".join(line + "\r\n" for line in lines).encode("latin-1"))
    assert client.ask("QUIT").startswith("+OK")
    assert client.rest() == b""
    client.close()
    return found


def wanted():
    return [wire_form(content) for content in in_order(PLAIN)]


@pytest.fixture
def started(home):
    """Starts superservers and proxies, which end with the test."""
    home.maildir.add_all(PLAIN)
    running = []

    def start(kind, *arguments, **how):
        running.append(kind(*arguments, **how))
        return running[-1]

    yield start
    for each in reversed(running):
        each.stop()


@pytest.fixture
def server(lab, home, started):
    """pop3d under tcpserver, with options."""
    def start(*options):
        return started(Tcpserver, lab, home, [*checker_options(lab), *options, "--", lab.checker,
                                              home.table])
    return start


def logged(server, pattern):
    found = retry_until(lambda: re.search(pattern, server.log(), re.MULTILINE))
    assert found, f"nothing like {pattern} in the log\n{server.log()}"


def own_lines(server):
    """The lines that are not the superserver's."""
    return [line for line in server.log().splitlines() if line.startswith("pop3d")]


# -- HAProxy


class Haproxy(Superserver):
    """HAProxy with one listener and one server. bind and line are the rest of their lines."""

    name = package = "haproxy"

    def command(self):
        target, bind, line, *checks = self.arguments
        self.stats = os.path.join(self.work, "stats")
        checks = "\n".join("\t" + check for check in checks)
        return [find_program("haproxy", "haproxy"), "-db", "-f", self.write("haproxy.cfg", f"""
global
	stats socket {self.stats} mode 600 level admin
defaults
	mode tcp
	timeout connect 10s
	timeout client 60s
	timeout server 60s
listen pop3
	bind 127.0.0.1:{self.port} {bind}
{checks}
	server pop3d 127.0.0.1:{target.port} {line}
""")]

    def check_state(self):
        """HAProxy's view of its server: (status, result of the last check)."""
        def connected():
            try:
                control.connect(self.stats)
            except OSError as error:  # HAProxy opens its port before it moves the socket there.
                if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                    raise
                return False
            return True

        with socket.socket(socket.AF_UNIX) as control:
            assert retry_until(connected), self.log()
            control.sendall(b"show stat\n")
            text = b""
            while piece := control.recv(65536):
                text += piece
        rows = [line.split(",") for line in text.decode().splitlines() if line]
        columns = {name: number for number, name in enumerate(rows[0])}
        row = next(row for row in rows if row[1] == "pop3d")
        return row[columns["status"]], row[columns["check_status"]]


@pytest.fixture
def haproxy(lab, home, started):
    def start(target, line, bind="", checks=()):
        return started(Haproxy, lab, home, [target, bind, line, *checks])
    return start


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy_names_its_client(home, server, haproxy, version):
    pop3d = server("--proxy-protocol", "--allow-cleartext", "--trusted-proxy", "127.0.0.1")
    proxy = haproxy(pop3d, version)
    assert fetch_all(connect(proxy.port), home) == wanted()
    logged(pop3d, rf"login ip={CLIENT} port=\d+ user={home.login} tls=no session=")
    logged(pop3d, rf"logout ip={CLIENT} .*reason=quit .*tls=no session=")


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
def test_haproxy_in_clear_is_not_taken_for_protected(home, server, haproxy, version):
    """Nor does its client count as one on this host."""
    pop3d = server("--proxy-protocol")
    client = connect(haproxy(pop3d, version).port)
    assert client.line() == GREETING
    assert client.ask(f"USER {home.login}").startswith("-ERR [AUTH] ")
    assert client.ask("QUIT").startswith("+OK")
    client.close()
    logged(pop3d, rf"end ip={CLIENT} stage=login reason=clear-text-refused")


@pytest.fixture
def bundle(home, pki):
    """Key and certificate in one file, for a proxy that does TLS."""
    path = home.path + ".bundle.pem"
    with open(path, "w", encoding="ascii") as file:
        file.write(pki.pem("mail.example"))
    return path


@pytest.mark.parametrize("version", ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"])
@pytest.mark.parametrize("policy", [(), ("--require-tls",)], ids=["default", "require-tls"])
def test_tls_that_ends_at_haproxy_protects_the_login(home, pki, server, haproxy, bundle, policy,
                                                     version):
    pop3d = server("--proxy-protocol", "--trusted-proxy", "127.0.0.0/8", *policy)
    proxy = haproxy(pop3d, version, f"ssl crt {bundle}")
    assert fetch_all(connect(proxy.port, pki.context()), home) == wanted()
    logged(pop3d, rf"login ip={CLIENT} port=\d+ user={home.login} tls=yes session=")
    logged(pop3d, rf"logout ip={CLIENT} .*reason=quit .*tls=yes session=")


def test_tls_that_ends_at_haproxy_unseen_protects_nothing(home, pki, server, haproxy, bundle):
    """Version 2 without the extension does not say whether TLS was used."""
    pop3d = server("--proxy-protocol")
    client = connect(haproxy(pop3d, "send-proxy-v2", f"ssl crt {bundle}").port, pki.context())
    assert client.line() == GREETING
    assert client.ask(f"USER {home.login}").startswith("-ERR [AUTH] ")
    client.close()


def engine(lab, home, own, options, program_options):
    return TlsServer(lab, [*own, *options], [lab.pop3d, *checker_options(lab), *program_options,
                                             "--", lab.checker, home.table])


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy_in_front_of_port_995(lab, home, pki, own, started, haproxy, version):
    """TLS goes through the proxy. The proxy's header precedes the handshake."""
    del started
    tls = engine(lab, home, own, ["--proxy-protocol", "--trusted-proxy", "127.0.0.1"],
                 ["--require-tls"])
    proxy = haproxy(tls, version)
    assert fetch_all(connect(proxy.port, pki.context()), home) == wanted()
    tls.logged(rf"login ip={CLIENT} port=\d+ user={home.login} tls=yes")


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy_in_front_of_port_110_with_stls(lab, home, pki, own, started, haproxy, version):
    del started
    tls = engine(lab, home, own, ["--starttls"], ["--proxy-protocol", "--require-tls"])
    raw = socket.create_connection(("127.0.0.1", haproxy(tls, version).port), harness.TIMEOUT,
                                   (CLIENT, 0))
    plain = Plain(raw)
    assert plain.line() == GREETING
    assert plain.ask("STLS").startswith("+OK")
    client = TlsClient(pki.context().wrap_socket(raw, server_hostname="mail.example"))
    client.got = (GREETING + "\r\n").encode()  # there is no second one
    assert fetch_all(client, home) == wanted()
    tls.logged(rf"login ip={CLIENT} port=\d+ user={home.login} tls=yes")


CHECKS = {
    "connect": ("send-proxy check inter 100ms", ()),
    "connect, version 2": ("send-proxy-v2 check inter 100ms", ()),
    "connect, header demanded": ("send-proxy-v2 check check-send-proxy inter 100ms", ()),
    "connect, header of the checks only": ("check check-send-proxy inter 100ms", ()),
    "session": ("send-proxy-v2 check inter 100ms",
                ("option tcp-check", "tcp-check expect string +OK", "tcp-check send QUIT\\r\\n",
                 "tcp-check expect string +OK")),
    "session, version 1": ("send-proxy check inter 100ms",
                           ("option tcp-check", "tcp-check expect string +OK",
                            "tcp-check send QUIT\\r\\n", "tcp-check expect string +OK")),
}


# A check that only connects has often reset the connection before its address is asked for.
ENDS = r"end ip=(?:127\.0\.0\.1|-) stage=login reason=check tries=0"


def checked(pop3d, haproxy, check, pattern):
    """Five health checks or more of pop3d."""
    line, checks = CHECKS[check]
    proxy = haproxy(pop3d, line, checks=checks)
    if pattern is None:
        time.sleep(0.7)
    else:
        assert retry_until(lambda: len(re.findall(pattern, pop3d.log())) >= 5), pop3d.log()
    assert retry_until(lambda: proxy.check_state()[0] == "UP")
    last = proxy.check_state()[1].removeprefix("* ")
    assert last == ("L7OK" if checks else "L4OK"), proxy.log()
    proxy.stop()
    time.sleep(0.1)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("debug", [True, False])
def test_health_checks_of_haproxy_are_served(server, haproxy, check, debug):
    """They are no attacks and no events: otherwise the log would consist of them."""
    pop3d = server("--proxy-protocol", "--trusted-proxy", "127.0.0.1", *["--debug"][:debug])
    checked(pop3d, haproxy, check, ENDS if debug else None)
    assert debug or own_lines(pop3d) == []


def test_health_checks_without_a_header_are_not_seen(server, haproxy):
    """HAProxy sends no header in checks of another port, and resets before pop3d's server connects."""
    pop3d = server("--proxy-protocol")
    proxy = haproxy(pop3d, f"send-proxy-v2 check port {pop3d.port} inter 100ms")
    assert retry_until(lambda: "UP" in proxy.check_state()[0])
    time.sleep(0.7)
    proxy.stop()
    assert own_lines(pop3d) == []


def test_health_checks_of_a_server_that_takes_no_header(server, haproxy):
    """pop3d cannot tell them from somebody who looks whether the port is open; neither is a line."""
    pop3d = server()
    proxy = haproxy(pop3d, "check inter 100ms")
    assert retry_until(lambda: "UP" in proxy.check_state()[0])
    time.sleep(0.7)
    proxy.stop()
    assert own_lines(pop3d) == []


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("sent", [b"", b"NOOP\r\n", b"N"])
def test_a_client_that_leaves_after_a_word_is_logged(server, reset, sent):
    pop3d = server()
    client = socket.create_connection(("127.0.0.1", pop3d.port))
    assert client.recv(100).startswith(b"+OK")
    client.sendall(sent)
    if sent:
        time.sleep(0.3)  # a reset can take an octet away that was not read yet
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    if sent:
        logged(pop3d, "end ip=127.0.0.1 stage=login reason=(eof|broken) tries=0")
    else:
        time.sleep(0.3)
        assert own_lines(pop3d) == []


@pytest.mark.parametrize("debug", [True, False])
def test_health_checks_of_port_995(lab, home, own, started, haproxy, debug):
    """A check that ends before the handshake, with a header of the proxy's own."""
    del started
    tls = engine(lab, home, own, ["--proxy-protocol", *["--debug"][:debug]], [])
    proxy = haproxy(tls, "send-proxy-v2 check inter 100ms")
    failed = r'tls-(?:failed|no-proxy-header) ip=(?:127\.0\.0\.1|-) reason="[^"]*"'
    if debug:
        assert retry_until(lambda: len(re.findall(failed, tls.log())) >= 5), tls.log()
    assert retry_until(lambda: "UP" in proxy.check_state()[0])
    time.sleep(0.7)
    proxy.stop()
    assert debug or own_lines(tls) == []


def test_a_check_that_has_reset_already_is_not_called_untrusted(lab, own):
    """A client whose connection is gone has no address, and nothing needs a warning."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        check = socket.create_connection(listener.getsockname())
        connection = listener.accept()[0]
    check.sendall(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
    check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    check.close()
    with connection:
        done = subprocess.run([tls_program(lab), *own, "--proxy-protocol", "--trusted-proxy",
                               "127.0.0.1", "--", "cat"], stdin=connection, stdout=connection,
                              stderr=subprocess.PIPE, timeout=harness.TIMEOUT, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_proxy_that_is_not_trusted_gets_nothing(home, server, haproxy):
    pop3d = server("--proxy-protocol", "--allow-cleartext", "--trusted-proxy", "192.0.2.0/24")
    client = connect(haproxy(pop3d, "send-proxy-v2").port)
    assert client.rest() == b""
    client.close()
    logged(pop3d, r"proxy-not-trusted ip=127\.0\.0\.1 session=")
    assert home.login not in pop3d.log()


# -- stunnel


class Stunnel(Superserver):
    """stunnel with TLS for its clients."""

    name = "stunnel4"
    package = "stunnel4"

    def command(self):
        bundle, lines = self.arguments
        return [find_program("stunnel4", "stunnel4"), self.write("stunnel.conf", f"""
foreground = yes
pid =
syslog = no
[pop3s]
accept = 127.0.0.1:{self.port}
cert = {bundle}
{lines}
""")]


def test_stunnel_in_front(lab, home, pki, server, started, bundle):
    """Its connections come from this host, from which clear text is permitted."""
    pop3d = server()
    proxy = started(Stunnel, lab, home, [bundle, f"connect = 127.0.0.1:{pop3d.port}"])
    assert fetch_all(connect(proxy.port, pki.context()), home) == wanted()
    logged(pop3d, rf"login ip=127\.0\.0\.1 port=\d+ user={home.login} tls=no session=")


def test_stunnel_names_its_client(lab, home, pki, server, started, bundle):
    """Its header is of version 1, which cannot say that TLS was used, so --allow-cleartext is
    needed.
    """
    pop3d = server("--proxy-protocol", "--trusted-proxy", "127.0.0.1", "--allow-cleartext")
    proxy = started(Stunnel, lab, home,
                    [bundle, f"connect = 127.0.0.1:{pop3d.port}\nprotocol = proxy"])
    assert fetch_all(connect(proxy.port, pki.context()), home) == wanted()
    logged(pop3d, rf"login ip={CLIENT} port=\d+ user={home.login} tls=no session=")


def test_stunnel_starts_pop3d(lab, home, pki, started, bundle):
    """Without a port of its own. The socket pair that it makes is a connection of this host."""
    words = ["pop3d", *checker_options(lab), "--", lab.checker, home.table]
    proxy = started(Stunnel, lab, home,
                    [bundle, f"exec = {lab.pop3d}\nexecArgs = {' '.join(words)}"])
    assert fetch_all(connect(proxy.port, pki.context()), home) == wanted()
    logged(proxy, rf"login ip=127\.0\.0\.1 port=\d+ user={home.login} tls=no session=")


# -- nginx


class Authority:
    """The answers for auth_http: the server for everybody, and what it was told of the client."""

    def __init__(self, port):
        authority = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                authority.asked.append(dict(self.headers.items()))
                self.send_response(200)
                self.send_header("Auth-Status", "OK")
                self.send_header("Auth-Server", "127.0.0.1")
                self.send_header("Auth-Port", str(port))
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,),
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Nginx(Superserver):
    """nginx as a mail proxy, which logs in for its clients."""

    name = "nginx"
    package = "nginx, libnginx-mod-mail"

    def command(self):
        authority, lines = self.arguments
        module = "/usr/lib/nginx/modules/ngx_mail_module.so"
        if not os.path.exists(module):
            pytest.skip("nginx has no mail module (package libnginx-mod-mail; ./bootstrap deps)")
        return [find_program("nginx", "nginx"), "-e", "stderr", "-p", self.work, "-c",
                self.write("nginx.conf", f"""
load_module {module};
daemon off;
master_process off;
pid {self.work}/pid;
events {{ worker_connections 64; }}
mail {{
	server_name mail.example;
	auth_http 127.0.0.1:{authority.port}/auth;
	pop3_capabilities TOP UIDL USER RESP-CODES PIPELINING;
	proxy_pass_error_message on;
	server {{
		listen 127.0.0.1:{self.port} {lines}
		protocol pop3;
	}}
}}
""")]


@pytest.fixture
def nginx(lab, home, started):
    def start(target, lines):
        authority = started(Authority, target.port)
        return authority, started(Nginx, lab, home, [authority, lines])
    return start


@pytest.mark.parametrize("named", [False, True], ids=["plain", "proxy_protocol"])
@pytest.mark.parametrize("tls", ["off", "at once", "STLS"])
def test_nginx_in_front(home, pki, server, nginx, bundle, tls, named):
    """It logs in with USER and PASS in clear, from this host or with a header of version 1."""
    pop3d = server(*(["--proxy-protocol", "--trusted-proxy", "127.0.0.1", "--allow-cleartext"]
                     if named else []))
    lines = "ssl;" if tls == "at once" else ";"
    if tls != "off":
        lines += f"ssl_certificate {bundle}; ssl_certificate_key {bundle};"
    if tls == "STLS":
        lines += "starttls only;"
    if named:
        lines += "proxy_protocol on;"
    authority, proxy = nginx(pop3d, lines)
    client = connect(proxy.port, pki.context() if tls == "at once" else None)
    greeting = "+OK POP3 ready"
    if tls == "STLS":
        assert client.line() == greeting
        assert client.ask("STLS").startswith("+OK")
        client = TlsClient(pki.context().wrap_socket(client.socket,
                                                     server_hostname="mail.example"))
        client.got = (greeting + "\r\n").encode()
    assert fetch_all(client, home, greeting) == wanted()
    ip = CLIENT if named else "127.0.0.1"
    logged(pop3d, rf"login ip={re.escape(ip)} port=\d+ user={home.login} tls=no session=")
    assert authority.asked[0]["Client-IP"] == CLIENT


def test_nginx_passes_on_why_a_login_failed(home, server, nginx):
    pop3d = server()
    proxy = nginx(pop3d, ";")[1]
    client = connect(proxy.port)
    assert client.line().startswith("+OK")
    assert client.ask(f"USER {home.login}").startswith("+OK")
    assert client.ask("PASS wrong") == "-ERR [AUTH] login failed"
    client.close()
    logged(pop3d, rf"login-failed ip=127\.0\.0\.1 port=\d+ user={home.login}")
