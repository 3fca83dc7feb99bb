"""pop3d-tls with OpenSSL inside (make TLS_LINK=static): how it is linked, and tests of the other
modules, which run here with that program."""
import os
import re
import ssl
import subprocess

import pytest

import tls_lab
from harness import ROOT
from jail import SANITIZED, TREE
from test_hardening import check_tables_are_read_only, readelf
from tls_lab import TlsServer
from tls_lab import cert_dir, keys, own, pki  # fixtures, pylint: disable=unused-import
# pylint: disable=unused-import
from test_tls import test_a_large_message_arrives_whole, test_a_session_in_each_version
from test_tls_algorithms import test_ciphers, test_every_kind_of_key_serves_as_with_all_algorithms
from test_tls_engine import (test_no_key_is_left_in_memory_after_the_handshake,
                             test_the_engine_is_locked_in)
from test_tls_policy import configured, test_a_setting_is_in_force, test_no_setting_allows_more
from test_tls_keys import (test_sessions_are_resumed_by_other_processes,
                           test_verified_client_certificates_are_passed_on)

pytestmark = pytest.mark.skipif(SANITIZED, reason="a build with sanitizers")


@pytest.fixture(scope="session")
def static_program(programs):
    """Its path. The archives of OpenSSL need not be there."""
    place = os.path.join(programs.directory, "static")
    made = subprocess.run(["make", "-s", "-C", TREE, f"O={place}", "TLS_LINK=static",
                           f"{place}/pop3d-tls"], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("there is no archive of OpenSSL")
    return os.path.join(place, "pop3d-tls")


@pytest.fixture(autouse=True)
def use_static_program(static_program, monkeypatch):
    monkeypatch.setattr(tls_lab, "tls_program", lambda lab: static_program)


def test_nothing_is_loaded_at_the_start(static_program):
    """Position-independent, and without the dynamic linker."""
    assert re.search(r"Type: +DYN", readelf("-h", static_program))
    assert "NEEDED" not in readelf("-d", static_program)
    assert "INTERP" not in readelf("-l", static_program)


@pytest.mark.skipif(not ROOT, reason="only root may look into the engine")
def test_tables_of_the_engine_are_read_only(lab, pki, own, static_program):
    server = TlsServer(lab, own, ["cat"])
    assert server.connect(pki.context()).ask("hello") == "hello"
    check_tables_are_read_only(server.child().pid, static_program)


@pytest.mark.skipif(not ROOT, reason="only root may look into the engine")
def test_private_memory_of_an_idle_session(lab, pki, own):
    server = TlsServer(lab, own, ["cat"])
    clients = [server.connect(pki.context()) for _ in range(3)]  # They share what is not private.
    for client in clients:
        assert client.ask("hello") == "hello"
    with open(f"/proc/{server.child().pid}/smaps_rollup", encoding="ascii") as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    # the library of Debian 13 (OpenSSL 3.5) has larger tables than that of Debian 12 (3.0)
    most = 900 if ssl.OPENSSL_VERSION_INFO < (3, 1) else 1150
    assert private < most, private
