"""What a scanner finds out about pop3d-tls: TLS 1.2 and 1.3, and nothing old or weak."""
import re

import pytest

from launch import find_program, run_client
from tls_lab import TlsServer, pop3d, s_client
from tls_lab import keys, pki  # fixtures, pylint: disable=unused-import

# Authenticated encryption with forward secrecy. The names of TLS 1.3 imply both.
STRONG = re.compile(r"TLS_(AES_(128|256)_GCM_SHA(256|384)|CHACHA20_POLY1305_SHA256)|"
                    r"ECDHE-(ECDSA|RSA)-(AES(128-GCM-SHA256|256-GCM-SHA384)|CHACHA20-POLY1305)")


@pytest.fixture(params=["110", "995"])
def port(request):
    return request.param


@pytest.fixture(params=["ec", "rsa"])
def server(request, lab, home, pki, keys, port):
    name = "mail.example" if request.param == "ec" else "rsa.example"
    begin = ["--starttls"] if port == "110" else []
    return TlsServer(lab, [*pki.have(name, key=request.param), "--ticket-keys", keys, *begin],
                     pop3d(lab, home))


def lines_below(text, heading):
    """The lines of one paragraph of sslscan's output."""
    found = re.search(rf"^  {heading}:\n((?:.+\n)+)", text, re.MULTILINE)
    assert found, text
    return found[1].splitlines()


def test_sslscan(server, port):
    scanner = find_program("sslscan", "sslscan")
    done = run_client([scanner, "--no-colour", "--sleep=0",
                       *(["--starttls-pop3"] if port == "110" else []),
                       f"127.0.0.1:{server.port}"])
    text = done.stdout.decode()
    assert done.returncode == 0, (text, done.stderr, server.report())
    assert [line.split() for line in lines_below(text, "SSL/TLS Protocols")] == [
        ["SSLv2", "disabled"], ["SSLv3", "disabled"], ["TLSv1.0", "disabled"],
        ["TLSv1.1", "disabled"], ["TLSv1.2", "enabled"], ["TLSv1.3", "enabled"]], text
    assert "Server supports TLS Fallback SCSV" in lines_below(text, "TLS Fallback SCSV"), text
    assert lines_below(text, "TLS renegotiation") == ["Session renegotiation not supported"], text
    assert not [line for line in lines_below(text, "TLS Compression") if "enabled" in line], text
    for line in lines_below(text, "Heartbleed"):
        assert line.endswith("not vulnerable to heartbleed"), text
    ciphers = [line.split() for line in lines_below(text, r"Supported Server Cipher\(s\)")]
    assert {words[1] for words in ciphers} == {"TLSv1.2", "TLSv1.3"}, text
    for words in ciphers:
        assert STRONG.fullmatch(words[4]) and int(words[2]) >= 128, text


def test_nothing_is_compressed(server, port):
    begin = ["-starttls", "pop3"] if port == "110" else []
    for version in ("-tls1_2", "-tls1_3"):
        got = s_client(server, version, *begin, "-comp", "-ign_eof")
        assert "Compression: NONE" in got and "signing off" in got, got
