"""What an administrator sets in OpenSSL's configuration file stays in force, together with what
pop3d-tls does by itself."""
import os
import re
import ssl

import pytest

from harness import ROOT
from jail import SANITIZED
from test_tls_algorithms import make_leaf, shake_hands
from tls_lab import TlsServer, keys, openssl, own, pki  # fixtures, pylint: disable=unused-import

FILE = "/etc/ssl/openssl.cnf"
TLS_SECTIONS = "\n[ssl_sect]\nsystem_default = system_default_sect\n[system_default_sect]\n"


def edited(text, settings):
    """Debian's file with settings of TLS, where its administrator would add them."""
    found = re.search(r"^\[ *openssl_init *\]$", text, re.MULTILINE)
    return (text[:found.end()] + "\nssl_conf = ssl_sect\n" + text[found.end():] + TLS_SECTIONS +
            "\n".join(settings) + "\n")


@pytest.fixture
def configured(lab, home):
    """Starts a server whose OpenSSL reads such a file."""
    def start(options, *settings, text=None):
        path = home.path + ".openssl.cnf"
        with open(FILE, encoding="ascii") as file:
            debian = file.read()
        with open(path, "w", encoding="ascii") as file:
            file.write(text(debian) if text else edited(debian, settings))
        return TlsServer(lab, options, ["cat"], environment={"OPENSSL_CONF": path})
    return start


def is_served(server, pki, *arguments):
    return shake_hands(server, pki.at("ca.crt"), *arguments)


AES_128 = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.mark.parametrize("settings, served, refused", [
    (["MinProtocol = TLSv1.3"], ["-tls1_3"], ["-tls1_2"]),
    (["MaxProtocol = TLSv1.2"], ["-tls1_2"], ["-tls1_3"]),
    (["CipherString = ECDHE+AES128"], ["-tls1_2", "-cipher", AES_128],
     ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
    (["CipherString = ECDHE+AES128"], ["-tls1_3"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]),
    (["CipherString = AES128-SHA"], ["-tls1_3"], ["-tls1_2"]),
    (["Ciphersuites = TLS_AES_128_GCM_SHA256"], ["-ciphersuites", "TLS_AES_128_GCM_SHA256"],
     ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
    (["Groups = P-384"], ["-groups", "P-384"], ["-groups", "X25519"]),
    (["CipherString = DEFAULT@SECLEVEL=3", "Groups = P-256"], ["-groups", "P-256"],
     ["-groups", "X25519"]),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_a_setting_is_in_force(configured, pki, own, settings, served, refused):
    server = configured(own, *settings)
    assert is_served(server, pki, *served), server.report()
    assert not is_served(server, pki, *refused)


def test_the_file_of_the_host_is_read(lab, home, pki, own):
    """The same with the file itself, which only this server sees in its place."""
    if not ROOT:
        pytest.skip("only root can put another file in its place")
    path = home.path + ".openssl.cnf"
    with open(FILE, encoding="ascii") as file:
        text = edited(file.read(), ["MinProtocol = TLSv1.3"])
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    server = TlsServer(lab, own, ["cat"])
    assert is_served(server, pki, "-tls1_2")
    server.argv = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
                   path, os.path.realpath(FILE), *server.argv]
    assert is_served(server, pki, "-tls1_3"), server.report()
    assert not is_served(server, pki, "-tls1_2")


@pytest.mark.parametrize("settings, refused", [
    (["MinProtocol = TLSv1", "CipherString = ALL@SECLEVEL=0"], ["-tls1_1", "-cipher", "ALL@SECLEVEL=0"]),
    (["CipherString = ALL"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]),
    (["Options = Compression, UnsafeLegacyRenegotiation", "CipherString = DEFAULT"],
     ["-tls1_2", "-cipher", "AES128-SHA"]),
], ids=["version", "ciphers", "options"])
def test_no_setting_allows_more(configured, pki, own, settings, refused):
    server = configured(own, *settings)
    assert is_served(server, pki, "-tls1_2"), server.report()
    assert not is_served(server, pki, *refused)


def test_a_short_key_stays_refused(configured, pki, tmp_path):
    """The level of security is the higher of both."""
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", str(tmp_path / "short.key"),
            "-out", str(tmp_path / "short.crt"), "-days", "30", "-subj", "/CN=mail.example")
    server = configured(["--cert", str(tmp_path / "short.crt"), "--key", str(tmp_path / "short.key")],
                        "CipherString = DEFAULT@SECLEVEL=0")
    assert not is_served(server, pki)
    server.logged("tls-configuration .*a short key")


def test_a_higher_level_refuses_keys_that_were_good(configured, tmp_path):
    authority, options = make_leaf(tmp_path, "RSA")
    assert shake_hands(configured(options, "MinProtocol = TLSv1.2"), authority)
    strict = configured(options, "CipherString = DEFAULT@SECLEVEL=3")
    assert not shake_hands(strict, authority)
    strict.logged("tls-configuration .*a short key")


def test_options_and_the_file_are_both_in_force(configured, pki, own):
    server = configured([*own, "--ciphers", "ECDHE+AESGCM", "--min-version", "1.2"],
                        "CipherString = ECDHE+AES128:ECDHE+CHACHA20")
    assert is_served(server, pki, "-tls1_2", "-cipher", AES_128), server.report()
    for cipher in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        assert not is_served(server, pki, "-tls1_2", "-cipher", cipher)


def test_a_level_of_the_options_is_in_force_without_a_file(lab, tmp_path):
    """What the option --ciphers permits; a configuration file may only forbid more."""
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", str(tmp_path / "short.key"),
            "-out", str(tmp_path / "short.crt"), "-days", "30", "-subj", "/CN=mail.example",
            "-addext", "subjectAltName=DNS:mail.example")
    server = TlsServer(lab, ["--cert", str(tmp_path / "short.crt"), "--key", str(tmp_path / "short.key"),
                             "--ciphers", "ECDHE+AESGCM:@SECLEVEL=1"], ["cat"],
                       environment={"OPENSSL_CONF": "/nonexistent"})
    assert shake_hands(server, str(tmp_path / "short.crt"), "-tls1_2", "-cipher", "ALL@SECLEVEL=1"), \
        server.report()


def test_authorities_of_the_file_do_not_replace_those_of_the_option(configured, pki, own):
    """Other programs pass by what system_default says of certificates."""
    pki.have("kermit")
    if not os.path.exists(pki.at("stranger.crt")):
        pki.authority("foreign").leaf("stranger", ca="foreign")
    settings = [f"{name} = {pki.at('foreign.crt')}" for name in
                ("VerifyCAFile", "ChainCAFile", "RequestCAFile", "ClientCAFile")]
    server = configured([*own, "--verify-client", pki.at("ca.crt"), "--require-client-cert"], *settings)

    for name in ("kermit", "stranger"):
        context = pki.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.load_cert_chain(pki.at(name + ".crt"), pki.at(name + ".key"))
        if name == "kermit":
            assert server.connect(context).ask("hello") == "hello"
            continue
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            server.connect(context)
        server.logged('reason="client-certificate: ')


def test_a_certificate_in_the_file_is_not_served(configured, pki, own):
    pki.have("other")
    server = configured(own, f"Certificate = {pki.at('other.crt')}", f"PrivateKey = {pki.at('other.key')}")
    assert not is_served(server, pki)
    server.logged("tls-configuration .*a certificate in it")
    assert server.ended() == 111


def test_nothing_is_left(configured, pki, own):
    server = configured([*own, "--min-version", "1.3"], "MaxProtocol = TLSv1.2")
    assert not is_served(server, pki)
    server.logged("tls-configuration .*no version and cipher is left")
    assert server.ended() == 111


def test_no_tickets(configured, pki, own, keys):
    options = [*own, "--ticket-keys", keys]
    for settings, has_ticket in ((["MaxProtocol = TLSv1.2"], True),
                                 (["MaxProtocol = TLSv1.2", "Options = -SessionTicket"], False)):
        client = configured(options, *settings).connect(pki.context())
        assert client.ask("hello") == "hello"
        assert client.socket.session.has_ticket == has_ticket
        client.close()


def test_sessions_are_resumed_with_a_file(configured, pki, own, keys):
    server = configured([*own, "--ticket-keys", keys], "MinProtocol = TLSv1.3")
    context = pki.context()
    first = server.connect(context)
    assert first.ask("hello") == "hello"
    session = first.socket.session
    first.close()
    again = server.connect(context, session=session)
    assert again.ask("hello") == "hello"
    assert again.socket.session_reused
    again.close()


def providers(text, *names, more=""):
    """The file with these providers, as its comments explain it."""
    lines = "".join(f"{name} = {name}_sect\n" for name in names)
    sections = "".join(f"[{name}_sect]\nactivate = 1\n" for name in names)
    text = re.sub(r"^providers *=.*\n", "", text, flags=re.MULTILINE)
    found = re.search(r"^\[ *openssl_init *\]$", text, re.MULTILINE)
    return (text[:found.end()] + f"\nproviders = provider_x\n{more}" + text[found.end():] +
            f"\n[algorithm_sect]\ndefault_properties = fips=yes\n[provider_x]\n{lines}{sections}")


@pytest.mark.skipif(not ROOT, reason="only root may look into the engine")
def test_other_providers_are_loaded(configured, pki, own):
    server = configured(own, text=lambda text: providers(text, "default", "legacy"))
    client = server.connect(pki.context())
    assert client.ask("hello") == "hello"
    with open(f"/proc/{server.child().pid}/maps", encoding="ascii") as file:
        assert "legacy.so" in file.read()
    client.close()


def test_the_only_provider_does_no_tls(configured, pki, own):
    """What cannot be had is not replaced by what the file does not name."""
    server = configured(own, text=lambda text: providers(text, "legacy"))
    assert not is_served(server, pki)
    assert server.ended() == 111


def test_only_approved_algorithms(configured, pki, own):
    """As for FIPS, on a host that lacks the module: no other algorithms take its place."""
    server = configured(own, text=lambda text: providers(text, "fips", "base", "default",
                                                         more="alg_section = algorithm_sect\n"))
    if any("fips.so" in names for _, _, names in os.walk("/usr/lib")):
        pytest.skip("there is one")
    assert not is_served(server, pki)
    server.logged("tls-configuration ")
    assert server.ended() == 111


@pytest.mark.parametrize("path", ["", "/nonexistent", "/dev/null"])
def test_no_file(lab, pki, own, path):
    server = TlsServer(lab, own, ["cat"], environment={"OPENSSL_CONF": path})
    client = server.connect(pki.context(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert client.ask("hello") == "hello"
    client.close()


@pytest.mark.skipif(SANITIZED, reason="the sanitizers need more than the sandbox leaves")
def test_the_sandbox_is_the_same(configured, pki, own):
    """A file that asks the kernel to encrypt, which needs calls that are not permitted."""
    server = configured(own, "Options = KTLS", "MinProtocol = TLSv1.2")
    for version in ("-tls1_2", "-tls1_3"):
        assert is_served(server, pki, version), server.report()
    with server.connect(pki.context()).socket:
        with open(f"/proc/{server.child().pid}/status", encoding="ascii") as file:
            status = file.read()
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
