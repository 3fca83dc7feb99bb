"""pop3d-tls: handshakes, sessions resumed, certificates chosen, what ends a connection; with the
real pop3d behind it."""
import os
import poplib
import re
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest

import harness
from harness import HOST, MAIL_GID, ROOT, retry_until
from jail import SANITIZED
from launch import curl, find_program, run_client, status_of
from tls_lab import (GREETING, UCSPI_DOUBLE, Pki, TlsServer, client_hello, openssl, pop3d,
                     storm_program, tls_program)


@pytest.fixture(scope="session")
def pki(programs):
    tls_program(programs)
    return Pki(os.path.join(programs.directory, "pki"))


@pytest.fixture
def own(pki):
    """The options for the usual certificate."""
    return pki.have("mail.example")


@pytest.fixture
def keys(lab, home):
    """A file of ticket keys."""
    path = home.path + ".tickets"
    subprocess.run([tls_program(lab), "--make-ticket-keys", path], check=True)
    yield path
    if os.path.exists(path):
        os.unlink(path)


def s_client(server, *options, text=b"QUIT\r\n", delay=0.0):
    """What openssl s_client writes to its output."""
    command = [find_program("openssl", "openssl"), "s_client", "-connect",
               f"127.0.0.1:{server.port}", "-servername", "mail.example", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as client:
        time.sleep(delay)
        try:
            got = client.communicate(text, timeout=harness.TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            client.kill()
            raise
    return got.decode("latin-1")


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


def test_session_of_openssl_s_client(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-ign_eof")
        assert GREETING in got and "signing off" in got, got


def test_curl_and_poplib_fetch_over_pop3s(lab, home, pki, own):
    home.add_seeds()
    server = TlsServer(lab, own, pop3d(lab, home))
    plain = poplib.POP3_SSL("127.0.0.1", server.port, context=_loopback(pki))
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


def _loopback(pki):
    context = pki.context()
    context.check_hostname = False
    return context


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
    """Under inetd descriptor 2 is the client's socket, and must not be written to in clear."""
    server = TlsServer(lab, own, ["sh", "-c", "echo out; echo error >&2"], stderr="client")
    assert server.connect(pki.context()).rest() == b"out\nerror\n"
    assert server.ended() == 0


def test_close_notify_from_either_side(lab, pki, own):
    server = TlsServer(lab, own, ["cat"])
    client = server.connect(pki.context(), suppress_ragged_eofs=False)
    assert client.ask("hello") == "hello"
    client.send(b"last words")
    # says close_notify, and waits for that of the other side; what comes before it is lost
    with pytest.raises(ssl.SSLError, match="APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
        client.socket.unwrap()
    assert server.ended() == 0
    assert "tls-truncated" not in server.log()
    server = TlsServer(lab, own, ["echo", "hello"])
    client = server.connect(pki.context(), suppress_ragged_eofs=False)
    assert client.rest() == b"hello\n"
    assert server.ended() == 0


# -- what is cut off


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


# -- certificates


def test_sni_chooses_among_several_pairs(lab, pki, own):
    others = pki.have("other.example", key="rsa") + pki.have("wild", host="*.wild.example")
    server = TlsServer(lab, own + others, ["true"])
    for name, certificate in (("mail.example", "mail.example"), ("other.example", "other.example"),
                              ("OTHER.example", "other.example"), ("a.wild.example", "wild"),
                              ("unknown.example", "mail.example"), (None, "mail.example")):
        context = _loopback(pki)
        client = server.connect(context, name=name)
        assert client.certificate() == pki.der(certificate), name
        client.close()


def test_one_name_may_have_an_rsa_and_an_ecdsa_certificate(lab, pki):
    pairs = pki.have("both-ec", host="both.example")
    pairs += pki.have("both-rsa", host="both.example", key="rsa")
    server = TlsServer(lab, pki.have("mail.example") + pairs, ["true"])
    for algorithms, certificate in (("ECDHE-RSA-AES128-GCM-SHA256", "both-rsa"),
                                    ("ECDHE-ECDSA-AES128-GCM-SHA256", "both-ec")):
        context = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(algorithms)
        client = server.connect(context, name="both.example")
        assert client.certificate() == pki.der(certificate)
        client.close()


@pytest.fixture
def cert_dir(home, pki):
    path = home.path + ".certs"
    os.mkdir(path)
    for name, source in (("other.example", "other.example"), ("_.wild.example", "wild"),
                         ("default", "mail.example")):
        pki.have(source, **({"host": "*.wild.example"} if source == "wild" else {}))
        with open(os.open(os.path.join(path, name + ".pem"), os.O_WRONLY | os.O_CREAT, 0o600),
                  "w", encoding="ascii") as file:
            file.write(pki.pem(source))
    return path


@pytest.mark.parametrize("starttls", [False, True])
def test_sni_chooses_in_a_directory(lab, home, pki, cert_dir, starttls):
    options = ["--cert-dir", cert_dir] + (["--starttls"] if starttls else [])
    program = [home.script("ucspi", UCSPI_DOUBLE)] if starttls else ["true"]
    server = TlsServer(lab, options, program)
    for name, certificate in (("other.example", "other.example"), ("a.wild.example", "wild"),
                              ("b.a.wild.example", "mail.example"), (None, "mail.example")):
        raw = server.raw()
        if starttls:
            raw.sendall(b"STLS\r\n")
            assert _clear(raw, b"begin\r\n").startswith(b"clear")
        client = server.connect(_loopback(pki), name=name, raw=raw)
        assert client.certificate() == pki.der(certificate), name
        assert client.line() == ("tls" if starttls else None)
        client.cut()
        assert server.ended() == (5 if starttls else 0)


def test_a_name_is_never_a_path(lab, home, pki, cert_dir):
    outside = os.path.join(os.path.dirname(cert_dir), "outside.pem")
    with open(outside, "w", encoding="ascii") as file:
        file.write(pki.pem("other.example"))
    server = TlsServer(lab, ["--cert-dir", cert_dir], ["true"])
    for name in ("../outside", "..", ".", "/etc/passwd", "a/../../outside", "other.example/",
                 "x\0y", "-x", "a..b", "x" * 253):
        context = _loopback(pki)
        asked = ("n" * 49 + ".") * 5 + "n" * 9
        asked = asked[-len(name):] if len(name) > 60 else "n" * len(name)
        hello = client_hello(context, asked).replace(asked.encode(), name.encode("latin-1"))
        with server.raw() as client:
            client.sendall(hello)
            # the default certificate is served, or the name is refused by the library
            assert client.recv(5)[:1] in (b"\x16", b"\x15"), name
    os.unlink(outside)
    assert "problem" not in server.log()


def test_without_a_default_an_unknown_name_is_refused(lab, pki, cert_dir):
    os.unlink(os.path.join(cert_dir, "default.pem"))
    server = TlsServer(lab, ["--cert-dir", cert_dir], ["true"])
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        server.connect(pki.context(), name="unknown.example")
    assert server.ended() == 1
    server.logged('tls-failed ip=127.0.0.1 reason="no-certificate-for-name"')


def test_a_renewed_certificate_is_used_by_the_next_connection(lab, home, pki, own):
    live = [home.path + ".live.crt", home.path + ".live.key"]

    def put(source):
        for path, end in zip(live, (".crt", ".key")):
            with open(pki.at(source + end), encoding="ascii") as old:
                with open(path + ".new", "w", encoding="ascii") as new:
                    new.write(old.read())
            os.rename(path + ".new", path)

    pki.have("renewed", host="mail.example")
    put("mail.example")
    server = TlsServer(lab, ["--cert", live[0], "--key", live[1]], ["cat"])
    first = server.connect(pki.context())
    put("renewed")
    second = server.connect(pki.context())
    assert first.certificate() == pki.der("mail.example")
    assert second.certificate() == pki.der("renewed")
    assert first.ask("goes on") == "goes on"


@pytest.mark.parametrize("fault", ["missing-cert", "missing-key", "mismatch", "no-pem", "no-ca",
                                   "directory", "default-no-pem"])
def test_a_bad_certificate_is_logged_and_nothing_is_sent(lab, home, pki, own, fault):
    pki.have("other.example", key="rsa")
    cert, key = pki.at("mail.example.crt"), pki.at("mail.example.key")
    bad = os.path.join(home.path + ".bad", "default.pem")
    os.mkdir(os.path.dirname(bad))
    with open(bad, "w", encoding="ascii") as file:
        file.write("-----BEGIN nothing-----\n")
    options = {"missing-cert": ["--cert", "/nowhere.crt", "--key", key],
               "missing-key": ["--cert", cert, "--key", "/nowhere.key"],
               "mismatch": ["--cert", cert, "--key", pki.at("other.example.key")],
               "no-pem": ["--cert", bad],
               "no-ca": [*own, "--verify-client", bad],
               "directory": ["--cert", os.path.dirname(bad)],
               "default-no-pem": ["--cert-dir", os.path.dirname(bad)]}[fault]
    server = TlsServer(lab, options, ["echo", "never"])
    with server.raw() as client:
        client.sendall(client_hello(pki.context()))
        assert _all(client) == b""
    assert server.ended() == 111
    assert server.log().count("tls-configuration") == 1, server.log()
    server.logged(r"tls-configuration (file|problem)=\S+")


def _all(client):
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def test_ocsp_response_is_stapled_for_clients_that_ask(lab, home, pki, own):
    serial = openssl("x509", "-in", pki.at("mail.example.crt"), "-noout", "-serial").stdout
    index, response = home.path + ".index", home.path + ".ocsp"
    with open(index, "w", encoding="ascii") as file:
        file.write(f"V\t300101000000Z\t\t{serial.decode().strip().split('=')[1]}\tunknown\t/CN=x\n")
    ca = ["-CA", pki.at("ca.crt"), "-rsigner", pki.at("ca.crt"), "-rkey", pki.at("ca.key")]
    openssl("ocsp", "-index", index, *ca, "-issuer", pki.at("ca.crt"), "-cert",
            pki.at("mail.example.crt"), "-respout", response, "-ndays", "2")
    server = TlsServer(lab, [*own, "--ocsp", response], ["cat"])
    assert "OCSP Response Status: successful" in s_client(server, "-status", text=b"")
    with open(response, "wb") as file:
        file.write(b"old")
    assert "OCSP response: no response sent" in s_client(server, "-status", text=b"")
    server.logged("tls-ocsp")


# -- resumption


def test_sessions_are_resumed_by_other_processes(lab, home, own, keys):
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    saved = home.path + ".session"
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-ign_eof", "-sess_out", saved)
        assert "New, TLSv1" in got, got
        got = s_client(server, version, "-ign_eof", "-sess_in", saved)
        assert "Reused, TLSv1" in got, got
        assert GREETING in got, got


def _resumes(server, context, session):
    client = server.connect(context, session=session)
    reused = client.socket.session_reused
    client.line()
    later = client.socket.session
    assert client.ask("QUIT").startswith("+OK")
    assert client.rest() == b""
    client.close()
    return reused, later


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_rotated_keys_open_old_tickets_until_they_are_dropped(lab, home, pki, own, keys, version):
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    context = pki.context(maximum_version=ssl.TLSVersion[version])

    def rotate(keep):
        subprocess.run([tls_program(lab), "--rotate-ticket-keys", keys, "--keep", str(keep)],
                       check=True)

    old = _resumes(server, context, None)[1]
    rotate(3)
    reused, renewed = _resumes(server, context, old)
    assert reused
    rotate(2)  # the key of old is gone, that of renewed is the second
    assert not _resumes(server, context, old)[0]
    assert _resumes(server, context, renewed)[0]
    rotate(1)
    assert not _resumes(server, context, renewed)[0]


def test_without_a_file_there_is_no_ticket_and_no_session(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    saved = home.path + ".session"
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-ign_eof", "-sess_out", saved)
        assert "session ticket" not in got.lower().replace("no session ticket", ""), got
        if os.path.exists(saved):  # TLS 1.2 leaves one without a ticket
            got = s_client(server, version, "-ign_eof", "-sess_in", saved)
            assert "New, TLSv1" in got, got
            os.unlink(saved)


def test_tickets_do_not_stand_for_client_certificates(lab, home, pki, own, keys):
    """A ticket of a server that asks for none is no good where one is required."""
    tickets = [*own, "--ticket-keys", keys]
    lax = TlsServer(lab, tickets, pop3d(lab, home))
    strict = TlsServer(lab, [*tickets, "--verify-client", pki.at("ca.crt"),
                             "--require-client-cert"], pop3d(lab, home))
    context = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    session = _resumes(lax, context, None)[1]
    with pytest.raises(ssl.SSLError):
        _resumes(strict, context, session)


def test_early_data_is_refused(lab, home, own, keys):
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    done = run_client([storm_program(lab), str(server.port), "early", "1"])
    assert done.stdout == b"rejected\nopen\n", (done, server.log())
    assert "CAPA" not in server.log()


def _ticket_command(lab, *arguments):
    return subprocess.run([tls_program(lab), *arguments], capture_output=True, text=True,
                          check=False, timeout=20)


def test_ticket_keys_are_made_and_rotated(lab, home):
    path = home.path + ".keys"
    assert _ticket_command(lab, "--make-ticket-keys", path).returncode == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    first = open(path, encoding="ascii").read()
    assert re.fullmatch(r"[0-9a-f]{160}\n", first)
    done = _ticket_command(lab, "--make-ticket-keys", path)
    assert done.returncode == 111 and "exists" in done.stderr
    os.chmod(path, 0o640)
    for expected in (2, 3, 3):
        assert _ticket_command(lab, "--rotate-ticket-keys", path).returncode == 0
        lines = open(path, encoding="ascii").read().splitlines(True)
        assert len(lines) == len(set(lines)) == expected
    assert first not in lines
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert os.listdir(os.path.dirname(path)).count(os.path.basename(path)) == 1
    assert not [name for name in os.listdir(os.path.dirname(path))
                if name.startswith(os.path.basename(path) + ".")]


@pytest.mark.parametrize("fault", ["readable", "garbage", "empty", "missing", "long-line"])
def test_a_bad_file_of_ticket_keys_is_refused(lab, home, pki, own, keys, fault):
    if fault == "readable":
        os.chmod(keys, 0o644)
    elif fault == "missing":
        os.unlink(keys)
    else:
        with open(keys, "wb") as file:
            file.write({"garbage": b"z" * 160 + b"\n", "empty": b"",
                        "long-line": b"0" * 162 + b"\n"}[fault])
    server = TlsServer(lab, [*own, "--ticket-keys", keys], ["echo", "never"])
    with server.raw() as client:
        client.sendall(client_hello(pki.context()))
        assert _all(client) == b""
    assert server.ended() == 111
    server.logged("tls-configuration file=")
    done = _ticket_command(lab, "--rotate-ticket-keys", keys)
    assert done.returncode == 111 and "tls-configuration" in done.stderr


def test_ticket_keys_may_be_binary(lab, home, pki, own, keys):
    with open(keys, "wb") as file:
        file.write(os.urandom(80) * 1 + os.urandom(80))
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    context = pki.context()
    assert _resumes(server, context, _resumes(server, context, None)[1])[0]


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
        assert _all(client) == b""
    assert server.ended() == 111


def test_verified_client_certificates_are_passed_on(lab, pki, own):
    pki.have("kermit")
    options = [*own, "--verify-client", pki.at("ca.crt")]
    server = TlsServer(lab, options, ["env"])
    context = pki.context()
    assert b"SSL_PEER_CERT" not in server.connect(context).rest()
    context.load_cert_chain(pki.at("kermit.crt"), pki.at("kermit.key"))
    got = server.connect(context).rest().decode().splitlines()
    digest = openssl("x509", "-in", pki.at("kermit.crt"), "-noout", "-fingerprint",
                     "-sha256").stdout.decode().strip().split("=")[1].replace(":", "").lower()
    assert "SSL_PEER_CERT_SUBJECT=/CN=kermit" in got
    assert f"SSL_PEER_CERT_HASH=SHA256:{digest}" in got


def test_a_client_certificate_may_be_required(lab, pki, own):
    pki.have("kermit")
    if not os.path.exists(pki.at("stranger.crt")):
        pki.authority("foreign").leaf("stranger", ca="foreign")
    server = TlsServer(lab, [*own, "--verify-client", pki.at("ca.crt"), "--require-client-cert"],
                       ["echo", "in"])
    for certificate, reason in ((None, "no-client-certificate"), ("stranger", "client-certificate: "),
                                ("kermit", None)):
        context = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        if certificate:
            context.load_cert_chain(pki.at(certificate + ".crt"), pki.at(certificate + ".key"))
        if reason is None:
            assert server.connect(context).rest() == b"in\n"
            continue
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            server.connect(context)
        assert server.ended() == 1
        server.logged(f'reason="{reason}')


# -- handshakes that do not end well


@pytest.mark.parametrize("share", ["one-octet", "half", "nothing"])
def test_a_handshake_has_a_deadline(lab, pki, own, share):
    server = TlsServer(lab, [*own, "--handshake-timeout", "1"], ["echo", "never"])
    hello = client_hello(pki.context())
    sent = {"one-octet": hello[:1], "half": hello[:len(hello) // 2], "nothing": b""}[share]
    begin = time.monotonic()
    with server.raw() as client:
        client.sendall(sent)
        assert _all(client) == b""
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
            _all(client)
        assert server.ended() == 1
    assert server.log().count('tls-failed ip=127.0.0.1 reason="eof"') == 4, server.log()


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
        assert b"never" not in _all(client)
    assert server.ended() == 1
    assert server.log().count("tls-failed") == 1 == server.log().count("\n"), server.log()


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
        _clear(raw, b"begin\r\n")
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
    assert os.stat(f"/proc/{engine}/mem").st_uid == 0 or not ROOT  # not dumpable
    kinds = {int(fd): os.readlink(f"/proc/{engine}/fd/{fd}").split(":")[0]
             for fd in os.listdir(f"/proc/{engine}/fd")}
    assert [kinds.pop(fd) for fd in (0, 1)] == ["socket"] * 2
    assert kinds.pop(2) == server.log_path
    assert list(kinds.values()) == ["socket"], kinds
    limits = open(f"/proc/{engine}/limits", encoding="ascii").read()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(r"Max processes +0 +0 ", limits)
    client.close()


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


@pytest.mark.skipif(SANITIZED, reason="memory of the sanitizers")
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
        assert private < 1536, private


# -- UCSPI-TLS


def _clear(raw, end):
    got = b""
    while not got.endswith(end):
        piece = raw.recv(65536)
        assert piece, got
        got += piece
    return got


@pytest.fixture
def double(lab, home, own):
    """A server whose program is the double of an UCSPI-TLS server."""
    return TlsServer(lab, [*own, "--starttls"], [home.script("ucspi", UCSPI_DOUBLE)],
                     environment={"SSL_PROTOCOL": "TLSv1.3"})


def test_ucspi_tls_begins_when_the_program_asks(double, pki):
    raw = double.raw()
    raw.sendall(b"hello\r\nSTLS\r\n")
    assert _clear(raw, b"begin\r\n") == b"clear - 127.0.0.1\r\necho hello\r\nbegin\r\n"
    client = double.connect(pki.context(), raw=raw)
    assert client.line() == "tls"
    assert client.ask("hello") == "echo hello"
    assert client.ask("QUIT") == "bye"
    assert client.rest() == b""
    assert double.ended() == 0


def test_ucspi_tls_tells_the_variables_when_asked(double, pki):
    raw = double.raw()
    raw.sendall(b"STLS-Y\r\n")
    _clear(raw, b"begin\r\n")
    client = double.connect(pki.context(), raw=raw)
    assert re.fullmatch(r"tls SSL_PROTOCOL=TLSv1\.3 SSL_CIPHER=TLS_\w+ "
                        r"SSL_TLS_SNI_SERVERNAME=mail\.example", client.line())
    assert client.ask("QUIT") == "bye"
    assert double.ended() == 0


def test_ucspi_tls_that_is_not_wanted(double):
    """The program goes its way, and its status is that of all."""
    raw = double.raw()
    raw.sendall(b"QUIT\r\n")
    assert _all(raw).endswith(b"bye\r\n")
    assert double.ended() == 0
    raw = double.raw()
    raw.sendall(b"SHUT\r\nhello\r\n")
    assert _clear(raw, b"echo hello\r\n")
    raw.close()
    assert double.ended() == 5
    assert double.log() == ""


def test_ucspi_tls_other_octets_are_misuse(double):
    raw = double.raw()
    raw.sendall(b"OCTET n\r\n")
    assert _all(raw) == b"clear - 127.0.0.1\r\n"
    assert double.ended() == 100
    double.logged("tls-misused ip=127.0.0.1")


def test_ucspi_tls_a_failed_handshake_is_an_end_of_file(double):
    raw = double.raw()
    raw.sendall(b"STLS\r\n")
    _clear(raw, b"begin\r\n")
    raw.sendall(b"CAPA\r\n" * 100)
    assert b"echo" not in _all(raw)
    assert double.ended() == 5  # the program's own
    double.logged('tls-failed ip=127.0.0.1 reason="not-tls"')


def test_a_signal_ends_a_session_in_clear(lab, home, own):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    raw = server.raw()
    assert _clear(raw, b"\r\n").decode().strip() == GREETING
    server.child().send_signal(signal.SIGTERM)
    assert _all(raw) == b""
    assert server.ended() == 128 + signal.SIGTERM


def test_stls_of_pop3d(lab, home, own):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-starttls", "pop3", "-ign_eof",
                       text=f"USER {home.login}\r\nPASS {home.password}\r\nQUIT\r\n".encode())
        assert "signing off" in got, got
        assert server.ended() == 0
    assert server.log().count("tls=yes") >= 2, server.log()


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"USER kermit\r\n", b"CAP", b"NOOP\r\n" * 300])
def test_what_was_sent_in_clear_is_never_answered_inside_tls(lab, home, pki, own, injected):
    server = TlsServer(lab, [*own, "--starttls"], pop3d(lab, home))
    raw = server.raw()
    _clear(raw, b"\r\n")
    raw.sendall(b"STLS\r\n" + injected)
    assert _clear(raw, b"\r\n").startswith(b"+OK")
    client = server.connect(pki.context(), raw=raw)
    reply = client.ask(f"PASS {home.password}")
    assert reply.startswith("-ERR"), reply
    assert client.ask(f"USER {home.login}").startswith("+OK")
    assert client.ask(f"PASS {home.password}").startswith("+OK")
    assert client.ask("STAT") == "+OK 0 0"
    client.close()


# -- use


@pytest.mark.parametrize("arguments", [
    [], ["--"], ["cat"], ["--cert", "x"], ["--key", "x", "--", "cat"],
    ["--cert", "x", "--key", "y", "--key", "z", "cat"], ["--cert", "x", "--min-version", "1.1", "cat"],
    ["--cert", "x", "--require-client-cert", "cat"], ["--cert", "x", "--no-such-option", "cat"],
    ["--cert", "x", "--handshake-timeout", "0", "cat"], ["--cert", "x", "--engine-user", "0", "cat"],
    ["--cert", "x", "--engine-user", "root", "cat"], ["--keep", "2", "--cert", "x", "cat"],
    ["--rotate-ticket-keys", "x", "--keep", "0"], ["--make-ticket-keys"],
    ["--make-ticket-keys", "x", "cat"]])
def test_wrong_use_is_status_100(lab, arguments):
    done = _ticket_command(lab, *arguments)
    assert done.returncode == 100, done
    assert "usage: pop3d-tls" in done.stderr and not done.stdout


def test_wrong_use_says_nothing_to_the_client(lab):
    server = TlsServer(lab, ["--no-such-option"], ["cat"], stderr="client")
    with server.raw() as client:
        assert _all(client) == b""
    assert server.ended() == 100


def test_help_and_version(lab):
    done = _ticket_command(lab, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: pop3d-tls")
    done = _ticket_command(lab, "--version")
    assert done.returncode == 0 and re.fullmatch(r"pop3d-tls \S+\n", done.stdout)
