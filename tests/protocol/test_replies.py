"""Replies on the network: none in two small pieces, none that waits for an acknowledgement.

A piece that is sent after an unacknowledged one waits for 40 ms, unless the socket has TCP_NODELAY.
These tests look at that option, and at the number of segments that arrive.
"""
import ctypes
import os
import socket
import struct
import subprocess

import pytest

from harness import MAIL_GID, MAIL_UID, ROOT, TIMEOUT
from launch import SUPERSERVERS, Tcpserver, checker_options, checkpw, table_of
from test_superservers import launch, pop3  # noqa: F401 (a fixture)

PIDFD_OPEN, PIDFD_GETFD = 434, 438  # On every architecture.
DATA_SEGMENTS_IN = 152  # Where tcp_info has them.


def no_delay(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def socket_of(pid, descriptor):
    """Another process's socket."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = libc.syscall(PIDFD_OPEN, pid, 0)
    copy = libc.syscall(PIDFD_GETFD, process, descriptor, 0) if process >= 0 else -1
    if copy < 0:
        pytest.skip(f"no descriptor of another process: {os.strerror(ctypes.get_errno())}")
    os.close(process)
    return socket.socket(fileno=copy)


def segments(client):
    """The number of segments with data that have arrived."""
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    if len(info) < DATA_SEGMENTS_IN + 4:
        pytest.skip("this kernel does not count segments")
    return struct.unpack_from("=I", info, DATA_SEGMENTS_IN)[0]


class Client:
    """Sends in one piece, reads so many replies, and counts the segments that brought them."""

    def __init__(self, server):
        self.socket = server.connect()
        self.file = self.socket.makefile("rb")

    def reply(self, multi_line):
        octets = self.file.readline()
        assert octets.startswith(b"+OK"), octets
        while multi_line and (line := self.file.readline()) != b".\r\n":
            assert line, octets
            octets += line
        return octets

    def ask(self, commands, multi_line=(b"LIST", b"UIDL", b"RETR", b"TOP", b"CAPA")):
        """Returns the octets of the replies and the number of segments."""
        before = segments(self.socket)
        self.socket.sendall(b"".join(command + b"\r\n" for command in commands))
        replies = [self.reply(command.split()[0] in multi_line) for command in commands]
        return sum(map(len, replies)), segments(self.socket) - before

    def log_in(self, home):
        for command in (f"USER {home.login}", f"PASS {home.password}"):
            assert self.ask([command.encode()])[1] == 1, command


@pytest.mark.parametrize("kind", SUPERSERVERS, ids=lambda kind: kind.name)
def test_no_reply_waits_for_an_acknowledgement(lab, home, launch, kind):  # noqa: F811
    if not ROOT:
        pytest.skip("needs root: other processes' sockets")
    server = launch(kind, checkpw(lab, home))
    others = {row["pid"] for row in table_of(server.process.pid)}
    client = pop3(server, home)
    seen = 0
    for row in table_of(server.process.pid):
        if row["pid"] in others or row["program"] != lab.pop3d:
            continue
        with socket_of(row["pid"], 1) as connection:
            assert no_delay(connection), row
            seen += 1
    assert seen > 0
    client.quit()


def test_a_session_after_another_front_end_does_not_wait_either(lab, home):
    """As qmail-popup or mailfront would start it: nobody has set the option before."""
    home.add_seeds()
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname(), TIMEOUT)
    connection = listener.accept()[0]
    assert not no_delay(connection)
    identity = {"user": MAIL_UID, "group": MAIL_GID, "extra_groups": []} if ROOT else {}
    command = [lab.pop3d, "--session", "--idle-timeout", "5", os.fsdecode(home.maildir.path)]
    with subprocess.Popen(command, stdin=connection, stdout=connection, cwd=home.path,
                          env=lab.environment(), **identity) as session:
        assert client.recv(512).startswith(b"+OK 4 messages")
        assert no_delay(connection)
        client.sendall(b"QUIT\r\n")
        assert session.wait(TIMEOUT) == 0


@pytest.fixture
def large(lab, home):
    """300 messages, each larger than a segment of most networks."""
    for number in range(300):
        home.maildir.add(f"{1000000000 + number}.M{number}P1.a",
                         b"Subject: %d\n\n" % number + b"line of text\n" * 300, sub="cur")
    server = Tcpserver(lab, home, [*checker_options(lab), "--", *checkpw(lab, home)])
    yield server
    server.stop()


def test_every_reply_is_one_segment(large, home):
    client = Client(large)
    assert client.reply(False).startswith(b"+OK")
    assert client.ask([b"CAPA"])[1] == 1
    client.log_in(home)
    for command in (b"STAT", b"LIST", b"UIDL", b"LIST 7", b"UIDL 7", b"RETR 7", b"TOP 7 3",
                    b"DELE 7", b"RSET", b"NOOP", b"CAPA"):
        multi_line = () if command.endswith(b" 7") and command[:4] in (b"LIST", b"UIDL") else None
        octets, count = (client.ask([command]) if multi_line is None
                         else client.ask([command], multi_line))
        assert count == 1, f"{command}: {octets} octets in {count} segments"
    assert client.ask([b"QUIT"])[1] == 1


def test_a_pipelined_batch_is_answered_in_few_segments(large, home):
    client = Client(large)
    client.reply(False)
    client.log_in(home)
    octets, count = client.ask([b"STAT", b"LIST", b"UIDL"] + [b"NOOP"] * 500)
    assert count <= 4, f"{octets} octets in {count} segments"
    commands = [b"RETR %d" % number for number in range(1, 301)]
    octets, count = client.ask(commands)
    # Far fewer than messages: a write has 64 KiB or more, a segment of the loopback 64 KiB.
    assert octets > 300 * 3900 and count <= octets // 20000, \
        f"{octets} octets in {count} segments"
    octets, count = client.ask([b"DELE %d" % number for number in range(1, 301)] + [b"RSET"])
    assert count <= 4, f"{octets} octets in {count} segments"
    client.ask([b"QUIT"])
