"""PROXY headers before the first octet of POP3, and before the first octet of TLS."""
import random
import re
import socket
import struct

import pytest

import harness
import jail
from harness import ROOT, retry_until
from tls_lab import TlsServer, all_of, clear_until, client_hello, pki, own, pop3d, run_tls  # noqa: F401

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, HERE = "203.0.113.9", "198.51.100.1"
V1 = f"PROXY TCP4 {CLIENT} {HERE} 40123 110\r\n".encode()
PROXY_SECONDS = 15


@pytest.fixture(params=["root", "user"] if ROOT else ["user"])
def uid(request):
    return None if request.param == "root" else harness.MAIL_UID


def v2(client=CLIENT, here=HERE, ports=(40123, 110), command=1, family=0x11, extra=b""):
    """A header of version 2. One of family 0 has no addresses."""
    body = b""
    if family == 0x11:
        body = socket.inet_aton(client) + socket.inet_aton(here) + struct.pack(">HH", *ports)
    elif family == 0x21:
        body = (socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, here)
                + struct.pack(">HH", *ports))
    body += extra
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body)) + body


def tls_extension(client=1, version=b"TLSv1.3"):
    parts = struct.pack(">BI", client, 0) + b"\x21" + struct.pack(">H", len(version)) + version
    return b"\x20" + struct.pack(">H", len(parts)) + parts


def start(lab, home, *options, **how):
    how.setdefault("transport", "tcp")
    return lab.serve(home, "--proxy-protocol", *options, **how)


def wait_for_log(server, pattern):
    found = retry_until(lambda: re.search(pattern, server.log()))
    assert found, f"not in the log: {pattern}\n{server.report()}"
    return found


def session_of(home):
    return f"USER {home.login}\r\nPASS {home.password}\r\nSTAT\r\nQUIT\r\n".encode()


def replies_to(server, octets):
    server.send(octets)
    return server.rest().decode("latin-1").split("\r\n")[:-1]


def expect_session(replies, server):
    assert len(replies) == 5, server.report()
    assert all(reply.startswith("+OK") for reply in replies), server.report()
    assert replies[3] == "+OK 4 2007", server.report()


# Header, the client in the log, and whether its side of the proxy used TLS.
HEADERS = {
    "v1": (V1, CLIENT, False),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 40123 110\r\n", "2001:db8::9", False),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1", False),
    "v1-unknown-with-text": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1", False),
    "v2": (v2(), CLIENT, False),
    "v2-tcp6": (v2("2001:db8::9", "2001:db8::1", family=0x21), "2001:db8::9", False),
    "v2-mapped": (v2("::ffff:203.0.113.9", "::ffff:198.51.100.1", family=0x21), CLIENT, False),
    "v2-unspecified": (v2(family=0), "127.0.0.1", False),
    "v2-unix": (v2(family=0x31, extra=bytes(216)), "127.0.0.1", False),
    "v2-tls": (v2(extra=tls_extension()), CLIENT, True),
    "v2-tls-unused": (v2(extra=tls_extension(client=0)), CLIENT, False),
    "v2-other-extensions": (v2(extra=b"\x04\x00\x03abc\xee\x00\x01x"), CLIENT, False),
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_session_is_the_clients_whom_the_proxy_names(lab, home, uid, name):
    header, ip, tls = HEADERS[name]
    home.add_seeds()
    options = [] if tls else ["--allow-cleartext"]
    server = start(lab, home, *options, uid=uid)
    expect_session(replies_to(server, header + session_of(home)), server)
    server.ended()
    said = "yes" if tls else "no"
    wait_for_log(server, rf"login ip={re.escape(ip)} port=\d+ user={home.login} tls={said} session=")
    wait_for_log(server, rf"logout ip={re.escape(ip)} .* tls={said} session=")


@pytest.mark.parametrize("name", HEADERS)
def test_clear_text_is_refused_unless_the_header_speaks_of_tls(lab, home, name):
    """Even if the proxy runs on this host, whose own connections can be in clear."""
    header, _, tls = HEADERS[name]
    home.add_seeds()
    server = start(lab, home)
    server.send(header)
    server.line()
    capabilities = server.ask_multi("CAPA")[1].split(b"\r\n")
    assert (b"USER" in capabilities) == tls, capabilities
    assert server.ask(f"USER {home.login}").startswith("+OK" if tls else "-ERR"), server.report()
    server.quit()


def test_tls_may_be_demanded_of_the_client(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, "--require-tls", uid=uid)
    expect_session(replies_to(server, v2(extra=tls_extension()) + session_of(home)), server)
    server = start(lab, home, "--require-tls", "--allow-cleartext", uid=uid)
    replies = replies_to(server, v2() + session_of(home))
    assert replies[1].startswith("-ERR [AUTH]"), server.report()


def test_a_proxy_that_speaks_for_itself_is_served(lab, home, uid):
    """A health check comes from this host, so that even a login can be tried."""
    home.add_seeds()
    for header in (v2(command=0), v2(command=0, family=0), v2(command=0, extra=tls_extension())):
        server = start(lab, home, uid=uid)
        expect_session(replies_to(server, header + session_of(home)), server)
        wait_for_log(server, r"login ip=127\.0\.0\.1 .* tls=no session=")
    for sent in (b"", v2(command=0), v2(command=0) + b"CAPA\r\n"):
        server = start(lab, home, uid=uid)
        server.send(sent)
        server.close()
        server.ended()
        assert server.log() == ""
    server = start(lab, home, "--debug", uid=uid)
    server.close()
    server.ended()
    wait_for_log(server, r"end ip=127\.0\.0\.1 stage=login reason=check tries=0 session=")


def test_the_checker_is_told_who_the_client_is(lab, home, uid):
    script = home.script("environment", "#!/bin/sh\nenv >&2\nexit 1\n")
    server = start(lab, home, checker=[script], uid=uid)
    server.send(v2(extra=tls_extension()) + session_of(home))
    wanted = {"PROTO": "TCP", "TCPREMOTEIP": CLIENT, "TCPREMOTEPORT": "40123",
              "TCPLOCALIP": HERE, "TCPLOCALPORT": "110"}
    for name, value in wanted.items():
        wait_for_log(server, rf"(?m)^(.*\s|.*\")?{name}={re.escape(value)}\b")


def split_in_all_places(octets):
    yield [octets[i:i + 1] for i in range(len(octets))]
    for i in range(1, len(octets)):
        yield [octets[:i], octets[i:]]


@pytest.mark.parametrize("name", ["v1", "v2-tls"])
@pytest.mark.parametrize("transport", ["tcp", "pipes"])
def test_a_header_may_come_in_any_pieces(lab, home, name, transport):
    header = HEADERS[name][0]
    home.add_seeds()
    for pieces in split_in_all_places(header + b"CAPA\r\nQUIT\r\n"):
        server = start(lab, home, transport=transport)
        for piece in pieces:
            server.send(piece)
        replies = server.rest()
        assert replies.startswith(b"+OK") and b"\r\n.\r\n+OK" in replies, (pieces, server.report())
        server.ended()
        jail.finish(lab, server)


WRONG = {
    "none": b"CAPA\r\nQUIT\r\n",
    "none-of-tls": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "lower-case": V1.lower(),
    "two-blanks": V1.replace(b" ", b"  ", 1),
    "bare-lf": V1.replace(b"\r\n", b"\n") + b"QUIT\r\n" * 20,
    "no-end": b"PROXY TCP4 " + b"1" * 200,
    "bad-address": V1.replace(b"203", b"303"),
    "bad-port": V1.replace(b"40123", b"70123"),
    "signature-spoilt": b"\r\n\r\n\0\r\nQUIX\n" + v2()[12:],
    "version-three": v2()[:12] + b"\x31" + v2()[13:],
    "command-nine": v2(command=9),
    "too-short-for-addresses": SIGNATURE + b"\x21\x11\x00\x05hello",
    "length-of-all": SIGNATURE + b"\x21\x11\xff\xff" + bytes(70000),
    "extension-beyond": v2(extra=b"\x04\xff\xff"),
    "second-header": None,
}


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"second-header"}))
def test_a_connection_without_its_header_is_closed_without_a_word(lab, home, uid, name):
    server = start(lab, home, "--allow-cleartext", uid=uid)
    server.send(WRONG[name])
    assert server.rest() == b"", server.report()
    server.ended()
    wait_for_log(server, r"end ip=127\.0\.0\.1 stage=login reason=no-proxy-header tries=0 session=")


def test_a_second_header_is_a_bad_command(lab, home):
    home.add_seeds()
    server = start(lab, home, "--allow-cleartext")
    replies = replies_to(server, V1 + V1.replace(b"203", b"204") + session_of(home))
    assert replies[1].startswith("-ERR"), server.report()
    wait_for_log(server, rf"login ip={re.escape(CLIENT)} ")


def test_a_header_is_no_command_where_none_is_expected(lab, home):
    home.add_seeds()
    server = lab.serve(home, transport="tcp")
    replies = replies_to(server, V1 + session_of(home))
    assert replies[1].startswith("-ERR"), server.report()
    wait_for_log(server, r"login ip=127\.0\.0\.1 ")


@pytest.mark.parametrize("sent", [b"", V1[:-1], v2()[:-1]], ids=["nothing", "v1", "v2"])
def test_a_header_that_does_not_come_ends_the_connection(lab, home, sent):
    """At the login time-out, if that is shorter than the time for a header."""
    server = start(lab, home, "--login-timeout", "1")
    server.send(sent)
    assert server.rest(10) == b"", server.report()
    wait_for_log(server, r"reason=timeout tries=0 session=")
    server = start(lab, home)
    server.send(sent)
    server.shutdown()
    assert server.rest(10) == b"", server.report()
    if sent:
        wait_for_log(server, r"reason=eof tries=0 session=")
    else:  # as health checks do
        server.ended()
        assert server.log() == ""


def test_a_proxy_has_some_seconds_for_its_header(lab, home):
    server = start(lab, home)
    server.send(V1[:9])
    assert server.rest(PROXY_SECONDS + 10) == b"", server.report()
    wait_for_log(server, r"reason=timeout tries=0 session=")


TRUST = {
    "its-address": (["127.0.0.1"], True),
    "its-network": (["192.0.2.0/24", "127.0.0.0/8"], True),
    "another": (["192.0.2.1"], False),
    "six": (["::1", "::/0"], False),
}


@pytest.mark.parametrize("name", TRUST)
def test_who_may_send_a_header(lab, home, uid, name):
    rules, trusted = TRUST[name]
    options = [word for rule in rules for word in ("--trusted-proxy", rule)]
    home.add_seeds()
    server = start(lab, home, "--allow-cleartext", *options, uid=uid)
    replies = replies_to(server, V1 + session_of(home))
    if trusted:
        expect_session(replies, server)
    else:
        assert not replies, server.report()
        wait_for_log(server, r"proxy-not-trusted ip=127\.0\.0\.1 session=")


@pytest.mark.parametrize("options", [
    ["--trusted-proxy", "127.0.0.1"],
    ["--proxy-protocol", "--trusted-proxy", "localhost"],
    ["--proxy-protocol", "--trusted-proxy", "10.0.0.1/8"],
    ["--proxy-protocol", "--trusted-proxy", "10.0.0.0/33"]], ids=" ".join)
def test_options_that_cannot_be_meant(lab, home, options):
    server = lab.serve(home, *options, transport="tcp")
    assert server.ended() == 100, server.report()
    assert server.rest() == b"", server.report()


def test_random_headers_do_no_harm(lab, home):
    """A header with a wrong length, or a cut one, ends the connection. No process dies of it."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(150):
        header = bytearray(chance.choice([entry[0] for entry in HEADERS.values()]))
        for _ in range(chance.randrange(1, 4)):
            header[chance.randrange(len(header))] = chance.randrange(256)
        server = start(lab, home)
        server.send(bytes(header) + b"QUIT\r\n")
        server.shutdown()
        server.rest()
        server.ended()
        assert "died" not in server.log(), f"seed {seed}: {bytes(header)!r}\n{server.report()}"
        jail.finish(lab, server)


# -- before TLS: pop3d-tls


def connect(server, pki, header):
    raw = server.raw()
    raw.sendall(header)
    return server.connect(pki.context(), raw=raw)


@pytest.mark.parametrize("name", HEADERS)
def test_the_engine_tells_the_program_who_the_client_is(lab, home, pki, own, name):
    header, ip, _ = HEADERS[name]
    home.add_seeds()
    server = TlsServer(lab, [*own, "--proxy-protocol", "--debug"], pop3d(lab, home, "--require-tls"))
    client = connect(server, pki, header)
    client.login(home)
    assert client.ask("STAT") == "+OK 4 2007"
    assert client.ask("QUIT").startswith("+OK")
    assert client.rest() == b""
    assert server.ended() == 0, server.report()
    server.logged(rf"login ip={re.escape(ip)} port=\d+ user={home.login} tls=yes")
    server.logged(rf"logout ip={re.escape(ip)} ")


def test_a_proxy_may_check_the_engine(lab, home, pki, own):
    server = TlsServer(lab, [*own, "--proxy-protocol"], pop3d(lab, home))
    client = connect(server, pki, v2(command=0))
    assert client.line().startswith("+OK")
    client.close()
    server.ended()
    server.logged(r"end ip=127\.0\.0\.1 ")


def test_a_header_and_a_handshake_in_any_pieces(lab, home, pki, own):
    server = TlsServer(lab, [*own, "--proxy-protocol"], pop3d(lab, home))
    header = v2(extra=tls_extension())
    octets = header + client_hello(pki.context())
    for cut in (*range(1, len(header) + 3), len(octets) - 1):
        with server.raw() as raw:
            raw.sendall(octets[:cut])
            raw.sendall(octets[cut:])
            assert raw.recv(1) == b"\x16", f"no handshake after {cut} octets: {server.report()}"
        server.ended()


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"second-header"}))
def test_the_engine_closes_a_connection_without_its_header(lab, home, own, name):
    server = TlsServer(lab, [*own, "--proxy-protocol"], pop3d(lab, home))
    with server.raw() as raw:
        try:
            raw.sendall(WRONG[name])
        except OSError:
            pass  # Closed before it took all.
        assert all_of(raw) == b""
    assert server.ended() == 1, server.report()
    server.logged(r"tls-no-proxy-header ip=127\.0\.0\.1 reason=\"")


def test_the_engine_does_not_wait_for_a_header_for_ever(lab, home, own):
    server = TlsServer(lab, [*own, "--proxy-protocol", "--handshake-timeout", "1"],
                       pop3d(lab, home))
    with server.raw() as raw:
        raw.sendall(V1[:-1])
        assert all_of(raw) == b""
    assert server.ended() == 1, server.report()
    server.logged(r"tls-no-proxy-header ip=127\.0\.0\.1 reason=\"timeout\"")


@pytest.mark.parametrize("name", TRUST)
def test_whom_the_engine_trusts(lab, home, pki, own, name):
    rules, trusted = TRUST[name]
    options = [word for rule in rules for word in ("--trusted-proxy", rule)]
    server = TlsServer(lab, [*own, "--proxy-protocol", *options], pop3d(lab, home))
    if trusted:
        client = connect(server, pki, V1)
        assert client.line().startswith("+OK")
        client.close()
        server.ended()
        return
    with server.raw() as raw:
        assert all_of(raw) == b""
    assert server.ended() == 1, server.report()
    server.logged(r"proxy-not-trusted ip=127\.0\.0\.1")


def test_with_stls_the_header_is_for_the_program(lab, home, pki, own):
    home.add_seeds()
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home, "--proxy-protocol"))
    raw = server.raw()
    raw.sendall(V1 + b"STLS\r\n")
    clear_until(raw, b"\r\n+OK begin TLS negotiation\r\n")
    client = server.connect(pki.context(), raw=raw)
    assert client.ask(f"USER {home.login}").startswith("+OK"), server.report()
    assert client.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    client.ask("QUIT")
    server.ended()
    server.logged(rf"login ip={re.escape(CLIENT)} .* tls=yes")


@pytest.mark.parametrize("options", [
    ["--starttls", "--proxy-protocol"], ["--trusted-proxy", "127.0.0.1"],
    ["--proxy-protocol", "--trusted-proxy", "10.0.0.1/8"]], ids=" ".join)
def test_options_of_the_engine_that_cannot_be_meant(lab, own, options):
    assert run_tls(lab, *own, *options, "--", "true").returncode == 100
