"""pop3d-tls --check: what is said of certificates, keys and tickets before a client comes.

tests/admin/test_check.py has what one certificate can be; here is what the options add.
"""
import os
import shutil
import subprocess

import pytest

from tls_lab import openssl, tls_program
from tls_lab import cert_dir, keys, own, pki  # fixtures, pylint: disable=unused-import


def check(lab, host, *options, trusted=None):
    """(status, lines)"""
    environment = {**lab.environment(), **({"SSL_CERT_FILE": trusted} if trusted else {})}
    done = subprocess.run([tls_program(lab), "--check", host, *options], env=environment, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stderr == "", done
    return done.returncode, done.stdout.splitlines()


def beginning(lines, *texts):
    """The lines that have all of these texts."""
    return [line for line in lines if all(text in line for text in texts)]


def test_a_certificate_of_a_trusted_authority_is_ok(lab, pki, own, keys):
    status, lines = check(lab, "mail.example", *own, "--ticket-keys", keys,
                          trusted=pki.at("ca.crt"))
    assert status == 0 and all(line.startswith("ok ") for line in lines), lines
    assert beginning(lines, "is issued by an authority that this host trusts")
    assert beginning(lines, "is for the name mail.example")
    assert beginning(lines, "the newest key in", "is 0 days old")


def test_an_issuer_that_nobody_knows_is_a_warning(lab, own):
    status, lines = check(lab, "mail.example", *own)
    assert status == 1
    assert beginning(lines, "warning", "its issuer is neither in the file nor known", "fullchain.pem")


@pytest.mark.parametrize("host,status", [
    ("mail.example", 0), ("MAIL.example", 0), ("mail", 0), ("ma", 1), ("example", 1),
    ("other.example", 1)])
def test_names(lab, pki, own, host, status):
    """A host that knows only the first label of its name is found by that."""
    got, lines = check(lab, host, *own, trusted=pki.at("ca.crt"))
    assert got == status, lines
    assert beginning(lines, "is for the name" if status == 0 else "is not for the name", host)


def test_a_directory_of_certificates(lab, pki, cert_dir):
    status, lines = check(lab, "mail.example", "--cert-dir", cert_dir, trusted=pki.at("ca.crt"))
    assert status == 0, lines
    for file, name in (("other.example", "other.example"), ("default", "mail.example"),
                       ("_.wild.example", "x.wild.example")):
        assert beginning(lines, f"{file}.pem is for the name {name}"), lines
    os.rename(os.path.join(cert_dir, "other.example.pem"), os.path.join(cert_dir, "third.example.pem"))
    shutil.copy(os.path.join(cert_dir, "default.pem"), os.path.join(cert_dir, "-bad-.pem"))
    os.unlink(os.path.join(cert_dir, "default.pem"))
    status, lines = check(lab, "mail.example", "--cert-dir", cert_dir, trusted=pki.at("ca.crt"))
    assert status == 1, lines
    assert beginning(lines, "warning", "third.example.pem is not for the name third.example")
    assert beginning(lines, "warning", "-bad-.pem is never used")
    assert beginning(lines, "warning", "has no default.pem")
    status, lines = check(lab, "mail.example", "--cert-dir", "/nowhere")
    assert status == 2 and beginning(lines, "wrong", "/nowhere cannot be read")


def test_keys_and_responses_that_cannot_be_used(lab, pki, own, tmp_path):
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", own[own.index("--key") + 1], "-aes256", "-passout", "pass:x", "-out",
            str(locked))
    status, lines = check(lab, "mail.example", *own[:2], "--key", str(locked))
    assert status == 2 and beginning(lines, "wrong", "has no private key in PEM form, or one with a")
    short = tmp_path / "short.pem"
    openssl("req", "-x509", "-newkey", "rsa:512", "-nodes", "-keyout", str(tmp_path / "k"), "-out",
            str(tmp_path / "c"), "-subj", "/CN=x", "-days", "9")
    short.write_text((tmp_path / "k").read_text() + (tmp_path / "c").read_text(), encoding="ascii")
    short.chmod(0o600)
    status, lines = check(lab, "mail.example", "--cert", str(short))
    assert status == 2 and beginning(lines, "wrong", "the TLS library does not take", "2048 bits")
    (tmp_path / "response").write_bytes(b"no response")
    status, lines = check(lab, "mail.example", *own, "--ocsp", str(tmp_path / "response"),
                          trusted=pki.at("ca.crt"))
    assert status == 1 and beginning(lines, "warning", "is no OCSP response, or one that is out of")


def test_with_several_certificates_the_name_chooses(lab, pki, own):
    status, lines = check(lab, "mail.example", *own, *pki.have("other.example"),
                          trusted=pki.at("ca.crt"))
    assert status == 0 and not beginning(lines, "is not for the name"), lines
    status, lines = check(lab, "third.example", *own, *pki.have("other.example"),
                          trusted=pki.at("ca.crt"))
    assert status == 1 and beginning(lines, "warning", "none is for the name third.example"), lines


def test_wrong_use_is_told_apart(lab, own):
    done = subprocess.run([tls_program(lab), "--check", "x", *own, "--ciphr", "x"], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=lab.environment())
    assert done.returncode == 100 and "--ciphr" in done.stderr
