"""Sessions a second, many messages in a session, and whether a reply ever has to wait."""
from report import Goal, Range, Table
from rounds import cell, measure, running
from servers import (Courier, Dovecot, DovecotHp, Floor, Mailfront, MailfrontNoDelay,
                     Pop3d)


def kinds(lab):
    return [Pop3d, Mailfront] if lab.quick else [Pop3d, Mailfront, Dovecot, DovecotHp, Courier]


def table_sessions(lab, at_once):
    servers = [kind(lab) for kind in kinds(lab) + [Floor]]
    for server in servers:
        for user in range(401, 421):
            lab.home(server.homes, user, count=0)
    rounds, sessions = (6, 200) if lab.quick else (15, 600)
    table = Table(f"Logins a second, {at_once} at a time",
                  ["server", "sessions/s", "x mailfront", "ms a session, median",
                   "ms a session, 99 %"],
                  f"USER, PASS, STAT, QUIT, empty maildrops; {rounds} rounds in turns of {sessions}"
                  " sessions.")

    def once(server):
        figures = lab.load(server, scenario="login", sessions=sessions, at_once=at_once,
                           users="401-420")
        server.await_quiet()
        return {"rate": sessions / figures["elapsed_s"],
                "median": figures["session_us"]["p50"] / 1e3,
                "late": figures["session_us"]["p99"] / 1e3}
    with running(servers) as started:
        measure(1, started, once)
        results = measure(rounds, started, once)

    def found(name, kind):
        return None if name in results.problems else results.range((name, kind))
    base = found("mailfront", "rate")
    for server in started:
        rate = found(server.name, "rate")
        table.add(server.name, cell(rate), cell(rate.over(base) if rate and base else None),
                  cell(found(server.name, "median")), cell(found(server.name, "late")))
    table.tell_problems(results)
    ours = found("pop3d", "rate")
    if at_once > 1:
        for other, bound in (("mailfront", 2.2), ("dovecot", 5)):
            theirs = found(other, "rate")
            if ours and theirs:
                table.goals.append(Goal(f"sessions/s, {at_once} at a time, x {other}",
                                        ours.over(theirs), bound, at_least=True))
    return table


def table_messages(lab):
    # The other servers take 40 ms for each message: see the slowest replies.
    servers = [kind(lab) for kind in
               [Pop3d, MailfrontNoDelay] + ([] if lab.quick else [Dovecot, DovecotHp])]
    for server in servers:
        lab.home(server.homes, 31, count=1000, size=8192, new=0, names="SW")
    rounds = 3 if lab.quick else 9
    table = Table("RETR of 1,000 messages of 8 KiB in one session",
                  ["server", "MB/s", "x pop3d", "ms to the first line, 99 %"],
                  "Octets on the wire; every line looked at; one command at a time;"
                  f" {rounds} rounds in turns.")

    def once(server):
        figures = lab.load(server, scenario="retr", users=31)
        return {"rate": figures["retr_octets"] / figures["retr_s"] / 1e6,
                "late": figures["retr_first_us"]["p99"] / 1e3}
    with running(servers) as started:
        measure(1, started, once)
        results = measure(rounds, started, once)

    def found(name, kind):
        return None if name in results.problems else results.range((name, kind))
    base = found("pop3d", "rate")
    for server in started:
        rate = found(server.name, "rate")
        table.add(server.name, cell(rate), cell(rate.over(base) if rate and base else None),
                  cell(found(server.name, "late")))
    table.tell_problems(results)
    other = found("dovecot-hp", "rate")
    if base and other:
        table.goals.append(Goal("RETR of 1,000 messages of 8 KiB, x dovecot-hp", base.over(other),
                                1.3, at_least=True))
    return table


def table_stall(lab):
    """A reply in two small pieces waits 40 ms for the acknowledgement of the first."""
    servers = [kind(lab) for kind in kinds(lab)]
    messages = 25
    for server in servers:
        lab.home(server.homes, 32, count=messages, size=2048, new=0, names="SW")
    sessions = 10
    table = Table(f"The slowest replies, {messages} messages",
                  ["server", "LIST, ms", "UIDL, ms", "TOP, ms", "RETR, ms"],
                  f"The slowest of {sessions} sessions; where one takes 40 ms, its last piece"
                  " waited for the client to acknowledge the one before.")
    slowest = 0
    with running(servers) as started:
        def once(server):
            poll = lab.load(server, scenario="poll", sessions=sessions, users=32)
            top = lab.load(server, scenario="top", sessions=1, users=32)
            retr = lab.load(server, scenario="retr", sessions=1, users=32)
            return {"list": poll["list_us"]["max"] / 1e3, "uidl": poll["uidl_us"]["max"] / 1e3,
                    "top": top["top_us"]["max"] / 1e3, "retr": retr["retr_us"]["max"] / 1e3}
        results = measure(1, started, once)
    for server in started:
        values = [None if server.name in results.problems else results.range((server.name, kind))
                  for kind in ("list", "uidl", "top", "retr")]
        table.add(server.name, *map(cell, values))
        if server.name == "pop3d" and all(values):
            slowest = max(value.median for value in values)
    table.tell_problems(results)
    table.goals.append(Goal("the slowest reply of all", Range([slowest]), 39, unit=" ms"))
    return table


def tables(lab):
    if not lab.quick:
        yield table_sessions(lab, 1)
    yield table_sessions(lab, 20)
    yield table_messages(lab)
    yield table_stall(lab)
