"""Two hundred connections at once that want nothing: what they cost, and that they end."""
import os
import random
import re
import socket
import time

import pytest

import jail
from harness import ROOT, retry_until
from launch import (OpenbsdInetd, Tcpserver, Xinetd, checker_options, checkpw,
                    replace_once, shipped, tree_of)

CONNECTIONS = 200
LOGIN_TIMEOUT = 3  # Seconds.
SLACK = 12         # Seconds. A machine with few processors needs time to end so many.
LIMIT = 20
# Memory of monitor and greeter of a connection, in octets. Half of it is enough if the program is
# static. Users other than root see only the memory of a process, not how much of it is shared.
MEMORY = (320 if ROOT and not jail.SANITIZED else 16384) * 1024


class Crowd:
    """The clients."""

    def __init__(self, server, count=CONNECTIONS):
        self.server = server
        self.sockets = []
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((server.address, server.port))
            self.sockets.append(client)
        self.got = [b""] * count

    def listen(self):
        """Reads what has arrived. Closes what has ended."""
        for number, client in enumerate(self.sockets):
            if client is None:
                continue
            try:
                piece = client.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionError:
                piece = b""
            self.got[number] += piece
            if not piece:
                client.close()
                self.sockets[number] = None

    def say(self, octets_for):
        for number, client in enumerate(self.sockets):
            if client is not None:
                try:
                    client.send(octets_for(number))
                except OSError:
                    pass

    def greeted(self):
        self.listen()
        return sum(text.startswith(b"+OK ") for text in self.got)

    def waiting(self):
        self.listen()
        return sum(client is not None for client in self.sockets)

    def close(self):
        for client in filter(None, self.sockets):
            client.close()


def processes(server):
    """pid -> octets of memory of each pop3d below the superserver, with its part of shared pages."""
    found = {}
    for pid in tree_of(server.process.pid)[1:]:
        try:
            if jail.read_status(pid)["Name"] == "pop3d":
                found[pid] = memory_of(pid)
        except (OSError, KeyError):
            pass
    return found


def memory_of(pid):
    """Pss if it can be read, otherwise Rss."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    except PermissionError:
        return int(jail.read_status(pid)["VmRSS"].split()[0]) * 1024


class ManyTcpserver(Tcpserver):
    """With room for the crowd."""

    most = CONNECTIONS + 10

    def command(self):
        program, *rest = super().command()
        return [program, "-c", str(self.most), "-b", str(CONNECTIONS + 10), *rest]


class LimitedTcpserver(ManyTcpserver):
    most = LIMIT


class LimitedXinetd(Xinetd):
    """xinetd's limits: a number for all, and a number for one address."""

    instances, per_source = LIMIT, LIMIT

    def write(self, name, text):
        text = replace_once(r"^\tinstances\s*= \d+$", f"\tinstances = {self.instances}", text)
        text = replace_once(r"^\tper_source\s*= \d+$", f"\tper_source = {self.per_source}", text)
        text = replace_once(r"^\tcps\s*= \d+ \d+$", "\tcps = 1000 1", text)
        return super().write(name, text)


class XinetdPerSource(LimitedXinetd):
    instances = CONNECTIONS


@pytest.fixture
def flood(lab, home):
    """Starts a superserver and the crowd, and ends both."""
    started = []

    def start(kind, *options, count=CONNECTIONS):
        arguments = [*checker_options(lab), "--login-timeout", str(LOGIN_TIMEOUT), *options, "--",
                     lab.checker, home.table]
        server = kind(lab, home, arguments)
        started.append(server)
        crowd = Crowd(server, count)
        started.append(crowd)
        return server, crowd

    yield start
    for each in reversed(started):
        (each.close if isinstance(each, Crowd) else each.stop)()


def random_garbage(number):
    return random.Random(number).randbytes(4096)


def endless_line(_):
    return b"x" * 65536


# What a client of the crowd sends, and how often.
TALK = {"silent": None, "a line now and then": lambda number: b"CAPA\r\n",
        "half a line now and then": lambda number: b"CA", "garbage": random_garbage,
        "one endless line": endless_line}


@pytest.mark.parametrize("talk", TALK)
def test_a_crowd_that_wants_nothing_costs_little_and_ends(flood, talk):
    begin = time.monotonic()
    server, crowd = flood(ManyTcpserver)
    saw_all = retry_until(lambda: crowd.greeted() == CONNECTIONS, LOGIN_TIMEOUT, 0.02)
    connected = time.monotonic() - begin
    most_processes, most_memory = 0, 0
    while time.monotonic() - begin < LOGIN_TIMEOUT - 0.5 or most_processes == 0:
        if TALK[talk] is not None:
            crowd.say(TALK[talk])
        crowd.listen()
        now = processes(server)
        most_processes = max(most_processes, len(now))
        most_memory = max(most_memory, sum(now.values()))
        time.sleep(0.2)
    gone = retry_until(lambda: crowd.waiting() == 0 and not processes(server),
                       LOGIN_TIMEOUT + SLACK, 0.1)
    seconds = time.monotonic() - begin
    print(f"\n{CONNECTIONS} connections, {talk}: all greeted after {connected:.1f} s, at most "
          f"{most_processes} processes with {most_memory / 1024:.0f} KiB in all, "
          f"{most_memory / 1024 / CONNECTIONS:.0f} KiB each; all gone after {seconds:.1f} s")
    assert saw_all, f"{crowd.greeted()} of {CONNECTIONS} were greeted\n{server.log()[-2000:]}"
    assert gone, f"{crowd.waiting()} connections, {len(processes(server))} processes are left"
    assert most_processes <= 2 * CONNECTIONS
    assert most_memory <= MEMORY * CONNECTIONS
    assert seconds >= LOGIN_TIMEOUT * 0.9 or talk == "garbage", "they were not kept to the end"


def test_good_clients_are_served_among_a_silent_crowd(lab, home, flood):
    home.add_seeds()
    server, crowd = flood(ManyTcpserver)
    assert retry_until(lambda: crowd.greeted() == CONNECTIONS, LOGIN_TIMEOUT, 0.02)
    got = server.all_that_comes(
        f"USER {home.login}\r\nPASS {home.password}\r\nSTAT\r\nQUIT\r\n".encode())
    assert b"\r\n+OK 4 2007\r\n" in got, got


# -- what superservers do about it


def test_tcpserver_c_lets_so_many_in_and_the_others_wait(flood):
    server, crowd = flood(LimitedTcpserver, count=3 * LIMIT)
    assert retry_until(lambda: crowd.greeted() >= LIMIT, LOGIN_TIMEOUT, 0.02)
    time.sleep(0.5)
    assert crowd.greeted() == LIMIT and len(processes(server)) == 2 * LIMIT
    assert crowd.waiting() == 3 * LIMIT  # The others are connected and hear nothing.
    # They are served when the first have ended.
    assert retry_until(lambda: crowd.greeted() >= 2 * LIMIT, LOGIN_TIMEOUT + SLACK, 0.1)
    assert len(processes(server)) <= 2 * LIMIT


@pytest.mark.parametrize("kind", [LimitedXinetd, XinetdPerSource],
                         ids=["instances", "per_source"])
def test_xinetd_lets_so_many_in_and_turns_the_others_away(flood, kind):
    server, crowd = flood(kind, count=3 * LIMIT)
    assert retry_until(lambda: crowd.waiting() == LIMIT, LOGIN_TIMEOUT, 0.02), crowd.waiting()
    assert retry_until(lambda: crowd.greeted() == LIMIT, LOGIN_TIMEOUT, 0.02), crowd.greeted()
    assert len(processes(server)) == 2 * LIMIT
    turned_away = [text for text, client in zip(crowd.got, crowd.sockets) if client is None]
    assert turned_away == [b""] * (2 * LIMIT)
    gone = retry_until(lambda: crowd.waiting() == 0 and not processes(server),
                       LOGIN_TIMEOUT + SLACK, 0.1)
    assert gone, f"{crowd.waiting()} connections, {len(processes(server))} processes are left"


def test_the_shipped_files_limit_connections():
    """All shipped files have limits."""
    for path, names in (("xinetd.d/pop3", ("instances", "per_source", "cps")),
                        ("systemd/pop3d.socket", ("MaxConnections", "MaxConnectionsPerSource"))):
        with open(os.path.join(jail.TREE, path), encoding="utf-8") as file:
            text = file.read()
        for name in names:
            assert f"{name}=" in text.replace(" ", "").replace("\t", ""), f"{path}: {name}"


def test_no_shipped_file_lets_one_client_close_the_port():
    """A superserver that counts connections a second closes the port for everybody."""
    sockets = [name for name in os.listdir(os.path.join(jail.TREE, "systemd"))
               if name.endswith(".socket")]
    assert len(sockets) >= 2
    for name in sockets:
        assert "\nTriggerLimitIntervalSec=0\n" in shipped("systemd", name), name
    for name in os.listdir(os.path.join(jail.TREE, "xinetd.d")):
        limit = re.search(r"^\tcps\s*= (\d+) (\d+)$", shipped("xinetd.d", name), re.MULTILINE)
        assert limit and int(limit[1]) >= 100000 and int(limit[2]) <= 1, name
    for line in re.findall(r"^    pop3s?  stream.*$", shipped("doc", "SETUP"), re.MULTILINE):
        assert re.search(r" nowait\.[3-6]\d{4}  root ", line), line


def test_a_crowd_does_not_close_the_port_of_xinetd(lab, home):
    """The shipped file, an address over per_source: connections a second later are served."""
    server = Xinetd(lab, home, [*checker_options(lab), "--", *checkpw(lab, home)], "127.0.0.1")

    def greeting():
        with socket.create_connection((server.address, server.port), 5) as client:
            return client.recv(3)

    try:
        for _ in range(300):
            try:
                socket.create_connection((server.address, server.port), 1).close()
            except OSError:
                pass
        # a place of per_source is free when its session has seen the end of the connection
        assert retry_until(lambda: greeting() == b"+OK", 10, 0.2)
    finally:
        server.stop()
    with open(server.log_path, encoding="utf-8") as log:
        assert "Deactivating" not in log.read()


def word_of_setup():
    """How doc/SETUP spells nowait in its lines for inetd.conf."""
    words = set(re.findall(r"^    pop3s?  stream  tcp  (\S+) ", shipped("doc", "SETUP"),
                           re.MULTILINE))
    assert len(words) == 1
    return words.pop()


def test_a_crowd_does_not_close_the_port_of_openbsd_inetd(lab, home):
    """Without a number it serves 256 a minute, and then nobody for ten minutes."""
    class Server(OpenbsdInetd):
        def line(self):
            path = super().line()
            with open(path, encoding="utf-8") as file:
                text = file.read().replace(" nowait ", f" {word_of_setup()} ")
            return self.write("inetd.conf", text)

    server = Server(lab, home, [*checker_options(lab), "--", *checkpw(lab, home)], "127.0.0.1")
    try:
        for _ in range(300):
            with socket.create_connection((server.address, server.port), 5) as client:
                client.sendall(b"QUIT\r\n")
                assert client.recv(3) == b"+OK", server.log()
    finally:
        server.stop()
