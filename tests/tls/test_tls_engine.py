"""The engine of pop3d-tls as a process, how it speaks UCSPI-TLS, and its command line."""
import os
import re
import signal
import ssl

import pytest

from harness import ROOT
from jail import SANITIZED
from launch import status_of, tree_of
from tls_lab import (GREETING, UCSPI_DOUBLE, TlsServer, all_of, clear_until, openssl, pop3d,
                     run_tls, s_client)
from tls_lab import cert_dir, keys, own, pki  # fixtures, pylint: disable=unused-import


# -- the engine's process


@pytest.mark.skipif(SANITIZED, reason="the sanitizers need more than the sandbox leaves")
@pytest.mark.parametrize("starttls", [False, True])
def test_the_engine_is_locked_in(lab, home, pki, own, starttls):
    options = [*own, "--starttls"] if starttls else own
    program = [home.script("ucspi", UCSPI_DOUBLE)] if starttls else ["cat"]
    server = TlsServer(lab, options, program)
    raw = server.raw()
    if starttls:
        raw.sendall(b"STLS\r\n")
        clear_until(raw, b"begin\r\n")
    client = server.connect(pki.context(), raw=raw)
    if starttls:
        assert client.line() == "tls"
    assert client.ask("hello").endswith("hello")
    engine = server.child().pid
    status = status_of(engine)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    if ROOT:
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
        assert status["Groups"].split() == []
        assert re.match(r"/\S*pop3d-\w+ \(deleted\)$", os.readlink(f"/proc/{engine}/root"))
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        kinds = {int(fd): os.readlink(f"/proc/{engine}/fd/{fd}").split(":")[0]
                 for fd in os.listdir(f"/proc/{engine}/fd")}
        assert [kinds.pop(fd) for fd in (0, 1)] == ["socket"] * 2
        assert kinds.pop(2) == server.log_path
        assert list(kinds.values()) == ["socket"], kinds
    assert os.stat(f"/proc/{engine}/mem").st_uid == 0  # Not dumpable.
    limits = open(f"/proc/{engine}/limits", encoding="ascii").read()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(r"Max processes +0 +0 ", limits)
    client.close()


def memory_of(pid):
    """The contents of the writable memory of a process."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            if line.split()[1].startswith("rw"):
                begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                memory.seek(begin)
                found.append(memory.read(end - begin))
    return b"\0".join(found)


@pytest.mark.skipif(SANITIZED or not ROOT, reason="only root may look into the engine")
@pytest.mark.parametrize("kind", ["ec", "rsa", "directory"])
def test_no_key_is_left_in_memory_after_the_handshake(lab, pki, keys, cert_dir, kind):
    name = "rsa.example" if kind == "rsa" else "mail.example"
    options = ["--cert-dir", cert_dir] if kind == "directory" else pki.have(name, key=kind)
    server = TlsServer(lab, [*options, "--ticket-keys", keys], ["cat"])
    client = server.connect(pki.anywhere())
    assert client.ask("hello") == "hello"
    memory = memory_of(server.child().pid)
    assert b"hello" in memory
    text = open(pki.at(name + ".key"), encoding="ascii").read().splitlines()
    secrets = {"PEM": text[2].encode()}
    dump = openssl("pkey", "-in", pki.at(name + ".key"), "-noout", "-text").stdout.decode()
    for part in ("priv", "privateExponent", "prime1", "prime2", "exponent1", "exponent2"):
        digits = re.search(rf"^{part}:\n((?: +[0-9a-f:]+\n)+)", dump, re.MULTILINE)
        if digits:
            octets = bytes.fromhex(re.sub(r"[\s:]", "", digits[1])).lstrip(b"\0")
            secrets[part] = octets[:24]
            secrets[part + ", little-endian"] = octets[::-1][:24]
    ticket = bytes.fromhex(open(keys, encoding="ascii").read())
    secrets["ticket cipher"], secrets["ticket mac"] = ticket[16:48], ticket[48:]
    assert len(secrets) >= 5
    assert not [part for part, octets in secrets.items() if octets in memory]


@pytest.mark.skipif(not ROOT, reason="only root can give itself another uid")
def test_engine_user(lab, pki, own):
    server = TlsServer(lab, [*own, "--engine-user", "4321:8765"], ["cat"])
    client = server.connect(pki.context())
    assert client.ask("hello") == "hello"
    status = status_of(server.child().pid)
    assert set(status["Uid"].split()) == {"4321"} and set(status["Gid"].split()) == {"8765"}


@pytest.mark.skipif(not ROOT, reason="needs a key that only root may read")
def test_the_program_does_not_become_the_engine_user(lab, pki, own):
    server = TlsServer(lab, own, ["id", "-u"])
    assert server.connect(pki.context()).rest() == b"0\n"


@pytest.mark.skipif(SANITIZED or not ROOT, reason="only root may look into the engine")
def test_private_memory_of_an_engine(lab, home, pki, own):
    home.maildir.add("1.M1P1.h", b"Subject: x\n\n" + (b"x" * 75 + b"\n") * 200_000)
    server = TlsServer(lab, own, pop3d(lab, home))
    clients = [server.connect(pki.context()) for _ in range(3)]
    for client in clients:
        client.login(home)
        client.send(b"RETR 1\r\n")
        for _ in range(20):
            client.socket.recv(65536)
    for child in server.children:
        with open(f"/proc/{child.pid}/smaps_rollup", encoding="ascii") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
        # the library of Debian 13 (OpenSSL 3.5) has larger tables than that of Debian 12 (3.0)
        most = 1536 if ssl.OPENSSL_VERSION_INFO < (3, 1) else 2048
        assert private < most, private


# -- UCSPI-TLS


@pytest.fixture
def double(lab, home, own):
    """A server whose program is a double of a UCSPI-TLS server."""
    return TlsServer(lab, [*own, "--starttls"], [home.script("ucspi", UCSPI_DOUBLE)],
                     environment={"SSL_PROTOCOL": "TLSv1.3"})


def test_ucspi_tls_begins_when_the_program_asks(double, pki):
    raw = double.raw()
    raw.sendall(b"hello\r\nSTLS\r\n")
    assert clear_until(raw, b"begin\r\n") == b"clear - 127.0.0.1\r\necho hello\r\nbegin\r\n"
    client = double.connect(pki.context(), raw=raw)
    assert client.line() == "tls"
    assert client.ask("hello") == "echo hello"
    assert client.ask("QUIT") == "bye"
    assert client.rest() == b""
    assert double.ended() == 0


def test_ucspi_tls_tells_the_variables_when_asked(double, pki):
    raw = double.raw()
    raw.sendall(b"STLS-Y\r\n")
    clear_until(raw, b"begin\r\n")
    client = double.connect(pki.context(), raw=raw)
    assert re.fullmatch(r"tls SSL_PROTOCOL=TLSv1\.3 SSL_CIPHER=TLS_\w+ "
                        r"SSL_TLS_SNI_SERVERNAME=mail\.example", client.line())
    assert client.ask("QUIT") == "bye"
    assert double.ended() == 0


def test_ucspi_tls_that_is_not_wanted(double):
    """The program continues, and its status is the status of all."""
    raw = double.raw()
    raw.sendall(b"QUIT\r\n")
    assert all_of(raw).endswith(b"bye\r\n")
    assert double.ended() == 0
    raw = double.raw()
    raw.sendall(b"SHUT\r\nhello\r\n")
    assert clear_until(raw, b"echo hello\r\n")
    raw.close()
    assert double.ended() == 5
    assert double.log() == ""


def test_ucspi_tls_other_octets_are_misuse(double):
    raw = double.raw()
    raw.sendall(b"OCTET n\r\n")
    assert all_of(raw) == b"clear - 127.0.0.1\r\n"
    assert double.ended() == 100
    double.logged("tls-misused ip=127.0.0.1")


def test_ucspi_tls_a_failed_handshake_is_an_end_of_file(double):
    raw = double.raw()
    raw.sendall(b"STLS\r\n")
    clear_until(raw, b"begin\r\n")
    raw.sendall(b"CAPA\r\n" * 100)
    assert b"echo" not in all_of(raw)
    assert double.ended() == 5  # The program's own.
    double.logged('tls-failed ip=127.0.0.1 reason="not-tls"')


def test_a_signal_ends_a_session_in_clear(lab, home, own):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    raw = server.raw()
    assert clear_until(raw, b"\r\n").decode().strip() == GREETING
    server.child().send_signal(signal.SIGTERM)
    assert all_of(raw) == b""
    assert server.ended() == 128 + signal.SIGTERM


def test_stls_of_pop3d(lab, home, own):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-starttls", "pop3", "-ign_eof",
                       text=f"USER {home.login}\r\nPASS {home.password}\r\nQUIT\r\n".encode())
        assert "signing off" in got, got
        assert server.ended() == 0
    assert server.log().count("tls=yes") >= 2, server.log()


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"USER kermit\r\n", b"CAP", b"NOOP\r\n" * 300],
                         ids=["command", "user", "half", "many"])
def test_what_was_sent_in_clear_is_never_answered_inside_tls(lab, home, pki, own, injected):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    raw = server.raw()
    clear_until(raw, b"\r\n")
    raw.sendall(b"STLS\r\n" + injected)
    assert clear_until(raw, b"\r\n").startswith(b"+OK")
    client = server.connect(pki.context(), raw=raw)
    reply = client.ask(f"PASS {home.password}")
    assert reply.startswith("-ERR"), reply
    assert client.ask(f"USER {home.login}").startswith("+OK")
    assert client.ask(f"PASS {home.password}").startswith("+OK")
    assert client.ask("STAT") == "+OK 0 0"
    client.close()


# -- use


@pytest.mark.parametrize("arguments", [
    "", "--", "cat", "--cert x", "--key x -- cat", "--cert x --key y --key z cat",
    "--cert x --min-version 1.1 cat", "--cert x --require-client-cert cat",
    "--cert x --no-such-option cat", "--cert x --handshake-timeout 0 cat",
    "--cert x --engine-user 0 cat", "--cert x --engine-user root cat", "--keep 2 --cert x cat",
    "--rotate-ticket-keys x --keep 0", "--make-ticket-keys", "--make-ticket-keys x cat"])
def test_wrong_use_is_status_100(lab, arguments):
    done = run_tls(lab, *arguments.split())
    assert done.returncode == 100, done
    assert "usage: pop3d-tls" in done.stderr and not done.stdout


def test_wrong_use_says_nothing_to_the_client(lab):
    server = TlsServer(lab, ["--no-such-option"], ["cat"], stderr="client")
    with server.raw() as client:
        assert all_of(client) == b""
    assert server.ended() == 100


def test_help_and_version(lab):
    done = run_tls(lab, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: pop3d-tls")
    done = run_tls(lab, "--version")
    assert done.returncode == 0 and re.fullmatch(r"pop3d-tls \S+\n", done.stdout)


@pytest.mark.skipif(SANITIZED or not ROOT, reason="only root may look into the engine")
def test_private_memory_of_an_idle_session(lab, home, pki, own):
    """All processes together."""
    server = TlsServer(lab, own, pop3d(lab, home))
    clients = [server.connect(pki.context()) for _ in range(3)]  # They share what is not private.
    for client in clients:
        client.login(home)
    private = 0
    for pid in tree_of(server.child().pid):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            private += sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    # the library of Debian 13 (OpenSSL 3.5) has larger tables than that of Debian 12 (3.0)
    most = 900 if ssl.OPENSSL_VERSION_INFO < (3, 1) else 1350
    assert private < most, private
