"""The client matrix: which clients there are, and the steps that each of them is put through.

A step gets a Case, raises AssertionError or ClientFailed where client and server do not go together,
and returns what the table says about it.
"""
import pathlib
import re
import shutil
import tempfile
import time

import desktop
import fetchers
import libraries
import proxies
import readers
from client import Account, ClientFailed, give
from mail_lab import TEXT, left, unique, wire_form
from servers import PopServer, StallingRelay

CLIENTS = [each for module in (fetchers, readers, desktop, libraries, proxies)
           for each in module.CLIENTS]

MANY = 5000

NASTY = {
    "dots": b".\n..\n.first\n...\n\n.",
    "no final newline": b"the end",
    "CRLF": b"one\r\ntwo\r\n",
    "8 bit": bytes(range(128, 256)) + b"\n",
    "From line": b"\nFrom here on\n\n>From there\n\n\n",
    "NUL": b"a\0b\0\n",
    "bare CR": b"one\rtwo\r\rthree\n",
    "long line": b"x" * 70000 + b"\nand another\n",
}


def nasty():
    """Ten messages that mail programs err at, by name."""
    found = {name: TEXT % name.encode() + body for name, body in NASTY.items()}
    found["CRLF"] = found["CRLF"].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    found["header only"] = b"Subject: header only\n"
    found["empty"] = b""
    return found


def plain(octets):
    """The octets with the system's line ends, and one at the end: what clients may choose freely."""
    return wire_form(octets).replace(b"\r\n", b"\n")


class Case:
    """One client, one server, one mailbox."""

    def __init__(self, kind, lab, home, pki, mode):
        self.kind, self.lab, self.home, self.pki = kind, lab, home, pki
        self.mode = mode
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="client.", dir=lab.directory))
        give(self.work)
        self.front = None

    def serve(self, *options):
        """Starts the server; the client talks to it, or to the proxy that the client's kind names."""
        self.server = PopServer(self.lab, self.home, self.mode, self.pki.have("localhost"), options)
        return self.server

    def client(self, server=None):
        server = server or self.server
        if self.kind.front:
            server = self.front = self.kind.front(self, server)
        return self.kind(Account(server, self.home, self.work, self.mode, self.pki.at("ca.crt")))

    def add(self, name, number):
        # names that sort in the order in which they were added
        self.home.maildir.add(f"{1700000000 + number}.M{number}P1.{name}", TEXT % name.encode() +
                              b"text\n")

    def stop(self):
        if self.front:
            self.front.stop()
        if hasattr(self, "server"):
            self.server.stop()
        shutil.rmtree(self.work, ignore_errors=True)


def subjects(stored):
    """The subjects of messages, in order."""
    return [re.search(rb"(?mi)^Subject: ([^\r\n]*)", octets + b"\nSubject: -")[1].decode("latin-1")
            for octets in stored]


def find(stored, name):
    """The one message of that name; None where it was not stored."""
    found = [octets for octets in stored
             if (re.search(rb"(?mi)^Subject: %s\r?$" % name.encode(), octets)
                 if name != "empty" else not octets.strip())]
    assert len(found) <= 1, f"{name}: stored {len(found)} times"
    return found[0] if found else None


def difference(got, wanted):
    """Where the first one differs."""
    if got is None:
        return "not stored"
    got, wanted = plain(got), plain(wanted)
    same = next((n for n, (one, other) in enumerate(zip(got, wanted)) if one != other),
                min(len(got), len(wanted)))
    begin = max(0, same - 60)
    return (f"at {same} of {len(wanted)} octets: {got[begin:same + 60]!r}, on disk "
            f"{wanted[begin:same + 60]!r}")


def step_fetch(case):
    """All ten messages are stored as they are on disk, but for what the client is known to change."""
    messages = nasty()
    for number, (name, octets) in enumerate(messages.items()):
        case.home.maildir.add(f"{1700000000 + number}.M{number}P1.a", octets)
    case.serve()
    stored = case.client().fetch_all()
    if case.mode != "clear":
        logins = re.findall(r" login ip=.*", case.server.log())
        assert logins and all("tls=yes" in line for line in logins), case.server.log()
    changed = {}
    for name, octets in messages.items():
        got = find(stored, name)
        if got is None or plain(got) != plain(octets):
            changed[name] = case.kind.changes.get(name)
            assert changed[name], (f"{name}: {difference(got, octets)}\n"
                                   f"stored: {subjects(stored)}")
    assert len(left(case.home)) == len(messages) if case.kind.keeps else True
    same = len(messages) - len(changed)
    return {"cell": "yes" if not changed else f"{same} of {len(messages)}", "changed": changed}


def step_keep(case):
    """Three polls that keep, with new mail between: nothing is stored twice, nothing is missed."""
    case.serve()
    client = case.client()
    counts, number = [], 0
    for new in (3, 0, 2):
        for _ in range(new):
            case.add(f"keep-{number}", number)
            number += 1
        counts.append(client.keep_poll())
    wanted = [3, 3, 5] if case.kind.remembers else [3, 6, 11]
    assert counts == wanted, f"stored after each poll: {counts}, expected {wanted}"
    assert len(left(case.home)) == 5
    assert set(subjects(client.stored())) == {f"keep-{n}" for n in range(5)}
    return {"cell": "yes" if case.kind.remembers else "all each time"}


def step_delete(case):
    """What is fetched and to be deleted is stored and gone."""
    case.serve()
    for number in range(5):
        case.add(f"delete-{number}", number)
    stored = case.client().delete()
    assert sorted(subjects(stored)) == [f"delete-{n}" for n in range(5)]
    gone = left(case.home)
    assert not gone, f"still there: {gone}\n{case.server.log()}"
    return {"cell": "yes"}


def step_many(case):
    """5,000 messages, each stored once."""
    case.serve()
    for number in range(MANY):
        case.add(f"many-{number}", number)
    client = case.client()
    client.patience = client.timeout * client.slowly
    start = time.monotonic()
    stored = client.fetch_all()
    seconds = time.monotonic() - start
    assert sorted(subjects(stored)) == sorted(f"many-{n}" for n in range(MANY))
    return {"cell": f"{seconds:.0f} s" if seconds >= 1 else "1 s"}


def step_wrong(case):
    """A wrong password, and then the right one."""
    case.serve()
    case.add("after the wrong one", 1)
    client = case.client()
    start = time.monotonic()
    stored = client.wrong_then_right("wrong-" + case.home.password)
    seconds = time.monotonic() - start
    assert subjects(stored) == ["after the wrong one"]
    lines = len(case.server.failures())
    assert lines == 1, f"{lines} log lines of one wrong password\n{case.server.log()}"
    return {"cell": f"{lines} line, {seconds:.0f} s", "lines": lines}


def step_timeout(case):
    """The server's time runs out in the middle of a poll; the next poll has all messages."""
    server = case.serve("--idle-timeout", "2")
    for number in range(5):
        case.add(f"timeout-{number}", number)
    relay = StallingRelay(server, stall_at=3)
    client = case.client(relay)
    said = "says so"
    try:
        client.delete() if case.kind.deletes else client.fetch_all()
        said = "is silent"
    except ClientFailed as error:
        assert "did not end" not in str(error), error
    finally:
        relay.stop()
    assert relay.stalled, "the client never fetched a third message"
    client.account.port = server.port
    if said == "is silent" and not left(case.home):
        said, stored = "goes on", client.stored()
    else:
        assert len(left(case.home)) == 5, f"deleted without QUIT\n{server.log()}"
        stored = client.delete() if case.kind.deletes else client.fetch_all()
    found = subjects(stored)
    assert set(found) >= {f"timeout-{n}" for n in range(5)}, f"stored: {found}\n{server.log()}"
    twice = sum(found.count(f"timeout-{n}") > 1 for n in range(5))
    return {"cell": f"{said}, {twice or 'none'} twice"}


STEPS = {name[len("step_"):]: value for name, value in list(globals().items())
         if name.startswith("step_")}
EVERY_MODE = ("fetch",)
SLOW = ("many",)


def cases(quick):
    """(client, step, mode) for all that is to be run."""
    for kind in CLIENTS:
        if quick and not kind.quick:
            continue
        for step in STEPS:
            if step in kind.without or quick and step in SLOW:
                continue
            for mode in kind.modes if step in EVERY_MODE else kind.modes[:1]:
                yield kind, step, mode
