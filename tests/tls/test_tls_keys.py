"""pop3d-tls: which certificate is shown, which client certificates are accepted, resumed sessions."""
import os
import re
import ssl
import stat
import subprocess
import time

import pytest

from launch import run_client
from tls_lab import (GREETING, UCSPI_DOUBLE, TlsServer, all_of, certificate_of_days, clear_until, client_hello, openssl,
                     pop3d, run_tls, s_client, storm_program, tls_program)
from tls_lab import cert_dir, keys, own, pki  # fixtures, pylint: disable=unused-import


# -- certificates


def test_sni_chooses_among_several_pairs(lab, pki, own):
    others = pki.have("other.example", key="rsa") + pki.have("wild", host="*.wild.example")
    server = TlsServer(lab, own + others, ["true"])
    for name, certificate in (("mail.example", "mail.example"), ("other.example", "other.example"),
                              ("OTHER.example", "other.example"), ("a.wild.example", "wild"),
                              ("unknown.example", "mail.example"), (None, "mail.example")):
        context = pki.anywhere()
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
            assert clear_until(raw, b"begin\r\n").startswith(b"clear")
        client = server.connect(pki.anywhere(), name=name, raw=raw)
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
        context = pki.anywhere()
        asked = ("n" * 49 + ".") * 5 + "n" * 9
        asked = asked[-len(name):] if len(name) > 60 else "n" * len(name)
        hello = client_hello(context, asked).replace(asked.encode(), name.encode("latin-1"))
        with server.raw() as client:
            client.sendall(hello)
            # The default certificate is served, or the library refuses the name.
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
        assert all_of(client) == b""
    assert server.ended() == 111
    assert server.log().count("tls-configuration") == 1, server.log()
    server.logged(r"tls-configuration (file|problem)=\S+")


def serial_of(pki, name):
    shown = openssl("x509", "-in", pki.at(name + ".crt"), "-noout", "-serial").stdout
    return shown.decode().strip().split("=")[1]


def ocsp_response(pki, home, name):
    """The file of a response that says that the certificate is good."""
    index, response = f"{home.path}.{name}.index", f"{home.path}.{name}.ocsp"
    with open(index, "w", encoding="ascii") as file:
        file.write(f"V\t300101000000Z\t\t{serial_of(pki, name)}\tunknown\t/CN=x\n")
    ca = ["-CA", pki.at("ca.crt"), "-rsigner", pki.at("ca.crt"), "-rkey", pki.at("ca.key")]
    openssl("ocsp", "-index", index, *ca, "-issuer", pki.at("ca.crt"), "-cert",
            pki.at(name + ".crt"), "-respout", response, "-ndays", "2")
    return response


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("stapled", [("both-ec", "both-rsa"), ("both-rsa",), ("both-ec",)])
def test_the_ocsp_response_is_that_of_the_certificate_shown(lab, home, pki, stapled, version):
    options = []
    for name, key in (("both-ec", "ec"), ("both-rsa", "rsa")):
        options += pki.have(name, host="both.example", key=key)
        if name in stapled:
            options += ["--ocsp", ocsp_response(pki, home, name)]
    server = TlsServer(lab, options, ["cat"])
    for name, algorithms in (("both-ec", "ECDSA+SHA256"), ("both-rsa", "rsa_pss_rsae_sha256")):
        shown = s_client(server, "-status", version, "-servername", "both.example", "-sigalgs",
                         algorithms, text=b"")
        assert f"subject=CN = {name}" in shown, shown
        serials = re.findall(r"Serial Number: ([0-9A-F]+)", shown.split("-----BEGIN")[0])
        assert serials[:1] == ([serial_of(pki, name)] if name in stapled else []), shown


def test_ocsp_response_is_stapled_for_clients_that_ask(lab, home, pki, own):
    response = ocsp_response(pki, home, "mail.example")
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


def resumes(server, context, session):
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

    old = resumes(server, context, None)[1]
    rotate(3)
    reused, renewed = resumes(server, context, old)
    assert reused
    rotate(2)  # The old key is gone; the key of the renewed session is the second.
    assert not resumes(server, context, old)[0]
    assert resumes(server, context, renewed)[0]
    rotate(1)
    assert not resumes(server, context, renewed)[0]


def test_without_a_file_there_is_no_ticket_and_no_session(lab, home, own):
    server = TlsServer(lab, own, pop3d(lab, home))
    saved = home.path + ".session"
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, "-ign_eof", "-sess_out", saved)
        assert "session ticket" not in got.lower().replace("no session ticket", ""), got
        if os.path.exists(saved):  # TLS 1.2 leaves one without a ticket.
            got = s_client(server, version, "-ign_eof", "-sess_in", saved)
            assert "New, TLSv1" in got, got
            os.unlink(saved)


def test_tickets_do_not_stand_for_client_certificates(lab, home, pki, own, keys):
    """A ticket of a server that asks for no certificate is not accepted where one is required."""
    tickets = [*own, "--ticket-keys", keys]
    lax = TlsServer(lab, tickets, pop3d(lab, home))
    strict = TlsServer(lab, [*tickets, "--verify-client", pki.at("ca.crt"),
                             "--require-client-cert"], pop3d(lab, home))
    context = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    session = resumes(lax, context, None)[1]
    with pytest.raises(ssl.SSLError):
        resumes(strict, context, session)


def test_early_data_is_refused(lab, home, own, keys):
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    done = run_client([storm_program(lab), str(server.port), "early", "1"])
    assert done.stdout == b"rejected\nopen\n", (done, server.log())
    assert "CAPA" not in server.log()


def test_ticket_keys_are_made_and_rotated(lab, home):
    path = home.path + ".keys"
    assert run_tls(lab, "--make-ticket-keys", path).returncode == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    first = open(path, encoding="ascii").read()
    assert re.fullmatch(r"[0-9a-f]{160}\n", first)
    done = run_tls(lab, "--make-ticket-keys", path)
    assert done.returncode == 111 and "exists" in done.stderr
    one = subprocess.run([lab.pop3d + "-tls",
                          "--make-ticket-keys", path], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    assert "exists" in one.stdout, "where output and errors are one file, as under cron"
    os.chmod(path, 0o640)
    for expected in (2, 3, 3):
        assert run_tls(lab, "--rotate-ticket-keys", path).returncode == 0
        lines = open(path, encoding="ascii").read().splitlines(True)
        assert len(lines) == len(set(lines)) == expected
    assert first not in lines
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert os.listdir(os.path.dirname(path)).count(os.path.basename(path)) == 1
    assert not [name for name in os.listdir(os.path.dirname(path))
                if name.startswith(os.path.basename(path) + ".")]


@pytest.mark.parametrize("fault", ["readable", "garbage", "empty", "missing", "long-line",
                                   "half-a-line", "line-and-a-half"])
def test_a_bad_file_of_ticket_keys_leaves_full_handshakes(lab, home, pki, own, keys, fault):
    if fault == "readable":
        os.chmod(keys, 0o644)
    elif fault == "missing":
        os.unlink(keys)
    else:
        with open(keys, "wb") as file:
            file.write({"garbage": b"z" * 160 + b"\n", "empty": b"",
                        "long-line": b"0" * 162 + b"\n", "half-a-line": b"1f" * 40,
                        "line-and-a-half": b"1f" * 80 + b"\n" + b"1f" * 39 + b"1"}[fault])
    server = TlsServer(lab, [*own, "--ticket-keys", keys], ["echo", "served"])
    assert server.connect(pki.context()).rest() == b"served\n"
    server.logged("tls-configuration file=")
    server.logged("tls-no-tickets file=")
    done = run_tls(lab, "--rotate-ticket-keys", keys)
    assert done.returncode == 111 and "tls-configuration" in done.stderr


@pytest.mark.parametrize("first,last,problem", [
    (-90, -1, "expired"), (-80, 10, "expires soon"), (-60, 30, None), (-4, 2, None),
    (-6, 0.5, "expires soon"), (1, 90, "not valid yet")])
def test_an_old_certificate_is_sent_with_a_warning(lab, pki, tmp_path, first, last, problem):
    both = certificate_of_days(tmp_path, first, last)
    server = TlsServer(lab, ["--cert", both], ["echo", "served"])
    context = pki.anywhere()
    context.verify_mode = ssl.CERT_NONE
    assert server.connect(context).rest() == b"served\n"
    server.ended()
    if problem:
        server.logged(f'tls-certificate file={both} problem="{problem}"')
    else:
        assert "tls-certificate" not in server.log()


def test_a_key_that_everybody_can_read_is_used_with_a_warning(lab, home, pki, own):
    key = own[own.index("--key") + 1]
    for mode in (0o644, 0o640):
        os.chmod(key, mode)
        server = TlsServer(lab, own, ["echo", "served"])
        assert server.connect(pki.context()).rest() == b"served\n"
        if mode == 0o644:
            server.logged(f"tls-key-exposed file={key} ")
        else:
            assert "tls-key-exposed" not in server.log()


def test_ticket_keys_may_be_binary(lab, home, pki, own, keys):
    with open(keys, "wb") as file:
        file.write(os.urandom(80) * 1 + os.urandom(80))
    server = TlsServer(lab, [*own, "--ticket-keys", keys], pop3d(lab, home))
    context = pki.context()
    assert resumes(server, context, resumes(server, context, None)[1])[0]


# -- certificates of clients


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


def test_a_resumed_session_keeps_the_client_certificate(lab, pki, own, keys):
    pki.have("kermit")
    server = TlsServer(lab, [*own, "--verify-client", pki.at("ca.crt"), "--require-client-cert",
                             "--ticket-keys", keys], ["env"])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = pki.context(maximum_version=version)
        context.load_cert_chain(pki.at("kermit.crt"), pki.at("kermit.key"))
        first = server.connect(context)
        assert b"SSL_PEER_CERT_SUBJECT=/CN=kermit\n" in first.rest()
        second = server.connect(context, session=first.socket.session)
        assert second.socket.session_reused
        assert b"SSL_PEER_CERT_SUBJECT=/CN=kermit\n" in second.rest()


def test_a_client_certificate_may_be_required(lab, pki, own):
    pki.have("kermit")
    if not os.path.exists(pki.at("stranger.crt")):
        pki.authority("foreign").leaf("stranger", ca="foreign")
    server = TlsServer(lab, [*own, "--verify-client", pki.at("ca.crt"), "--require-client-cert"],
                       ["echo", "in"])
    for certificate, reason in ((None, "no-client-certificate"),
                                ("stranger", "client-certificate: "), ("kermit", None)):
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
