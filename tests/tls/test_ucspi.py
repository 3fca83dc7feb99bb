"""UCSPI-TLS: what a client sends in clear is never answered inside TLS (RFC 2595 section 4).

The engine is a stand-in: after it is asked to begin, "inside TLS" is a second pair of sockets.
These tests show which octets go where. A real engine would meet leftover octets in its handshake,
and fail.
"""
import select
import socket
import subprocess
import time

import pytest

import harness
GREETING = f"+OK {harness.HOST} POP3 server ready\r\n".encode()
BEGIN = b"+OK begin TLS negotiation\r\n"
INJECTIONS = {
    "whole command after": (b"STLS\r\nCAPA\r\n", b""),
    "command cut in the middle": (b"STLS\r\nCA", b"PA\r\n"),
    "user before, password after": (b"USER {login}\r\nSTLS\r\nPASS {password}\r\n", b""),
    "after 255 octets of padding": (b"STLS\r\n" + b"x" * 255 + b"\r\nCAPA\r\n", b""),
    "line without end": (b"STLS\r\nNOOP", b""),
    "with LF only": (b"STLS\nCAPA\n", b""),
}


class Engine:
    """pop3d with a client in clear, and one inside what stands for TLS."""

    def __init__(self, lab, home, *options, ucspitls=None):
        self.clear, far_clear = socket.socketpair()
        self.control, far_control = socket.socketpair()
        self.inside, far_inside = socket.socketpair()
        passed_on = [f"--pass-env={name}" for name in lab.environment() if name != "PATH"]
        environment = dict(lab.environment(), SSLCTLFD=str(far_control.fileno()),
                           SSLREADFD=str(far_inside.fileno()),
                           SSLWRITEFD=str(far_inside.fileno()))
        if ucspitls is not None:
            environment["UCSPITLS"] = ucspitls
        self.process = subprocess.Popen(
            [lab.pop3d, "--hostname", harness.HOST, "--fail-delay", "0", *passed_on, *options,
             "--", lab.checker, home.table],
            stdin=far_clear, stdout=far_clear, stderr=subprocess.DEVNULL, env=environment,
            pass_fds=[far_control.fileno(), far_inside.fileno()], start_new_session=True)
        self.engines_clear = far_clear  # The engine holds the connection as well.
        for end in (far_control, far_inside):
            end.close()

    def stop(self):
        for end in (self.clear, self.engines_clear, self.control, self.inside):
            end.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def came(end, enough=None, seconds=5.0, quiet=0.3):
    """Everything that arrives until it ends with enough, or, without enough, until it is quiet."""
    octets, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        ready, _, _ = select.select([end], [], [], quiet)
        if not ready:
            if enough is None:
                break
            continue
        piece = end.recv(65536)
        octets += piece
        if not piece or (enough is not None and octets.endswith(enough)):
            break
    return octets


@pytest.fixture
def engine(lab, home):
    started = []

    def start(*options, **how):
        started.append(Engine(lab, home, *options, **how))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def begin(each, octets, home):
    """Sends STLS and octets around it. Checks that nothing after STLS is answered in clear."""
    octets = octets.replace(b"{login}", home.login.encode())
    octets = octets.replace(b"{password}", home.password.encode())
    each.clear.sendall(octets)
    answer = came(each.clear, BEGIN)
    assert answer.endswith(BEGIN) and answer.count(BEGIN) == 1, answer
    assert came(each.control, b"y") == b"y"


@pytest.mark.parametrize("injection", INJECTIONS)
def test_what_came_in_clear_is_not_answered_inside_tls(engine, home, injection):
    each = engine("--require-tls" if "user" not in injection else "--allow-cleartext")
    assert came(each.clear, GREETING) == GREETING
    first, rest = INJECTIONS[injection]
    begin(each, first, home)
    if rest:
        each.clear.sendall(rest)
    each.inside.sendall(b"NOOP\r\n")
    answer = came(each.inside)
    assert answer == b"-ERR log in first\r\n", (injection, answer)
    each.inside.sendall(b"PASS " + home.password.encode() + b"\r\n")
    assert came(each.inside, b"\r\n") == b"-ERR send USER first\r\n"


def test_session_goes_on_inside_tls(engine, home):
    home.add_seeds()
    each = engine("--require-tls")
    came(each.clear, GREETING)
    each.clear.sendall(b"CAPA\r\n")
    before = came(each.clear, b"\r\n.\r\n")
    assert b"\r\nSTLS\r\n" in before and b"USER\r\n" not in before
    each.clear.sendall(b"USER kermit\r\n")
    assert came(each.clear, b"\r\n").startswith(b"-ERR [AUTH] ")
    begin(each, b"STLS\r\n", home)
    each.inside.sendall(b"STLS\r\nCAPA\r\n")
    inside = came(each.inside, b"\r\n.\r\n")
    assert inside.startswith(b"-ERR TLS is already active\r\n"), inside
    assert b"\r\nSTLS\r\n" not in inside and b"\r\nSASL PLAIN LOGIN\r\n" in inside, inside
    each.inside.sendall(f"USER {home.login}\r\nPASS {home.password}\r\nDELE 1\r\nQUIT\r\n".encode())
    assert came(each.inside, b"(3 messages left)\r\n").endswith(b"(3 messages left)\r\n")
    assert came(each.clear) == b""
    assert each.process.wait(5) == 0


def test_end_of_tls_without_quit_deletes_nothing(engine, home):
    home.add_seeds()
    before = home.maildir.state()
    each = engine("--require-tls")
    came(each.clear, GREETING)
    begin(each, b"STLS\r\n", home)
    each.inside.sendall(f"USER {home.login}\r\nPASS {home.password}\r\nDELE 1\r\nQUI".encode())
    came(each.inside, b"deleted\r\n")
    each.inside.shutdown(socket.SHUT_WR)
    each.process.wait(5)
    assert home.maildir.state() == before


def test_ucspitls_says_whether_to_offer_or_to_demand(engine, home):
    off = engine(ucspitls="-")
    assert came(off.clear, GREETING) == GREETING
    off.clear.sendall(b"STLS\r\nCAPA\r\n")
    answer = came(off.clear, b"\r\n.\r\n")
    assert answer.startswith(b"-ERR STLS is not offered here\r\n") and b"\r\nSTLS\r\n" not in answer
    demand = engine(ucspitls="!")
    assert came(demand.clear, GREETING) == GREETING
    demand.clear.sendall(f"USER {home.login}\r\n".encode())
    assert came(demand.clear, b"\r\n") == (
        b"-ERR [AUTH] no login in clear text here: connect with TLS\r\n")
    begin(demand, b"STLS\r\n", home)
    demand.inside.sendall(f"USER {home.login}\r\nPASS {home.password}\r\n".encode())
    assert came(demand.inside, b"octets)\r\n").endswith(b"+OK 0 messages (0 octets)\r\n")


def test_a_demand_without_an_engine_lets_nobody_log_in_in_clear(lab, home):
    clear, far_clear = socket.socketpair()
    with clear, subprocess.Popen(
            [lab.pop3d, "--hostname", harness.HOST, "--allow-cleartext", "--", lab.checker,
             home.table], stdin=far_clear, stdout=far_clear, stderr=subprocess.DEVNULL,
            env=dict(lab.environment(), UCSPITLS="!"), start_new_session=True):
        far_clear.close()
        assert came(clear, GREETING) == GREETING
        clear.sendall(f"USER {home.login}\r\n".encode())
        assert came(clear, b"\r\n") == (
            b"-ERR [AUTH] no login in clear text here: connect with TLS\r\n")
        clear.sendall(b"QUIT\r\n")


def test_engine_that_is_gone_ends_the_session(engine, home):
    each = engine()
    came(each.clear, GREETING)
    begin(each, b"STLS\r\n", home)
    each.inside.close()
    assert each.process.wait(5) == 0


def test_engine_that_is_gone_before_stls_is_a_fault_of_the_system(lab, home):
    near, far = socket.socketpair()
    client, far_client = socket.socketpair()
    with client, subprocess.Popen(
            [lab.pop3d, "--hostname", harness.HOST, "--", lab.checker, home.table],
            stdin=far_client, stdout=far_client, stderr=subprocess.PIPE,
            env=dict(lab.environment(), **dict.fromkeys(
                ("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"), str(far.fileno()))),
            pass_fds=[far.fileno()], start_new_session=True) as process:
        for end in (far, far_client, near):
            end.close()
        assert came(client, GREETING) == GREETING
        client.sendall(b"STLS\r\n")
        log = process.communicate(timeout=harness.TIMEOUT)[1].decode()
    assert process.returncode == 111
    assert len(log.splitlines()) == 1 and "tls-not-started" in log, log


def test_handshake_that_comes_with_the_reply_is_left_to_the_engine(engine, home):
    for _ in range(30):
        each = engine()
        came(each.clear, GREETING)
        each.clear.sendall(b"STLS\r\nCAPA\r\n")
        came(each.clear, BEGIN)
        each.clear.sendall(b"ClientHello")
        assert came(each.control, b"y") == b"y"
        assert came(each.engines_clear, b"Hello") == b"ClientHello"
        each.stop()
