"""System calls of one session, by process, and which messages are opened before STAT."""
import os
import re
import shutil
import subprocess

from report import Goal, Range, Table
from servers import Mailfront, Pop3d, find

CALL = re.compile(r"^(?:\d+\.\d+ )?(\w+)\(")
PROGRAM = re.compile(r'execve\("([^"]+)", \[(.*?)\]')


def traced(lab, server, user, more=(), **options):
    """Runs one session of a per-connection program under strace, which can have more options.

    Returns the directory, which has a file for each process.
    """
    program, environment = server.program()
    directory = lab.at("run", "strace")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    strace = [find("strace", "strace"), "-ff", "-ttt", "-s", "64", *more, "-o",
              os.path.join(directory, "trace")]
    command = lab.load_command(None, {"start": " ".join(strace + program), "users": user,
                                      **options})
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lab.figures(done.stdout, done.stderr)
    return directory


def stage_name(line):
    path, arguments = PROGRAM.search(line).groups()
    name = os.path.basename(path)
    return name + " --session" if name == "pop3d" and '"--session"' in arguments else name


def stages(path):
    """The calls of a process, in the order of the programs that it was: [(stage, [lines])]."""
    found = [("forked", [])]
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not CALL.match(line):
                continue
            if PROGRAM.search(line) and line.rstrip().endswith("= 0"):
                found.append((stage_name(line), []))
            found[-1][1].append(line)
    return [stage for stage in found if stage[1]]


def processes(directory):
    """The stages of every process, the first process first."""
    names = sorted(os.listdir(directory), key=lambda name: int(name.rsplit(".", 1)[1]))
    return [stages(os.path.join(directory, name)) for name in names]


def most_frequent(lines, count=6):
    calls = {}
    for line in lines:
        name = CALL.match(line).group(1)
        calls[name] = calls.get(name, 0) + 1
    ordered = sorted(calls.items(), key=lambda item: -item[1])[:count]
    return ", ".join(f"{name} {number}" for name, number in ordered)


def table_calls(lab):
    shared = lab.homes("shared")
    lab.home(shared, 1, count=0)
    table = Table("System calls of a login session, empty maildrop",
                  ["server", "process", "stage", "calls", "most frequent"],
                  "USER, PASS, STAT, QUIT under strace; a process that becomes another program has"
                  " a stage for each.")
    for server in (Pop3d(lab, shared), Mailfront(lab, shared)):
        os.makedirs(server.directory, exist_ok=True)
        total = 0
        for number, process in enumerate(
                processes(traced(lab, server, 1, scenario="login")), start=1):
            for stage, lines in process:
                table.add(server.name, number, stage, len(lines), most_frequent(lines))
                total += len(lines)
        table.add(server.name, "all", "", total, "")
    return table


def opened_messages(directory):
    """(opened, tried) before the answer of STAT.

    These are calls that open a file of new/ or cur/, in all processes, up to the time at which the
    session sent its answer of STAT.
    """
    lines = []
    for process in processes(directory):
        for _, part in process:
            lines += part
    lines.sort(key=lambda line: float(line.split(" ", 1)[0]))
    opened = 0
    answers = 0
    for line in lines:
        call = CALL.match(line).group(1)
        if call in ("open", "openat") and re.search(r'"[^"]*\.M\d+P\d+Q\d+\.', line):
            opened += 1
        if call in ("write", "sendto") and re.search(r'\((?:1|0), "\+OK \d+ \d+\\r\\n"', line):
            answers += 1
            break
    if not answers:
        raise RuntimeError("the answer of STAT is not in the trace")
    return opened


def table_opened(lab):
    table = Table("Messages opened before the answer of STAT, 10,000 messages",
                  ["server", "sizes in the names", "opened before STAT's answer"],
                  "From strace of a whole session.")
    shared = lab.homes("shared")
    for names, user in (("SW", 21), ("plain", 22)):
        lab.home(shared, user, count=10000, size=1024, new=0, names=names)
        for server in (Pop3d(lab, shared), Mailfront(lab, shared)):
            os.makedirs(server.directory, exist_ok=True)
            opened = opened_messages(traced(lab, server, user, scenario="login"))
            table.add(server.name, "yes" if names == "SW" else "no", opened)
            if names == "SW" and server.name == "pop3d":
                table.goals.append(Goal("messages opened before STAT, sizes in the names",
                                        Range([opened]), 0))
    return table


def tables(lab):
    yield table_calls(lab)
    yield table_opened(lab)
