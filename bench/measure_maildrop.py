"""How long a login takes as the maildrop grows, and LIST and UIDL of a large maildrop."""
import os
import shutil
import time

import maildirs
import plot
from lab import OWNER, Failed
from report import Goal, Range, Table
from rounds import Results, alternate, cell, running
from servers import Courier, Dovecot, DovecotHp, Mailfront, Pop3d

SETTLED = 3  # Seconds. A directory that has just changed can change again with the same time.
WARM = 3  # Later logins that are measured after each first one.


def sizes(lab):
    return (10, 10000) if lab.quick else (10, 10000, 100000, 1000000)


def rounds_of(lab, count):
    """Fresh maildrops of each size, and fewer of those that take minutes to make."""
    if lab.quick:
        return 2
    return 3 if count <= 100000 else 1


def user_of(count, names):
    return {"SW": 3000, "plain": 4000}[names] + len(str(count))


def add_one(server, user, number):
    """A message arrives."""
    maildir = os.path.join(server.homes, f"u{user}", "Maildir")
    os.setegid(OWNER[1])
    os.seteuid(OWNER[0])
    try:
        maildirs.add_messages(maildir, maildirs.Maker(size=1024), number, 1, "SW", new=1)
    finally:
        os.seteuid(0)
        os.setegid(0)


def logins(lab, server, user, count, names, seed):
    """Milliseconds from PASS to the answer of STAT, by what the login was."""
    lab.load(server, scenario="login", users=1)  # The programs are in memory.
    home = os.path.join(server.homes, f"u{user}")
    maildirs.make_home(home, count, names, seed=seed, owner=OWNER, size=1024)
    time.sleep(SETTLED)
    found = {"first": [], "later": [], "list": [], "uidl": [], "one more": []}

    def login(kind, scenario="login"):
        figures = lab.load(server, scenario=scenario, users=user, timeout=600, patience=700)
        found[kind].append(figures["pass_to_stat_us"]["p50"] / 1e3)
        return figures
    login("first")
    time.sleep(SETTLED)  # QUIT may have moved messages.
    for _ in range(WARM):
        figures = login("later", "poll")
        found["list"].append(figures["list_us"]["p50"] / 1e3)
        found["uidl"].append(figures["uidl_us"]["p50"] / 1e3)
    if names == "SW":
        add_one(server, user, count)
        login("one more")
    return {kind: sorted(values)[len(values) // 2] for kind, values in found.items() if values}


def measure_size(lab, servers, count, names):
    """The results of one size, by (server, kind of login)."""
    results = Results()
    user = user_of(count, names)
    rounds = rounds_of(lab, count)
    for number, server in enumerate(alternate(rounds, servers)):
        if server.name in results.problems:
            continue
        try:
            for kind, value in logins(lab, server, user, count, names, number + 1).items():
                results.add((server.name, kind), value)
        except Failed as problem:
            results.fail(server.name, problem)
        if count > 100000:
            shutil.rmtree(os.path.join(server.homes, f"u{user}"))
    return results


def range_of(results, server, kind):
    return None if server in results.problems else results.range((server, kind))


def ratio_of(results, kind, server, other):
    one, two = range_of(results, server, kind), range_of(results, other, kind)
    return one.over(two) if one and two else None


def size_table(lab, servers, count, names):
    results = measure_size(lab, servers, count, names)
    with_names = "with sizes in the names" if names == "SW" else "names without sizes"
    table = Table(f"Login with {count:,} messages, {with_names}",
                  ["server", "first login ever", "later logins", "later, x mailfront",
                   "after one more message", "LIST", "UIDL"],
                  "Milliseconds from PASS to the answer of STAT; messages of 1 KiB, page cache"
                  f" warm; {rounds_of(lab, count)} fresh maildrops, whose last message came {SETTLED}"
                  f" seconds before; {WARM} later logins each, from {SETTLED} seconds after the"
                  " first one on.")
    for server in servers:
        first, later, more, scan, uids = (range_of(results, server.name, kind) for kind in
                                          ("first", "later", "one more", "list", "uidl"))
        table.add(server.name, cell(first), cell(later),
                  cell(ratio_of(results, "later", server.name, "mailfront")), cell(more),
                  cell(scan), cell(uids))
        if later:
            table.series[server.name] = (count, later.median)
    table.tell_problems(results)
    add_goals(table, results, count, names)
    return table


def add_goals(table, results, count, names):
    def goal(what, kind, other, bound):
        ratio = ratio_of(results, kind, "pop3d", other)
        if ratio:
            table.goals.append(Goal(f"{what}, {count:,} messages, x {other}", ratio, bound))
    if count >= 100000:
        if names == "SW":
            goal("first login ever, sizes in the names", "first", "mailfront", 0.6)
            goal("login after one new message", "one more", "mailfront", 0.4)
            goal("LIST", "list", "mailfront", 0.7)
            goal("UIDL", "uidl", "mailfront", 0.7)
        else:
            goal("first login ever, names without sizes", "first", "dovecot-hp", 0.6)
    if count >= 1000000:
        goal("later login", "later", "dovecot-hp", 0.01)


def plots(found):
    """Later logins over the number of messages, of all tables of one kind of names."""
    series = {}
    for table in found:
        for name, point in table.series.items():
            series.setdefault(name, []).append(point)
    if len(found) < 2 or not series:
        return {}
    return {"login": plot.lines("Login of a user who was here before", "messages in the maildrop",
                                "ms from PASS to the answer of STAT", series)}


def growth_goal(found):
    """The later login of the largest maildrop against that of the smallest."""
    few, many = found[0].series.get("pop3d"), found[-1].series.get("pop3d")
    if few and many:
        found[-1].goals.append(Goal(
            f"later login, {many[0]:,} messages, x that of {few[0]}",
            Range([many[1] / few[1]]), 3))


def servers_for(started, count):
    """Of large maildrops, only the servers that goals are set against; others need minutes for a
    login.
    """
    if count <= 10000:
        return started
    names = ["pop3d", "dovecot-hp"] + ["mailfront"] * (count <= 100000)
    return [server for server in started if server.name in names]


def tables(lab):
    kinds = [Pop3d, Mailfront] if lab.quick else [Pop3d, Mailfront, Dovecot, DovecotHp, Courier]
    servers = [kind(lab) for kind in kinds]
    for server in servers:
        lab.home(server.homes, 1, count=10)
        for names in ("SW", "plain"):
            for count in sizes(lab):  # So that the list of users is complete at the start.
                os.makedirs(os.path.join(server.homes, f"u{user_of(count, names)}"), exist_ok=True)
    with running(servers) as started:
        found = []
        for count in sizes(lab):
            found.append(size_table(lab, servers_for(started, count), count, "SW"))
            if count == sizes(lab)[-1]:
                growth_goal(found)
                found[-1].plots.update(plots(found))
            yield found[-1]
        count = 10000 if lab.quick else 100000
        yield size_table(lab, servers_for(started, count), count, "plain")
