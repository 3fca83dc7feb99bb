"""The engine prepares a part of its library's algorithms: what clients and certificates need works,
and works in the same way as with all of them."""
import pytest

from tls_lab import TlsServer, openssl, own, pki  # fixtures, pylint: disable=unused-import

KEYS = {
    "P-256": ["ec", "ec_paramgen_curve:P-256"],
    "P-384": ["ec", "ec_paramgen_curve:P-384"],
    "P-521": ["ec", "ec_paramgen_curve:P-521"],
    "RSA": ["rsa", "rsa_keygen_bits:2048"],
    "RSA-PSS": ["rsa-pss", "rsa_keygen_bits:2048"],
    "Ed25519": ["ed25519"],
    "Ed448": ["ed448"],
}

# The ciphers that are the default. A list of one's own makes the engine take all algorithms.
ALL_ALGORITHMS = ["--ciphers", "ECDHE+AESGCM:ECDHE+CHACHA20"]


def make_leaf(directory, key, *signed):
    """A key of this kind, and its certificate by an authority that signs in this way."""
    kind, *options = KEYS[key]
    at = {name: str(directory / name) for name in ("ca.key", "ca.crt", "key", "crt", "ext")}
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at["ca.key"], "-out",
            at["ca.crt"], "-days", "30", "-subj", "/CN=ca")
    openssl("genpkey", "-algorithm", kind, *(part for option in options
                                             for part in ("-pkeyopt", option)), "-out", at["key"])
    openssl("req", "-x509", "-new", "-key", at["key"], "-out", at["crt"], "-days", "30", "-subj",
            "/CN=mail.example", "-CA", at["ca.crt"], "-CAkey", at["ca.key"],
            "-addext", "subjectAltName=DNS:mail.example", "-addext", "basicConstraints=CA:FALSE",
            *signed)
    return at["ca.crt"], ["--cert", at["crt"], "--key", at["key"]]


def shake_hands(server, authority, *arguments):
    """What openssl s_client says of a handshake with the server; None if there was none."""
    done = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", authority,
                   "-servername", "mail.example", "-verify_return_error", *arguments,
                   text=b"hello\n", check=False)
    said = done.stdout.decode("latin-1")
    if "Verify return code: 0 (ok)" not in said or "Cipher is (NONE)" in said:
        return None
    return [line.strip() for line in said.splitlines()
            if line.startswith(("New, ", "Server Temp Key", "Peer Temp Key", "Peer sign",
                             "Negotiated TLS1.3 group"))]


@pytest.mark.parametrize("signed", [(), ("-sha512",), ("-sigopt", "rsa_padding_mode:pss")],
                         ids=["sha256", "sha512", "pss"])
@pytest.mark.parametrize("key", KEYS)
def test_every_kind_of_key_serves_as_with_all_algorithms(lab, tmp_path, key, signed):
    authority, options = make_leaf(tmp_path, key, *signed)
    few, all_of_them = (TlsServer(lab, [*options, *more], ["cat"]) for more in ([], ALL_ALGORITHMS))
    for version in ("-tls1_2", "-tls1_3"):
        found = shake_hands(few, authority, version)
        assert found, few.report()
        assert found == shake_hands(all_of_them, authority, version)


def has_hybrid_group():
    return b"X25519MLKEM768" in openssl("list", "-kem-algorithms").stdout


@pytest.mark.parametrize("more", [[], ALL_ALGORITHMS], ids=["few", "all"])
@pytest.mark.parametrize("groups", ["X25519MLKEM768", "X25519:X25519MLKEM768"])
def test_the_group_that_withstands_quantum_computers(lab, pki, own, groups, more):
    """A client that offers another one first is asked for it."""
    if not has_hybrid_group():
        pytest.skip("OpenSSL 3.5 and later have it")
    found = shake_hands(TlsServer(lab, [*own, *more], ["cat"]), pki.at("ca.crt"), "-groups", groups)
    assert "Negotiated TLS1.3 group: X25519MLKEM768" in found, found


@pytest.mark.parametrize("group", ["X25519", "P-256", "X448", "P-384", "P-521", "ffdhe2048"])
def test_groups(lab, pki, own, group):
    """Finite fields are not offered, with and without the library's other algorithms."""
    found = [shake_hands(TlsServer(lab, [*own, *more], ["cat"]), pki.at("ca.crt"), "-groups", group)
             for more in ([], ALL_ALGORITHMS)]
    assert found[0] == found[1]
    assert (found[0] is None) == (group == "ffdhe2048"), found


@pytest.mark.parametrize("version, cipher", [
    ("-tls1_3", "TLS_AES_256_GCM_SHA384"), ("-tls1_3", "TLS_AES_128_GCM_SHA256"),
    ("-tls1_3", "TLS_CHACHA20_POLY1305_SHA256"),
    ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305")])
def test_ciphers(lab, pki, own, version, cipher):
    option = "-ciphersuites" if version == "-tls1_3" else "-cipher"
    server = TlsServer(lab, own, ["cat"])
    found = shake_hands(server, pki.at("ca.crt"), version, option, cipher)
    assert found and found[-1].endswith(cipher) or any(cipher in line for line in found), found


def signed(directory, name, key, issuer=None):
    """A certificate of an authority, or with an issuer of the server; returns its path and the key's."""
    kind, *options = KEYS[key]
    cert, secret = str(directory / f"{name}.crt"), str(directory / f"{name}.key")
    openssl("genpkey", "-algorithm", kind,
            *(part for option in options for part in ("-pkeyopt", option)), "-out", secret)
    by = ["-CA", issuer[0], "-CAkey", issuer[1]] if issuer else []
    openssl("req", "-x509", "-new", "-key", secret, "-out", cert, "-days", "30", "-subj",
            f"/CN={'mail.example' if name == 'leaf' else name}", *by, "-addext",
            f"basicConstraints=critical,CA:{'FALSE' if name == 'leaf' else 'TRUE'}")
    return cert, secret


@pytest.mark.parametrize("key, middle", [("P-256", "RSA"), ("RSA", "P-384"), ("Ed25519", "RSA"),
                                         ("P-256", "Ed448"), ("RSA-PSS", "P-256")])
def test_a_chain_of_several_kinds_of_keys(lab, tmp_path, key, middle):
    """Keys of other kinds are decoded if they are in the file, and the library judges them."""
    root = signed(tmp_path, "root", "RSA")
    between = signed(tmp_path, "between", middle, root)
    leaf = signed(tmp_path, "leaf", key, between)
    chain = tmp_path / "chain.pem"
    with open(chain, "wb") as file:
        for cert in (leaf[0], between[0]):
            with open(cert, "rb") as source:
                file.write(source.read())
    server = TlsServer(lab, ["--cert", str(chain), "--key", leaf[1]], ["cat"])
    assert shake_hands(server, root[0]), server.report()


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_older_forms_of_keys(lab, tmp_path, kind):
    """-----BEGIN EC PRIVATE KEY----- and the like, which name no kind inside."""
    authority, arguments = make_leaf(tmp_path, {"rsa": "RSA", "ec": "P-256"}[kind])
    older = str(tmp_path / "older.key")
    openssl(kind, "-in", arguments[3], "-out", older, *(["-traditional"] if kind == "rsa" else []))
    with open(older, encoding="ascii") as file:
        assert f"BEGIN {kind.upper()} PRIVATE KEY" in file.read()
    server = TlsServer(lab, [*arguments[:3], older], ["cat"])
    assert shake_hands(server, authority), server.report()


def test_a_key_of_another_kind_is_named_as_such(lab, tmp_path):
    for name in ("rsa", "ec"):
        (tmp_path / name).mkdir()
    rsa, ec = make_leaf(tmp_path / "rsa", "RSA")[1], make_leaf(tmp_path / "ec", "P-256")[1]
    server = TlsServer(lab, [*ec[:3], rsa[3]], ["cat"])
    assert not shake_hands(server, str(tmp_path / "ec" / "ca.crt"))
    server.logged("the key is not that of the certificate")


def test_pairs_of_several_kinds(lab, tmp_path):
    """Each client gets the certificate that it can verify."""
    for name in ("rsa", "ec"):
        (tmp_path / name).mkdir()
    (first, rsa), (second, ec) = (make_leaf(tmp_path / name, key)
                                  for name, key in (("rsa", "RSA"), ("ec", "P-256")))
    server = TlsServer(lab, [*rsa, *ec], ["cat"])
    assert shake_hands(server, first, "-sigalgs", "RSA-PSS+SHA256"), server.report()
    assert shake_hands(server, second, "-sigalgs", "ECDSA+SHA256"), server.report()
