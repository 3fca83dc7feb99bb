"""pop3d-tls with the real pop3d: sessions, how they begin and how they end."""
import os
import poplib
import re
import signal
import socket
import ssl
import time

import pytest

from harness import retry_until
from launch import Script, find_program, run_client, status_of
from tls_lab import (GREETING, TlsServer, all_of, clear_until, client_hello, pop3d, s_client,
                     storm_program)
from tls_lab import own, pki  # fixtures, pylint: disable=unused-import


def conversation(server, context, home, **how):
    client = server.connect(context, **how)
    client.login(home)
    assert client.ask("STAT") == "+OK 0 0"
    assert client.ask("QUIT").startswith("+OK")
    assert client.rest() == b""
    return client


# -- a session


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_in_each_version(lab, home, pki, own, version):
    server = TlsServer(lab, own, pop3d(lab, home))
    context = pki.context(maximum_version=ssl.TLSVersion[version],
                          minimum_version=ssl.TLSVersion[version])
    client = server.connect(context)
    assert client.socket.version() == version.replace("_", ".")
    assert client.line() == GREETING
    client.close()
    conversation(server, context, home)
    assert server.ended() == 0
    assert "tls=yes" in server.log()
    assert re.search(r"logout ip=127\.0\.0\.1 .*reason=quit", server.log()), server.log()


@pytest.mark.parametrize("stls", [False, True])
def test_every_line_of_a_connection_has_one_session(lab, home, pki, own, stls):
    """pop3d-tls, the front, the checker and the session are four processes of two programs or more."""
    options = ["--debug", *["--starttls"][:stls]]
    server = TlsServer(lab, [*own, *options], pop3d(lab, home, "--debug"))
    if stls:
        raw = server.raw()
        clear_until(raw, b"ready\r\n")
        raw.sendall(b"STLS\r\n")
        clear_until(raw, b"\r\n")
        client = server.connect(pki.context(), raw=raw)
    else:
        client = server.connect(pki.context())
        client.line()
    client.ask(f"USER {home.login}")
    assert client.ask(f"PASS {home.password}").startswith("+OK")
    client.ask("QUIT")
    client.close()
    server.ended()
    lines = server.log().splitlines()
    for event in (" tls ip=", " protocol ", " login ", " logout "):
        assert [line for line in lines if event in line], (event, lines)
    assert len({re.search(r" session=([0-9a-f]{8})$", line)[1] for line in lines}) == 1, lines


def test_session_of_openssl_s_client(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-ign_eof")
        assert GREETING in got and "signing off" in got, got


def test_curl_and_poplib_fetch_over_pop3s(lab, home, pki, own):
    home.add_seeds()
    server = TlsServer(lab, own, pop3d(lab, home))
    plain = poplib.POP3_SSL("127.0.0.1", server.port, context=pki.anywhere())
    plain.user(home.login)
    plain.pass_(home.password)
    count, octets = plain.stat()
    message = b"\r\n".join(plain.retr(2)[1]) + b"\r\n"
    plain.quit()
    assert count == 4 and octets > 0
    done = run_client([find_program("curl", "curl"), "-q", "-sS", "--noproxy", "*", "-u",
                       f"{home.login}:{home.password}", "--cacert", pki.at("ca.crt"),
                       "--resolve", f"mail.example:{server.port}:127.0.0.1",
                       f"pop3s://mail.example:{server.port}/2"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == message


def test_a_large_message_arrives_whole(lab, home, pki, own):
    line = bytes(range(33, 109)) + b"\n"
    home.maildir.add("1.M1P1.h", b"Subject: x\n\n" + line * 100_000)
    server = TlsServer(lab, own, pop3d(lab, home))
    client = server.connect(pki.context())
    client.login(home)
    expected = (b"Subject: x\n\n" + line * 100_000).replace(b"\n", b"\r\n") + b".\r\n"
    assert client.ask("RETR 1") == f"+OK {len(expected) - 3} octets"
    got = client.got
    while len(got) < len(expected):
        piece = client.socket.recv(1 << 20)
        assert piece, f"ends after {len(got)} octets"
        got += piece
    assert got == expected


def test_program_learns_protocol_name_and_addresses(lab, home, pki, own):
    script = home.script("env", "#!/bin/sh\nenv\numask\n")
    stale = {"SSLCTLFD": "3", "SSL_PEER_CERT_SUBJECT": "/CN=root", "KEPT": "yes"}
    server = TlsServer(lab, own, [script], environment=stale, umask=0o27)
    client = server.connect(pki.context())
    port = client.socket.getsockname()[1]
    lines = client.rest().decode().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    assert found["SSL_PROTOCOL"] == "TLSv1.3"
    assert found["SSL_CIPHER"].startswith("TLS_")
    assert found["SSL_TLS_SNI_SERVERNAME"] == "mail.example"
    assert found["PROTO"] == "TCP"
    assert (found["TCPREMOTEIP"], found["TCPREMOTEPORT"]) == ("127.0.0.1", str(port))
    assert (found["TCPLOCALIP"], found["TCPLOCALPORT"]) == ("127.0.0.1", str(server.port))
    assert found["KEPT"] == "yes"
    assert not {"SSLCTLFD", "SSL_PEER_CERT_SUBJECT", "SSL_PEER_CERT_HASH"} & set(found)
    assert lines[-1] == "0027"


def test_ends_with_the_status_of_the_program(lab, pki, own):
    server = TlsServer(lab, own, ["sh", "-c", "echo hi; exit 7"])
    assert server.connect(pki.context()).rest() == b"hi\n"
    assert server.ended() == 7
    server = TlsServer(lab, own, ["sh", "-c", "kill -9 $$"])
    assert server.connect(pki.context()).rest() == b""
    assert server.ended() == 128 + 9


def test_a_program_that_is_not_there_is_logged(lab, pki, own):
    server = TlsServer(lab, own, ["/nowhere/pop3d"])
    assert server.connect(pki.context()).rest() == b""
    assert server.ended() == 127
    server.logged("tls-program-not-started program=/nowhere/pop3d errno=2")


def test_standard_error_of_the_program_stays_inside_tls(lab, pki, own):
    """Under inetd descriptor 2 is the client's socket. Nothing may be written there in clear."""
    server = TlsServer(lab, own, ["sh", "-c", "echo out; echo error >&2"], stderr="client")
    assert server.connect(pki.context()).rest() == b"out\nerror\n"
    assert server.ended() == 0


def test_close_notify_from_either_side(lab, pki, own):
    server = TlsServer(lab, own, ["cat"])
    client = server.connect(pki.context(), suppress_ragged_eofs=False)
    assert client.ask("hello") == "hello"
    client.send(b"last words")
    # Sends close_notify and waits for that of the other side. Octets that arrive before are lost.
    with pytest.raises(ssl.SSLError, match="APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
        client.socket.unwrap()
    assert server.ended() == 0
    assert "tls-truncated" not in server.log()
    server = TlsServer(lab, own, ["echo", "hello"])
    client = server.connect(pki.context(), suppress_ragged_eofs=False)
    assert client.rest() == b"hello\n"
    assert server.ended() == 0


# -- connections that are cut off


def test_dele_without_quit_deletes_nothing_when_the_stream_is_cut(lab, home, pki, own):
    home.add_seeds()
    server = TlsServer(lab, own, pop3d(lab, home))
    for sent in (b"DELE 1\r\n", b"DELE 1\r\nQUIT", b"DELE 1\r\nQUIT\r"):
        before = home.maildir.contents()
        client = server.connect(pki.context())
        client.login(home)
        client.send(sent)
        assert client.line().startswith("+OK")
        client.cut()
        server.ended()
        assert home.maildir.contents() == before
    assert server.log().count("tls-truncated ip=127.0.0.1") == 3, server.log()


def test_a_client_that_leaves_after_quit_is_not_called_truncated(lab, home, pki, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    client = server.connect(pki.context())
    client.login(home)
    assert client.ask("QUIT").startswith("+OK")
    client.cut()
    assert server.ended() == 0
    assert "tls-truncated" not in server.log()


def test_what_was_pipelined_before_the_cut_does_not_run_on_for_nobody(lab, home, pki, own):
    home.maildir.add("1.M1P1.h", b"Subject: x\n\n" + (b"x" * 75 + b"\n") * 100_000)
    server = TlsServer(lab, own, pop3d(lab, home))
    client = server.connect(pki.context())
    client.login(home)
    client.send(b"RETR 1\r\n" * 10_000)
    client.socket.recv(1000)
    client.cut()
    server.ended()
    server.logged("tls-truncated")
    sent = re.search(r"reason=broken retr=(\d+)/", server.log())
    assert sent and int(sent[1]) < 20, server.log()


def test_a_forged_record_ends_the_connection(lab, pki, own):
    server = TlsServer(lab, own, ["cat"])
    client = server.connect(pki.context())
    assert client.ask("hello") == "hello"
    raw = socket.socket(fileno=client.socket.detach())
    raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    server.logged("tls-broken ip=127.0.0.1")
    raw.close()
    server.ended()


def test_a_signal_ends_the_session(lab, home, pki, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    client = server.connect(pki.context())
    client.login(home)
    server.child().send_signal(signal.SIGTERM)
    assert server.ended() == 128 + signal.SIGTERM
    assert "reason=eof" in server.log()


# -- what is agreed on


def test_alpn(lab, pki, own):
    server = TlsServer(lab, own, ["true"])
    for offered, chosen in ((["imap", "pop3"], "pop3"), (["pop3"], "pop3"), ([], None)):
        context = pki.context()
        if offered:
            context.set_alpn_protocols(offered)
        client = server.connect(context)
        assert client.socket.selected_alpn_protocol() == chosen
        client.close()
    for offered in (["imap"], ["http/1.1", "h2"], ["pop33"], ["pop"]):
        context = pki.context()
        context.set_alpn_protocols(offered)
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            server.connect(context)
        assert server.ended() == 1
    server.logged('tls-failed ip=127.0.0.1 reason="no-application-protocol"')


def test_min_version(lab, pki, own):
    server = TlsServer(lab, [*own, "--min-version", "1.3"], ["true"])
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        server.connect(pki.context(maximum_version=ssl.TLSVersion.TLSv1_2))
    server.logged('reason="protocol-too-old"')
    assert server.connect(pki.context()).socket.version() == "TLSv1.3"


def test_old_versions_and_weak_ciphers_are_refused(lab, own):
    server = TlsServer(lab, own, ["true"])
    for options in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA@SECLEVEL=0"],
                    ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA@SECLEVEL=0"]):
        got = s_client(server, *options, "-brief", text=b"")
        assert "CONNECTION ESTABLISHED" not in got, got
    assert server.ended() == 1


def test_ciphers_may_be_chosen(lab, pki, own):
    server = TlsServer(lab, [*own, "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305",
                             "--ciphersuites", "TLS_AES_128_GCM_SHA256"], ["true"])
    assert server.connect(pki.context()).socket.cipher()[0] == "TLS_AES_128_GCM_SHA256"
    older = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert server.connect(older).socket.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    server = TlsServer(lab, [*own, "--ciphers", "NO-SUCH"], ["true"])
    with server.raw() as client:
        assert all_of(client) == b""
    assert server.ended() == 111


# -- handshakes that fail


@pytest.mark.parametrize("share", ["one-octet", "half", "nothing"])
def test_a_handshake_has_a_deadline(lab, pki, own, share):
    server = TlsServer(lab, [*own, "--handshake-timeout", "1"], ["echo", "never"])
    hello = client_hello(pki.context())
    sent = {"one-octet": hello[:1], "half": hello[:len(hello) // 2], "nothing": b""}[share]
    begin = time.monotonic()
    with server.raw() as client:
        client.sendall(sent)
        assert all_of(client) == b""
    assert 0.9 < time.monotonic() - begin < 8
    assert server.ended() == 1
    server.logged('tls-failed ip=127.0.0.1 reason="timeout"')


def test_a_handshake_that_is_broken_off(lab, pki, own):
    server = TlsServer(lab, own, ["echo", "never"])
    hello = client_hello(pki.context())
    for sent in (b"", hello[:1], hello[:len(hello) // 2], hello):
        with server.raw() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            all_of(client)
        assert server.ended() == 1
    # Without an octet it is as a health check does, which is no event.
    assert server.log().count('tls-failed ip=127.0.0.1 reason="eof"') == 3, server.log()


@pytest.mark.parametrize("garbage", ["random", "zeros", "text", "records", "hello"])
def test_a_megabyte_of_garbage(lab, own, garbage):
    octets = {"random": os.urandom(1 << 20), "zeros": bytes(1 << 20),
              "text": b"GET / HTTP/1.0\r\n" * (1 << 16),
              "records": (b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" * 4096) * 64,
              "hello": b"\x16\x03\x01\x00\x04\x01\xff\xff\xff" * (1 << 17)}[garbage]
    server = TlsServer(lab, own, ["echo", "never"])
    with server.raw() as client:
        try:
            client.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b"never" not in all_of(client)
    assert server.ended() == 1
    assert server.log().count("tls-failed") == 1 == server.log().count("\n"), server.log()


def test_a_signal_ends_a_handshake(lab, own):
    server = TlsServer(lab, own, ["echo", "never"])
    with server.raw() as client:
        client.sendall(b"\x16")
        assert retry_until(lambda: (status_of(server.child().pid) or {})["NoNewPrivs"] == "1")
        server.child().send_signal(signal.SIGTERM)
        assert all_of(client) == b""
    assert server.ended() == 128 + signal.SIGTERM
    assert server.log() == ""


# -- after the handshake


def test_a_storm_of_key_updates_ends_the_connection(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    done = run_client([storm_program(lab), str(server.port), "updates", "10"])
    assert done.stdout == b"open\n", (done, server.report())
    done = run_client([storm_program(lab), str(server.port), "updates", "100000"])
    assert done.stdout == b"closed\n", (done, server.report())
    server.ended()
    server.logged("tls-abused ip=127.0.0.1")


def test_renegotiation_is_refused(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    done = run_client([storm_program(lab), str(server.port), "handshakes", "1"])
    assert done.stdout.startswith(b"refused\n"), (done, server.report())
    server.ended()


@pytest.mark.parametrize("starttls", [False, True])
def test_the_checker_is_told_of_tls(lab, home, pki, own, starttls):
    checker = Script(home, 'printf "%s\\n" "${POP3D_TLS-unset}" >>@NOTES@/told\nexit 1\n')
    options = [*own, "--starttls"] if starttls else own
    server = TlsServer(lab, options, [lab.pop3d, "--fail-delay", "0", "--", checker.path])
    login = b"USER kermit\r\nPASS x\r\n"
    raw = server.raw()
    if starttls:
        raw.sendall(login)
        assert b"-ERR [AUTH]" in clear_until(raw, b"login failed\r\n")
        raw.sendall(b"STLS\r\n")
        clear_until(raw, b"+OK begin TLS negotiation\r\n")
    client = server.connect(pki.context(), raw=raw)
    client.send(b"USER kermit\r\nPASS y\r\nQUIT\r\n")
    assert b"-ERR [AUTH]" in client.rest()
    client.close()
    assert checker.note("told") == (b"unset\nyes\n" if starttls else b"yes\n")
