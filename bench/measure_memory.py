"""Memory of waiting sessions: many of them, and one on a large maildrop."""
import subprocess
import time

import plot
from measure_maildrop import SETTLED
from meters import tree_memory
from report import Goal, Range, Table
from rounds import cell, measure, running
from servers import Courier, Dovecot, DovecotHp, Floor, Mailfront, Pop3d

FEW = 10  # Messages in each of the many maildrops.
FIRST = 101  # Users of the many sessions.


def held(lab, server, sessions, users):
    """The memory of the server's processes with so many sessions logged in, and with none."""
    server.await_quiet()
    idle = tree_memory(server.process.pid)
    command = lab.load_command(server, {"scenario": "idle", "sessions": sessions, "users": users,
                                        "timeout": 120})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as load:
        said = load.stderr.readline()
        time.sleep(0.5)
        busy = tree_memory(server.process.pid)
        load.stdin.close()
        stdout, stderr = load.stdout.read(), said + load.stderr.read()
    lab.figures(stdout, stderr)
    return idle, busy


def table_many(lab, servers):
    sessions, rounds = (40, 1) if lab.quick else (200, 3)
    users = f"{FIRST}-{FIRST + sessions - 1}"
    for server in servers:
        for user in range(FIRST, FIRST + sessions):
            lab.home(server.homes, user, count=0 if server.name == "floor" else FEW)
    table = Table(f"Memory of {sessions} idle sessions",
                  ["server", "processes a session", "kB PSS a session, in all",
                   "kB private a session"],
                  f"{FEW} messages in each maildrop; sums of /proc/PID/smaps_rollup over all"
                  " processes of the server, divided by the sessions.")

    def once(server):
        idle, busy = held(lab, server, sessions, users)
        return {"processes": (busy["processes"] - idle["processes"]) / sessions,
                "pss": busy["pss"] / sessions,
                "private": (busy["private"] - idle["private"]) / sessions}
    with running(servers) as started:
        for server in started:
            lab.load(server, scenario="login", sessions=sessions, at_once=4, users=users)
        results = measure(rounds, started, once)
    for server in started:
        table.add(server.name, *(cell(None if server.name in results.problems else
                                      results.range((server.name, kind)))
                                 for kind in ("processes", "pss", "private")))
        if server.name not in results.problems:
            table.series[server.name] = results.range((server.name, "pss")).median
    table.tell_problems(results)
    if table.series:
        table.plots["memory"] = plot.bars(f"Memory of {sessions} idle sessions, each", "kB PSS",
                                          table.series)
    if "pop3d" in table.series:
        table.goals.append(Goal(f"PSS of {sessions} idle sessions, each",
                                results.range(("pop3d", "pss")), 110, unit=" kB"))
    return table


def table_large(lab, servers):
    count = 10000 if lab.quick else 100000
    for server in servers:
        lab.home(server.homes, 51, count=count, size=1024, names="SW")
    table = Table(f"Memory of a session on {count:,} messages",
                  ["server", "kB private", "kB PSS"],
                  "What one session adds, after earlier logins, the last of them 3 seconds before.")

    def once(server):
        idle, busy = held(lab, server, 1, 51)
        return {kind: max(0, busy[kind] - idle[kind]) for kind in ("private", "pss")}
    with running(servers) as started:
        for _ in range(2):  # The first QUIT moves messages.
            time.sleep(SETTLED)
            for server in started:
                lab.load(server, scenario="login", sessions=1, users=51)
        time.sleep(SETTLED)
        results = measure(1 if lab.quick else 3, started, once)
    for server in started:
        table.add(server.name, *(cell(None if server.name in results.problems else
                                      results.range((server.name, kind)))
                                 for kind in ("private", "pss")))
    table.tell_problems(results)
    private = results.range(("pop3d", "private"))
    if private:
        table.goals.append(Goal(f"private memory of a session on {count:,} messages",
                                Range(private.values), 400, unit=" kB"))
    return table


def tables(lab):
    kinds = [Pop3d, Mailfront]
    if not lab.quick:
        kinds += [Dovecot, DovecotHp, Courier]
    yield table_many(lab, [kind(lab) for kind in kinds + [Floor]])
    yield table_large(lab, [kind(lab) for kind in kinds])
