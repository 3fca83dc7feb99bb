"""How fast one large message is sent, compared with cat, and how much memory that takes."""
import os

import plot
from meters import MemorySampler
from report import Goal, Range, Table
from rounds import cell, measure, running
from servers import Cat, Courier, DovecotHp, Mailfront, Pop3d

MESSAGES = [
    ("text, LF", 11, {"body": "text"}),
    ("base64, LF", 12, {"body": "base64"}),
    ("base64, CRLF", 13, {"body": "base64", "crlf": True}),
]


def second_name(lab, home, user):
    """The message under a name that no session changes, which cat reads."""
    path = lab.at("run", f"message-{user}")
    for sub in ("new", "cur"):
        directory = os.path.join(home, "Maildir", sub)
        for name in os.listdir(directory):
            if not os.path.exists(path):
                os.link(os.path.join(directory, name), path)
    return path


def rate(lab, server, user, octets):
    """Octets of the file for a second, in MB.

    For cat from the first octet to the end of file, for a server from RETR to the last octet of its
    answer.
    """
    if isinstance(server, Cat):
        seconds = lab.load(server, scenario="raw")["raw_s"]
    else:
        seconds = lab.load(server, scenario="retr", unchecked=True, users=user)["retr_s"]
    return octets / seconds / 1e6


def table_rates(lab, title, user, size, kinds, **mail):
    """How fast a message is sent, by cat and by each of the kinds of servers."""
    shared = lab.homes("shared")
    home = lab.home(shared, user, count=1, size=size, new=0, **mail)
    servers = [Cat(lab, second_name(lab, home, user))]
    for kind in kinds:
        own = kind not in (Pop3d, Mailfront)
        servers.append(kind(lab) if own else kind(lab, shared))
        lab.home(servers[-1].homes, user, count=1, size=size, new=0, **mail)
    rounds = 5 if lab.quick else 9
    table = Table(f"RETR of {size >> 20} MiB, {title}", ["server", "MB/s", "x cat"],
                  "Octets of the file a second; cat by the same tcpserver into the same kind of"
                  f" socket, nothing looks at the octets; {rounds} rounds in turns.")
    with running(servers) as started:
        measure(1, started, lambda server: rate(lab, server, user, size))
        results = measure(rounds, started, lambda server: rate(lab, server, user, size))
    for server in started:
        ratio = results.ratio(server.name, "cat")
        table.add(server.name, cell(results.range(server.name)), cell(ratio))
        if ratio:
            table.series[server.name] = ratio.median
    table.tell_problems(results)
    ratio = results.ratio("pop3d", "cat")
    if ratio:
        table.goals.append(Goal(f"RETR of {size >> 20} MiB, {title}, x cat", ratio, 0.8,
                                at_least=True))
    return table


def process_name(line, is_first):
    """The role of a process of pop3d: a checker becomes the session in the same process."""
    program = os.path.basename(line[0])
    if program != "pop3d":
        return program if program == "checkpw" else None
    if "--session" in line:
        return "session"
    return "monitor" if is_first else "greeter"


def sampled(lab, server, user):
    """Private memory of each process of a session in the course of a RETR."""
    sampler = MemorySampler(server.process.pid, process_name)
    sampler.start()
    try:
        lab.load(server, scenario="retr", unchecked=True, users=user)
    finally:
        seen = sampler.stop()
    return seen


def table_memory(lab, messages, size):
    shared = lab.homes("shared")
    table = Table(f"Private memory in the course of RETR of {size >> 20} MiB",
                  ["server", "message", "process", "kB, most", "kB, median", "looks"],
                  "Private_Clean and Private_Dirty of /proc/PID/smaps_rollup, looked at every two"
                  " milliseconds.")
    most = 0
    for title, user, mail in messages:
        lab.home(shared, user, count=1, size=size, new=0, **mail)
        with running([Pop3d(lab, shared)]) as started:
            for server in started:
                for name, values in sorted(sampled(lab, server, user).items()):
                    table.add(server.name, title, name, max(values), Range(values).median,
                              len(values))
                    most = max(most, max(values) if name == "session" else 0)
    table.goals.append(Goal("private memory of a session in the course of RETR", Range([most]),
                            1023, unit=" kB"))
    return table


def tables(lab):
    size = 200 << 20
    kinds = [Pop3d, Mailfront] + ([] if lab.quick else [DovecotHp, Courier])
    for title, user, mail in MESSAGES[:2] if lab.quick else MESSAGES:
        table = table_rates(lab, title, user, size, kinds, **mail)
        if title == "base64, LF" and table.series:
            table.plots["retr"] = plot.bars(f"RETR of {size >> 20} MiB, {title}", "x cat",
                                            table.series)
        yield table
    # A size in the name has to be verified before it is promised to the client.
    yield table_rates(lab, "base64, LF, size in the name", 14, size, kinds[:2], body="base64",
                      names="SW")
    if lab.quick:
        yield table_memory(lab, MESSAGES, size)
        return
    huge = [(title, user + 4, mail) for title, user, mail in MESSAGES]
    for title, user, mail in huge + [("base64, LF, size in the name", 18,
                                      {"body": "base64", "names": "SW"})]:
        yield table_rates(lab, title, user, 1 << 30, kinds[:2], **mail)
    yield table_memory(lab, huge, 1 << 30)
