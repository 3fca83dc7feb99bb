"""A mailbox moves from each neighbour to pop3d: make check-migration.

The neighbour serves it first, then pop3d with --uidl-from, on the same port, then the neighbour
again. Between them messages are deleted, an IMAP server changes flags, and new mail comes. Three
programs that leave mail on the server fetch at each stage, with their state kept.
"""
import collections
import imaplib
import json
import os
import pathlib
import poplib
import re
import tempfile

import pytest

import client
import fetchers
import harness
import neighbours
from agents import Agents
from harness import ROOT
from launch import free_port

RESULTS = os.environ.get("POP3D_CHECK_MIGRATION")
pytestmark = [
    pytest.mark.skipif(RESULTS is None, reason="make check-migration runs it"),
    pytest.mark.skipif(not ROOT, reason="needs root, for the neighbours"),
]


class Getmail(fetchers.Getmail):
    """Its wait for its own delivery process misses one that ends at once: this one takes its time."""

    def destination(self):
        self.directory("mail")
        script = self.write("deliver", f"#!/bin/sh\nsleep 0.2\ncat >{self.path('mail')}/$(date +%s%N)\n")
        os.chmod(script, 0o700)
        return f"type = MDA_external\npath = {script}"

    def stored(self):
        return client.read_directory(self.path("mail"))


CLIENTS = [fetchers.FetchmailUidl, Getmail, fetchers.Mpop]
FIRST, LATER, UNSEEN, LAST = 30, 4, 3, 3  # messages that are delivered at each stage
SUBJECT = re.compile(rb"(?m)^Subject: number (\d+)\r?$")


class Port:
    """What a client must know of a server."""

    def __init__(self, port):
        self.port = port


def numbers_of(messages):
    """How often each message is there, by the number in its subject."""
    return collections.Counter(int(SUBJECT.search(octets)[1]) for octets in messages)


def uidl(server, home, delete=0):
    """Number of the message in its subject -> unique id; deletes so many messages."""
    pop = poplib.POP3("127.0.0.1", server.port, timeout=30)
    pop.user(home.login)
    pop.pass_(home.password)
    found = {}
    for line in pop.uidl()[1]:
        number, uid = line.split(b" ", 1)
        top = b"\n".join(pop.top(int(number), 0)[1]) + b"\n"
        found[int(SUBJECT.search(top)[1])] = uid.decode("latin-1")
    for number in range(2, 2 + delete):
        pop.dele(number)
    pop.quit()
    return found


class Move:
    """One mailbox, with all that is fetched from it."""

    def __init__(self, lab, cls):
        self.lab, self.cls = lab, cls
        # where every user can reach what is in it
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="move.", dir=lab.directory))
        self.work.chmod(0o755)
        self.port = free_port()
        self.home = harness.Home(lab, login=cls.login())
        for name in ("agents", "imap", "old", "pop3d"):
            (self.work / name).mkdir()
        self.agents = Agents(self.home, self.work / "agents")
        self.clients = []
        for each in CLIENTS:
            work = self.work / each.__name__
            work.mkdir()
            client.give(work)
            self.clients.append(each(client.Account(Port(self.port), self.home, work)))

    def neighbour(self):
        return self.cls(self.home, self.work / "old", self.port)

    def pop3d(self, *options):
        made = type("Here", (neighbours.Pop3d,), {"lab": self.lab, "options": options})
        return made(self.home, self.work / "pop3d", self.port)

    def fetch(self):
        for each in self.clients:
            each.poll(keep=True)

    def fetched(self):
        return {each.name: numbers_of(each.stored()) for each in self.clients}

    def list_of_neighbour(self):
        """Courier's list; others than Courier write none, or Dovecot's, to which its agent adds."""
        path = self.home.maildir.at("courierpop3dsizelist")
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def change_flags(self):
        """Dovecot's IMAP server beside, whoever serves POP3."""
        with neighbours.Dovecot(self.home, self.work / "imap") as server:
            imap = imaplib.IMAP4("127.0.0.1", server.imap, timeout=30)
            imap.login(self.home.login.partition("@")[0], self.home.password)
            imap.select()
            imap.store("1:6", "+FLAGS", r"(\Flagged)")
            imap.store("4:9", "+FLAGS", r"(\Seen \Answered)")
            imap.store("5", "-FLAGS", r"(\Flagged)")
            imap.logout()


def twice(counts):
    return sum(count - 1 for count in counts.values() if count > 1)


@pytest.mark.parametrize("cls", neighbours.NEIGHBOURS, ids=lambda cls: cls.name)
def test_a_mailbox_moves(lab, cls):
    move = Move(lab, cls)
    move.agents.deliver(FIRST)
    with move.neighbour() as server:
        uidl(server, move.home)
        move.fetch()
        uidl(server, move.home, delete=3)
        move.change_flags()
        move.agents.deliver(LATER)
        before = uidl(server, move.home)
        move.fetch()
        assert uidl(server, move.home) == before
    at_old = move.fetched()
    list_before = move.list_of_neighbour()
    with move.pop3d() as server:
        plain = uidl(server, move.home)
    move.agents.deliver(UNSEEN)
    with move.pop3d("--uidl-from", cls.kind) as server:
        first = uidl(server, move.home)
        assert move.list_of_neighbour() == list_before
        move.fetch()
        move.change_flags()
        uidl(server, move.home, delete=3)
        move.agents.deliver(LAST)
        last = uidl(server, move.home)
        move.fetch()
        assert uidl(server, move.home) == last
    at_new = move.fetched()
    with move.neighbour() as server:
        back = uidl(server, move.home)
        move.fetch()
    at_back = move.fetched()
    kept = {number for number in first.keys() & before.keys() if first[number] == before[number]}
    result = {
        "name": cls.name, "kind": cls.kind, "package": cls.package, "version": cls.version(),
        "messages": len(before),
        "plain": len([number for number, uid in before.items() if plain[number] == uid]),
        "kept": len(kept), "changed": len(before) - len(kept),
        "twice": {name: twice(counts) - twice(at_old[name]) for name, counts in at_new.items()},
        "back kept": len([n for n in back.keys() & before.keys() if back[n] == before[n]]),
        "back of": len(back.keys() & before.keys()),
        "back twice": {name: twice(counts) - twice(at_new[name]) for name, counts in at_back.items()},
    }
    with open(os.path.join(RESULTS, cls.name.replace("%", "").replace(", ", "-") + ".json"), "w",
              encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    print(result)
    assert len(first) == len(set(first.values())) and len(last) == len(set(last.values()))
    assert first.keys() == before.keys() | set(range(FIRST + LATER + 1, FIRST + LATER + UNSEEN + 1))
    assert {number: uid for number, uid in last.items() if number in first} == {
        number: first[number] for number in last.keys() & first.keys()}
    everything = set(range(1, move.agents.count + 1))
    for name, counts in at_new.items():
        assert counts.keys() == everything, (name, everything - counts.keys())
    assert result["changed"] == 0, (before, first)
    assert set(result["twice"].values()) == {0}, result
