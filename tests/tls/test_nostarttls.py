"""NO STARTTLS: nothing that was sent in clear is ever answered inside TLS (RFC 2595 section 4).

A man in the middle can insert octets before, after and around STLS, but cannot speak TLS for the
client. Every test here lets him do so, then asks the same questions inside TLS, and compares all
octets of the answers with those of an untouched connection. If his octets meet the handshake, it
fails, and there are no answers at all. Everything runs with pop3d-tls and with another engine
(foreign_engine.py).
"""
import base64
import select
import socket
import ssl
import time

import pytest

from foreign_engine import ForeignEngine
from harness import HOST
from tls_lab import TlsServer, all_of, clear_until, client_hello, pop3d
from tls_lab import own, pki  # fixtures, pylint: disable=unused-import

GREETING = f"+OK {HOST} POP3 server ready\r\n".encode()
BEGIN = b"+OK begin TLS negotiation\r\n"
BEGIN_GERMAN = b"+OK TLS kann beginnen\r\n"
PLAIN = base64.b64encode(b"\0kermit\0geheim")

# The client's questions inside TLS. The answers show kept state: a login, a name, a
# language, UTF-8, an open exchange, or a reply too many.
PROBE = (b"NOOP\r\nPASS geheim\r\nSTLS\r\nCAPA\r\nUSER \xff\r\nPASS \xff\r\nXYZ\r\nAUTH PLAIN\r\n"
         b"*\r\nQUIT\r\n")

INJECTED = {
    "a command": b"CAPA\r\n",
    "many commands": b"CAPA\r\nNOOP\r\nLIST\r\n" * 20,
    "lines with LF only": b"CAPA\nNOOP\n",
    "half a command": b"CA",
    "a command without LF": b"CAPA\r",
    "an empty line": b"\r\n",
    "a name": b"USER kermit\r\n",
    "a whole session": b"USER kermit\r\nPASS geheim\r\nDELE 1\r\nQUIT\r\n",
    "a login and half a command": b"USER kermit\r\nPASS geheim\r\nDELE 1\r\nQUI",
    "AUTH with its response": b"AUTH PLAIN " + PLAIN + b"\r\nDELE 1\r\nQUIT\r\n",
    "AUTH that waits for one": b"AUTH PLAIN\r\n",
    "AUTH LOGIN that waits for a password": b"AUTH LOGIN\r\na2VybWl0\r\n",
    "a language": b"LANG de\r\n",
    "UTF8": b"UTF8\r\n",
    "STLS again": b"STLS\r\n",
    "STLS again and more": b"STLS\r\nCAPA\r\nSTLS\r\nNOOP\r\n",
    "QUIT": b"QUIT\r\n",
    "255 octets and a command": b"x" * 253 + b"\r\nCAPA\r\n",
    "a long line and a command": b"x" * 20000 + b"\r\nCAPA\r\n",
    "a line that never ends": b"x" * 30000,
    "NUL": b"\0\0\0\r\nCAPA\r\n",
    "8 bit": bytes(range(128, 256)) + b"\r\nCAPA\r\n",
    "the head of a record": b"\x16\x03\x01\x02\x00",
    "a record that lies about its length": b"\x16\x03\x01\x40\x00\x01\x00\x00\x05",
    "a command as a record of data": b"\x17\x03\x03\x00\x06CAPA\r\n",
    "a change of cipher": b"\x14\x03\x03\x00\x01\x01",
    "an alert": b"\x15\x03\x03\x00\x02\x01\x00",
    "a message of SSL 2": b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10CAPA\r\n",
}


@pytest.fixture(params=["own", "foreign"])
def engine(request, lab, home, pki, own):
    """Starts a server that offers STLS. home has messages that must be there afterwards."""
    home.add_seeds()
    before = home.maildir.contents()

    def start(*options):
        if request.param == "foreign":
            return ForeignEngine(lab, home, pki, *options)
        return TlsServer(lab, [*own, "--starttls"], pop3d(lab, home, *options))

    yield start
    assert home.maildir.contents() == before


def inside(server, pki, raw):
    """All answers inside TLS; None if the handshake fails."""
    try:
        client = server.connect(pki.context(), raw=raw)
    except (ssl.SSLError, ConnectionError):
        return None
    if client.socket.version() is None:  # If the other side has closed, Python does not even try.
        client.close()
        return None
    client.send(PROBE)
    answers = client.rest()
    client.close()
    return answers


def untouched(server, pki):
    """The answers in a connection to which nobody added anything."""
    raw = server.raw()
    assert clear_until(raw, GREETING) == GREETING
    raw.sendall(b"STLS\r\n")
    assert clear_until(raw, BEGIN) == BEGIN
    return inside(server, pki, raw)


def in_clear(raw, octets, end=b"\r\n"):
    raw.sendall(octets)
    return clear_until(raw, end)


def greeted(server):
    raw = server.raw()
    assert clear_until(raw, GREETING) == GREETING
    return raw


def check_untouched(answers):
    """The comparison is with the right answers."""
    lines = answers.decode("latin-1").split("\r\n")
    capabilities = lines[4:lines.index(".")]
    assert lines[:4] == ["-ERR log in first", "-ERR send USER first", "-ERR TLS is already active",
                         "+OK capability list follows"], lines
    assert "STLS" not in capabilities and "USER" in capabilities, lines
    assert lines[lines.index(".") + 1:] == [
        "+OK password required", "-ERR [AUTH] login failed", "-ERR unknown command", "+ ",
        "-ERR authentication cancelled", f"+OK {HOST} POP3 server signing off", ""], lines


# -- after STLS


def test_octets_in_the_segment_of_stls(engine, pki):
    server = engine("--require-tls")
    expected = untouched(server, pki)
    check_untouched(expected)
    for name, octets in INJECTED.items():
        raw = greeted(server)
        assert in_clear(raw, b"STLS\r\n" + octets, BEGIN) == BEGIN, name
        assert inside(server, pki, raw) == expected, name
    assert "user=kermit" not in server.log(), server.report()


def test_octets_in_the_segment_of_stls_where_clear_text_is_allowed(engine, pki):
    server = engine("--allow-cleartext")
    expected = untouched(server, pki)
    check_untouched(expected)
    for command in (b"STLS\r\n", b"stls\r\n", b"STLS\n"):
        for name in ("a whole session", "a name", "AUTH with its response", "a language", "UTF8"):
            raw = greeted(server)
            assert in_clear(raw, command + INJECTED[name], BEGIN) == BEGIN, (command, name)
            assert inside(server, pki, raw) == expected, (command, name)
    assert "user=kermit" not in server.log(), server.report()


def test_octets_after_the_reply_break_the_handshake(engine, pki):
    server = engine("--allow-cleartext")
    hello = client_hello(pki.context())
    for name, octets in INJECTED.items():
        raw = greeted(server)
        assert in_clear(raw, b"STLS\r\n", BEGIN) == BEGIN
        try:
            raw.sendall(octets + hello)
            raw.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        got = all_of(raw)
        assert b"+OK" not in got and b"-ERR" not in got and b"+ " not in got, (name, got)
        assert got[:1] in (b"", b"\x15", b"\x16"), (name, got)
        raw.close()
    assert "user=kermit" not in server.log(), server.report()


@pytest.mark.parametrize("waits", ["for nothing", "for the reply"])
def test_every_split(engine, pki, waits):
    """Sent in two pieces: the first is discarded, or it meets the handshake."""
    server = engine("--allow-cleartext")
    expected = untouched(server, pki)
    text = b"STLS\r\nUSER kermit\r\nCAPA\r\n"
    for cut in range(1, len(text)):
        raw = greeted(server)
        raw.sendall(text[:cut])
        got = b""
        if waits == "for the reply" and cut >= len(b"STLS\r\n"):
            got = clear_until(raw, BEGIN)
        else:
            time.sleep(0.002)
        raw.sendall(text[cut:])
        got += clear_until(raw, BEGIN) if not got else b""
        assert got == BEGIN, (cut, got)
        answers = inside(server, pki, raw)
        if cut < len(b"STLS\r\n"):
            assert answers == expected, (cut, answers)
        elif waits == "for the reply":
            assert answers is None, (cut, answers)
        else:
            assert answers in (expected, None), (cut, answers)
        raw.close()
    assert "user=kermit" not in server.log(), server.report()


def test_every_octet_in_a_segment_of_its_own(engine, pki):
    """The reply comes when the line is complete, so octets after the line meet the handshake."""
    server = engine("--allow-cleartext")
    for octet in b"USER kermit\r\nCAPA\r\n".split(b"\r\n")[:2]:
        raw = greeted(server)
        for at in range(6):
            raw.sendall(b"STLS\r\n"[at:at + 1])
            time.sleep(0.001)
        assert clear_until(raw, BEGIN) == BEGIN
        try:
            for at in range(len(octet)):
                raw.sendall(octet[at:at + 1])
        except OSError:
            pass  # The first one was enough to end the connection.
        assert inside(server, pki, raw) is None
        raw.close()


def test_a_megabyte_after_stls_is_answered_by_nobody(engine):
    server = engine("--allow-cleartext")
    raw = greeted(server)
    try:
        raw.sendall(b"STLS\r\n" + b"NOOP\r\n" * 500000)
        raw.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    got = all_of(raw)
    assert got.replace(BEGIN, b"", 1)[:1] in (b"", b"\x15") and b"-ERR" not in got, got


def test_nothing_comes_in_clear_after_the_reply(engine, pki):
    """Octets that a client would take for the first answers inside TLS (response injection)."""
    server = engine("--allow-cleartext")
    for octets in (b"CAPA\r\nCAPA\r\nSTLS\r\nCAPA\r\n", b"STLS\r\nSTLS\r\nQUIT\r\n",
                   b"NOOP\r\nXYZ\r\nSTLS\r\n" + b"x" * 300 + b"\r\n"):
        raw = greeted(server)
        raw.sendall(octets)
        got = clear_until(raw, BEGIN)
        assert got.count(b"\r\n.\r\n") == octets.split(b"STLS")[0].count(b"A\r\n"), got
        assert select.select([raw], [], [], 0.2)[0] == [], raw.recv(1000)
        raw.sendall(client_hello(pki.context()))
        assert raw.recv(1) == b"\x16"  # The handshake begins.
        raw.close()


# -- before STLS


BEFORE = {
    "a name": [b"USER kermit"],
    "a name and a wrong password": [b"USER kermit", b"PASS wrong"],
    "a password without a name": [b"PASS geheim"],
    "a language": [b"LANG de"],
    "UTF8": [b"UTF8"],
    "a capability list": [b"CAPA"],
    "AUTH given up": [b"AUTH PLAIN", b"*"],
    "AUTH LOGIN given up after the name": [b"AUTH LOGIN", b"a2VybWl0", b"*"],
    "AUTH open when STLS comes": [b"AUTH PLAIN", b"STLS"],
    "a name, then AUTH open when STLS comes": [b"USER kermit", b"AUTH LOGIN", b"STLS"],
    "STLS with an argument": [b"STLS now"],
    "STLS with many": [b"STLS a b c"],
    "a line that is too long": [b"USER " + b"x" * 300],
    "NUL": [b"US\0ER kermit"],
}


@pytest.mark.parametrize("policy", ["--allow-cleartext", "--require-tls"])
def test_what_was_said_before_is_forgotten(engine, pki, policy):
    server = engine(policy)
    expected = untouched(server, pki)
    for name, lines in BEFORE.items():
        raw = greeted(server)
        for line in lines:
            end = b"\r\n.\r\n" if line == b"CAPA" else b"\r\n"
            answer = in_clear(raw, line + b"\r\n", end)
            assert answer.startswith((b"+", b"-ERR")), (name, answer)
        begin = BEGIN_GERMAN if b"LANG de" in lines else BEGIN
        # If AUTH is not offered, the STLS that would be its response has already begun TLS.
        if not (answer == BEGIN and policy == "--require-tls" and lines[-1] == b"STLS"):
            assert answer != BEGIN and in_clear(raw, b"STLS\r\n", begin) == begin, name
        assert inside(server, pki, raw) == expected, name
    assert "user=kermit tls=yes" not in server.log(), server.report()


def test_what_was_said_before_and_sent_with_stls_is_forgotten(engine, pki):
    """The same, with a second half after STLS, in one segment."""
    server = engine("--allow-cleartext")
    expected = untouched(server, pki)
    for before, after in ((b"USER kermit\r\n", b"PASS geheim\r\nDELE 1\r\nQUIT\r\n"),
                          (b"LANG de\r\n", b"NOOP\r\n"), (b"UTF8\r\n", b"USER \xff\r\n"),
                          (b"NOOP\r\nNOOP\r\n", b"NOOP\r\n")):
        raw = greeted(server)
        raw.sendall(before + b"STLS\r\n" + after)
        begin = BEGIN_GERMAN if b"LANG de" in before else BEGIN
        assert clear_until(raw, begin).count(b"\r\n") == before.count(b"\r\n") + 1
        assert inside(server, pki, raw) == expected, before
    assert "user=kermit" not in server.log(), server.report()


def test_capabilities_before_and_inside(engine, pki):
    server = engine("--require-tls")
    raw = greeted(server)
    before = set(in_clear(raw, b"CAPA\r\n", b"\r\n.\r\n").split(b"\r\n"))
    assert b"STLS" in before and not {b"USER", b"SASL PLAIN LOGIN"} & before
    assert in_clear(raw, b"STLS\r\n", BEGIN) == BEGIN
    client = server.connect(pki.context(), raw=raw)
    client.send(b"CAPA\r\nQUIT\r\n")
    within = set(client.rest().split(b"\r\n"))
    client.close()
    assert b"STLS" not in within and {b"USER", b"SASL PLAIN LOGIN"} <= within
    assert before - {b"STLS"} <= within


def test_stls_with_an_argument_begins_nothing(engine, pki):
    server = engine("--allow-cleartext")
    for line in (b"STLS now", b"STLS \x16\x03\x01", b"STLS STLS"):
        raw = greeted(server)
        answer = in_clear(raw, line + b"\r\nCAPA\r\n", b"\r\n.\r\n")
        assert answer.startswith(b"-ERR this command takes no argument\r\n+OK "), answer
        assert b"\r\nSTLS\r\n" in answer
        raw.sendall(b"QUIT\r\n")
        assert all_of(raw).startswith(b"+OK")
        raw.close()


def test_stls_after_login_begins_nothing(engine, home):
    server = engine("--allow-cleartext")
    raw = greeted(server)
    raw.sendall(f"USER {home.login}\r\nPASS {home.password}\r\nSTLS\r\nNOOP\r\nCAPA\r\n"
                "QUIT\r\n".encode())
    got = all_of(raw).split(b"\r\n")
    assert got[1].startswith(b"+OK 4 messages"), got
    assert got[2].startswith(b"-ERR") and got[3].startswith(b"+OK"), got
    assert b"STLS" not in got[4:] and got[-2].startswith(b"+OK"), got
    raw.close()


def test_password_of_a_client_that_was_kept_from_tls(engine, home):
    """An attacker who strips STLS from the list must still not see a login succeed."""
    server = engine("--require-tls")
    for octets in (f"USER {home.login}\r\nPASS {home.password}\r\n",
                   f"AUTH PLAIN {PLAIN.decode()}\r\nSTAT\r\n"):
        raw = greeted(server)
        raw.sendall(octets.encode() + b"QUIT\r\n")
        got = all_of(raw).split(b"\r\n")
        assert [line[:4] for line in got] == [b"-ERR", b"-ERR", b"+OK ", b""], got
        raw.close()


# -- port 995


def test_octets_in_front_of_the_handshake_of_port_995(lab, home, pki, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    hello = client_hello(pki.context())
    for name, octets in INJECTED.items():
        with server.raw() as raw:
            try:
                raw.sendall(octets + hello)
                raw.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got = all_of(raw)
        assert b"+OK" not in got and b"-ERR" not in got, (name, got)
        assert got[:1] in (b"", b"\x15", b"\x16"), (name, got)
    assert "stage=" not in server.log(), server.report()
