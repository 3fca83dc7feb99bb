"""CPU time of one session from start to exit, with all its processes."""
import os
import shutil

from report import Goal, Range, Table
from rounds import alternate, cell, measure, running
from servers import Courier, Dovecot, DovecotHp, Floor, Mailfront, MailfrontSession, Pop3d

MAILBOXES = [
    ("an empty maildrop", 1, {"count": 0}),
    ("10 messages with sizes in their names", 2, {"count": 10, "names": "SW", "new": 0}),
    ("10 messages without", 3, {"count": 10, "names": "plain", "new": 0}),
]


def login_sessions(lab, server, user, sessions):
    """CPU milliseconds a session of USER, PASS, STAT, QUIT."""
    server.await_quiet()
    before = server.cpu_seconds()
    lab.load(server, scenario="login", sessions=sessions, at_once=2, users=user)
    server.await_quiet()
    return (server.cpu_seconds() - before) / sessions * 1e3


def table_logins(lab, title, user, kind):
    """All on the same Maildir, except those that leave files of their own in it."""
    shared = lab.homes("shared")
    servers = [Pop3d(lab, shared), Mailfront(lab, shared), MailfrontSession(lab, shared),
               Floor(lab, shared)]
    if not lab.quick:
        servers += [Dovecot(lab), DovecotHp(lab), Courier(lab)]
    for server in servers:
        lab.home(server.homes, user, **kind)
    rounds, sessions = (6, 100) if lab.quick else (20, 200)
    table = Table(f"CPU of a login session, {title}",
                  ["server", "ms a session", "x mailfront", "x floor"],
                  f"USER, PASS, STAT, QUIT; user and system time of all processes of the server;"
                  f" {rounds} rounds in turns of {sessions} sessions, two at a time;"
                  " median (least..most).")
    with running(servers) as started:
        measure(1, started, lambda server: login_sessions(lab, server, user, 20))
        results = measure(rounds, started,
                          lambda server: login_sessions(lab, server, user, sessions))
    for server in started:
        table.add(server.name, cell(results.range(server.name)),
                  cell(results.ratio(server.name, "mailfront")),
                  cell(results.ratio(server.name, "floor")))
    table.tell_problems(results)
    ratio = results.ratio("pop3d", "mailfront")
    if ratio:
        table.goals.append(Goal(f"CPU of a login session, {title}, x mailfront", ratio, 0.42))
    return table


def session_programs(lab):
    """The programs that serve a user who has logged in, started in the home of the Maildir."""
    return {"pop3d --session": lab.program("pop3d") + " --session Maildir",
            "pop3front-maildir": shutil.which("pop3front-maildir", path="/usr/sbin:/usr/bin")
            + " Maildir"}


def table_sessions(lab):
    rounds, sessions = (6, 100) if lab.quick else (20, 300)
    programs = session_programs(lab)
    table = Table("CPU of the session program alone",
                  ["maildrop", "pop3d --session, ms", "pop3front-maildir, ms", "ratio"],
                  "No superserver, no front, no checker: the program started in the home, as its"
                  f" owner; STAT, QUIT; {rounds} rounds in turns of {sessions} sessions.")
    for title, user, kind in MAILBOXES:
        home = lab.home(lab.homes("shared"), user, **kind)
        found = {name: [] for name in programs}
        for name in alternate(rounds, list(programs)):
            figures = lab.load(scenario="login", sessions=sessions, at_once=2, logged_in=True,
                               start=programs[name], home=home)
            found[name].append((figures["user_s"] + figures["system_s"]) / sessions * 1e3)
        ours, theirs = (Range(values) for values in found.values())
        table.add(title, ours, theirs, ours.over(theirs))
    return table


def tables(lab):
    if os.path.exists("/usr/sbin/pop3front-maildir"):
        yield table_sessions(lab)
    for title, user, kind in MAILBOXES[:2] if lab.quick else MAILBOXES:
        yield table_logins(lab, title, user, kind)
