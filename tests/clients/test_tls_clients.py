"""Real clients with pop3d under pop3d-tls: STLS as on port 110, and TLS at once as on port 995.

Every client checks the server's certificate. Every client also meets a server whose certificate is
not for its name, and must leave it before it sends a password.
"""
import poplib
import re
import ssl
import subprocess

import pytest

import harness
from client import drop_header
from launch import find_program, run_client
from mail_lab import (PLAIN, TEXT, check_end, in_order, left, on_disk, same, slow_delivery, unique,
                      wire_form, write_private)
from mail_lab import filer  # fixture, pylint: disable=unused-import
from tls_lab import TlsServer, pop3d, s_client, storm_program
from tls_lab import keys, pki  # fixtures, pylint: disable=unused-import

HOST = "localhost"
MAIL = {**PLAIN, b"10.large": TEXT % b"large" + b"0123456789abcdef\n.\n" * 20000}


class Service:
    """A server of one kind, and what a client has to know about it."""

    def __init__(self, lab, home, pki, stls, certificate=HOST, options=()):
        self.home, self.stls, self.authority = home, stls, pki.at("ca.crt")
        begin = ["--starttls"] if stls else []
        self.server = TlsServer(lab, [*pki.have(certificate), *begin, *options],
                                pop3d(lab, home, "--require-tls"))
        self.port = self.server.port

    def check_log(self):
        """The user logged in inside TLS."""
        self.server.logged(r"logout ")
        logins = re.findall(r"\blogin ip=.*", self.server.log())
        assert logins and all("tls=yes" in line for line in logins), self.server.report()
        assert "tls-failed" not in self.server.log()


@pytest.fixture(params=["stls", "tls"])
def stls(request):
    return request.param == "stls"


@pytest.fixture
def service(lab, home, pki, stls):
    home.maildir.add_all(MAIL)
    return Service(lab, home, pki, stls)


# -- the clients: each fetches all messages and returns them as it received them


def fetch_s_client(service, tmp_path, filer, version="-tls1_3"):
    del tmp_path, filer
    count = len(MAIL)
    commands = [f"USER {service.home.login}", f"PASS {service.home.password}", "LIST",
                *(f"RETR {n}" for n in range(1, count + 1)), "QUIT"]
    command = [find_program("openssl", "openssl"), "s_client", "-quiet", "-connect",
               f"{HOST}:{service.port}", "-servername", HOST, "-verify_hostname", HOST,
               "-verify_return_error", "-CAfile", service.authority, version,
               *(["-starttls", "pop3"] if service.stls else [])]
    done = subprocess.run(command, input="".join(c + "\r\n" for c in commands).encode(),
                          capture_output=True, timeout=harness.TIMEOUT, check=False)
    check_end(done, "s_client")
    octets = done.stdout
    assert octets.count(b"+OK %d messages" % count) == 2, octets[:500]  # PASS and LIST
    bodies = octets[octets.index(b"\r\n.\r\n") + 5:]
    found = []
    for _ in range(count):
        first, bodies = bodies.split(b"\r\n", 1)
        size = int(re.fullmatch(rb"\+OK (\d+) octets", first)[1])
        body, bodies = bodies.split(b"\r\n.\r\n", 1)
        found.append(re.sub(rb"(?m)^\.", b"", body + b"\r\n"))
        assert len(found[-1]) == size
    assert bodies.startswith(b"+OK ") and bodies.endswith(b" left)\r\n"), bodies
    return found


def fetch_s_client_12(service, tmp_path, filer):
    return fetch_s_client(service, tmp_path, filer, "-tls1_2")


def fetch_curl(service, tmp_path, filer):
    del filer
    url = f"{'pop3' if service.stls else 'pop3s'}://{HOST}:{service.port}/"
    command = [find_program("curl", "curl"), "-q", "-sS", "--noproxy", "*", "-u",
               f"{service.home.login}:{service.home.password}", "--cacert", service.authority,
               *(["--ssl-reqd"] if service.stls else [])]
    listing = run_client([*command, url])
    check_end(listing, "curl")
    wanted = [wire_form(content) for content in in_order(MAIL)]
    assert listing.stdout.decode() == "".join(
        f"{n} {len(octets)}\r\n" for n, octets in enumerate(wanted, 1))
    check_end(run_client([*command, "-o", f"{tmp_path}/curl.#1", f"{url}[1-{len(MAIL)}]"]), "curl")
    return [(tmp_path / f"curl.{n}").read_bytes() for n in range(1, len(MAIL) + 1)]


def fetch_poplib(service, tmp_path, filer):
    del tmp_path, filer
    context = ssl.create_default_context(cafile=service.authority)
    if service.stls:
        client = poplib.POP3(HOST, service.port, timeout=harness.TIMEOUT)
        assert "STLS" in client.capa() and "USER" not in client.capa()
        client.stls(context)
    else:
        client = poplib.POP3_SSL(HOST, service.port, context=context, timeout=harness.TIMEOUT)
    assert "STLS" not in client.capa() and "USER" in client.capa()
    client.user(service.home.login)
    client.pass_(service.home.password)
    count = client.stat()[0]
    assert len(client.list()[1]) == len(client.uidl()[1]) == count
    found = [b"".join(line + b"\r\n" for line in client.retr(n)[1]) for n in range(1, count + 1)]
    client.quit()
    return found


NET_POP3 = r"""
use strict; use warnings; use Net::POP3;
my ($host, $port, $login, $password, $ca, $stls, $directory) = @ARGV;
my @tls = (SSL_ca_file => $ca, SSL_verify_mode => 1);
my $pop = Net::POP3->new($host, Port => $port, Timeout => 30, $stls ? () : (SSL => 1, @tls))
	or die "no connection: $@\n";
if ($stls) { $pop->starttls(@tls) or die "no starttls: $@\n"; }
defined $pop->login($login, $password) or die "login failed\n";
my $list = $pop->list;
for my $number (keys %$list) {
	open(my $file, '>', "$directory/perl.$number") or die;
	binmode $file;
	$pop->get($number, $file) or die "get $number failed\n";
	close $file;
}
$pop->quit or die "quit failed\n";
"""


def fetch_net_pop3(service, tmp_path, filer):
    del filer
    perl = find_program("perl", "perl")
    if run_client([perl, "-MNet::POP3", "-MIO::Socket::SSL", "-e", "1"]).returncode != 0:
        pytest.skip("no Net::POP3 with TLS (package libio-socket-ssl-perl; ./bootstrap deps)")
    check_end(run_client([perl, "-e", NET_POP3, HOST, str(service.port), service.home.login,
                          service.home.password, service.authority, "1" if service.stls else "",
                          str(tmp_path)]), "Net::POP3")
    files = sorted(tmp_path.glob("perl.*"), key=lambda path: int(path.suffix[1:]))
    return [path.read_bytes() for path in files]


def fetch_fetchmail(service, tmp_path, filer):
    script, delivered = filer
    settings = write_private(tmp_path / "fetchmailrc", f"""
poll {HOST} service {service.port} protocol pop3
	user "{service.home.login}" password "{service.home.password}"
	keep {"" if service.stls else "ssl"} sslcertfile "{service.authority}" mda "{script}"
""")
    # --pidfile: where root runs the tests, there would be one for the whole system
    check_end(run_client([find_program("fetchmail", "fetchmail"), "--nodetach", "--nosyslog", "-v",
                          "-f", settings, "--pidfile", str(tmp_path / "pid")],
                         env={"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}), "fetchmail")
    return [drop_header(octets, b"Received") for octets in delivered()]


def fetch_mpop(service, tmp_path, filer):
    script, delivered = filer
    settings = write_private(tmp_path / "mpoprc", f"""
account test
host {HOST}
port {service.port}
user {service.home.login}
password {service.home.password}
tls on
{"" if service.stls else "tls_starttls off"}
tls_trust_file {service.authority}
keep on
delivery mda {script}
""")
    check_end(run_client([find_program("mpop", "mpop"), "-C", settings, "-d", "test"],
                         env={"HOME": str(tmp_path)}), "mpop")
    return [drop_header(octets, b"Received") for octets in delivered()]


def fetch_getmail(service, tmp_path, filer):
    script, delivered = filer
    # allow_root_commands: root may run the tests
    write_private(tmp_path / "getmailrc", f"""[retriever]
type = SimplePOP3SSLRetriever
server = {HOST}
port = {service.port}
username = {service.home.login}
password = {service.home.password}
ca_certs = {service.authority}

[destination]
type = MDA_external
path = {slow_delivery(script)}
allow_root_commands = true
""")
    check_end(run_client([find_program("getmail", "getmail6"), "--getmaildir", str(tmp_path),
                          "--rcfile", "getmailrc"], env={"HOME": str(tmp_path)}), "getmail")
    return [drop_header(octets, b"Return-Path", b"Delivered-To", b"Received")
            for octets in delivered()]


# Clients that leave the line ends as they are sent, and clients that use the system's own.
WIRE = {"s_client-1.3": fetch_s_client, "s_client-1.2": fetch_s_client_12, "curl": fetch_curl,
        "poplib": fetch_poplib, "Net::POP3": fetch_net_pop3}
DISK = {"fetchmail": fetch_fetchmail, "mpop": fetch_mpop,
        "getmail6": fetch_getmail}
CLIENTS = {**WIRE, **DISK}
# getmail6 does not support STLS.
CASES = pytest.mark.parametrize("stls,client", [
    (mode, client) for mode in ("stls", "tls") for client in CLIENTS
    if (mode, client) != ("stls", "getmail6")], indirect=["stls"])


@CASES
def test_lists_and_fetches_every_octet(service, home, tmp_path, filer, client):
    got = CLIENTS[client](service, tmp_path, filer)
    wanted = [wire_form(content) for content in in_order(MAIL)] if client in WIRE \
        else on_disk(MAIL)
    same(got, wanted, client)
    service.check_log()
    assert left(home) == {unique(name) for name in MAIL}


@CASES
def test_a_certificate_of_another_name_is_refused(lab, home, pki, stls, tmp_path, filer, client):
    """Shows that the clients of the test above check certificates."""
    service = Service(lab, home, pki, stls, certificate="other.example")
    with pytest.raises((AssertionError, ssl.SSLCertVerificationError)):
        CLIENTS[client](service, tmp_path, filer)
    service.server.ended()
    # Some say so in the handshake, and some leave after it.
    service.server.logged('tls-failed ip=127.0.0.1 reason="(alert: .*|eof)"|reason=eof tries=0')
    assert "user=" not in service.server.log(), service.server.report()


# -- what s_client shows of the handshake


def shown(service, *options, text=b"QUIT\r\n"):
    begin = ["-starttls", "pop3"] if service.stls else []
    return s_client(service, *begin, "-ign_eof", *options, text=text)


def test_the_name_that_the_client_asks_for_chooses(lab, home, pki, stls):
    pair = pki.have("other.example", key="rsa")
    service = Service(lab, home, pki, stls, options=pair)
    for name in (HOST, "other.example"):
        got = shown(service, "-servername", name, "-CAfile", service.authority,
                    "-verify_hostname", name)
        assert re.search(rf"subject=CN = {name}$", got, re.MULTILINE), got
        assert "Verification: OK" in got and "signing off" in got, got


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("order", ["110-110", "110-995", "995-110"])
def test_sessions_are_resumed_by_the_processes_of_both_ports(lab, home, pki, keys, order, version):
    """Each connection has processes of its own, which share only the file of ticket keys."""
    tickets = ["--ticket-keys", keys]
    services = {port: Service(lab, home, pki, port == "110", options=tickets)
                for port in ("110", "995")}
    first, second = (services[port] for port in order.split("-"))
    saved = home.path + ".session"
    got = shown(first, version, "-sess_out", saved)
    assert "New, TLSv1" in got and "signing off" in got, got
    for _ in range(2):
        got = shown(second, version, "-sess_in", saved)
        assert "Reused, TLSv1" in got and "signing off" in got, got


def test_early_data_is_not_taken(lab, home, pki, keys, stls):
    service = Service(lab, home, pki, stls, options=["--ticket-keys", keys])
    saved, early = home.path + ".session", home.path + ".early"
    with open(early, "wb") as file:
        file.write(b"CAPA\r\n")
    got = shown(service, "-tls1_3", "-sess_out", saved)
    assert "Max Early Data: 0" in got, got
    got = shown(service, "-tls1_3", "-sess_in", saved, "-early_data", early)
    assert "Reused, TLSv1.3" in got and "Early data was not sent" in got, got
    assert "capability list" not in got, got
    if not stls:  # A client that sends it nevertheless.
        done = run_client([storm_program(lab), str(service.port), "early", "1"])
        assert done.stdout == b"rejected\nopen\n", (done, service.server.log())

