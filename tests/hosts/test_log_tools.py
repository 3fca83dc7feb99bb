"""The lnav format and the mtail program of doc/examples, with the real tools on real log lines."""
import csv
import io
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from launch import LETS_IN, READS, TREE, Script, find_program
from test_logs import LOGINS, as_multilog, as_rfc3339, as_syslog, try_logins

EXAMPLES = os.path.join(TREE, "doc", "examples")
MESSAGES = 5
_lines = []


def as_tai64nlocal(line):
    """A log of multilog, made readable by tai64nlocal."""
    return time.strftime("%Y-%m-%d %H:%M:%S.187461436 ", time.localtime()) + line


FORMS = {"syslog": as_syslog, "rfc3339": as_rfc3339, "multilog": as_multilog,
         "tai64nlocal": as_tai64nlocal, "without-times": lambda line: line}


def converse(lab, home, *commands, end="QUIT"):
    """A session with these commands. Returns the lines that the server logged."""
    server = lab.login(home, "--allow-cleartext", transport="tcp")
    assert server.line().startswith("+OK"), server.report()
    for command in commands:
        assert server.ask(command).startswith("+OK"), server.report()
        if command.startswith("RETR"):
            server.body()
    if end is None:
        server.shutdown()
    else:
        server.ask(end)
    server.ended()
    return server.log().splitlines()


@pytest.fixture
def lines(lab, home):
    """Log lines of pop3d: two sessions, and failed logins with misleading names."""
    made = []
    if not _lines:
        for number in range(MESSAGES):
            home.maildir.add(f"{number}.a", b"Subject: x\n\nbody %d\n" % number)
        made.extend(converse(lab, home, "RETR 1", "RETR 2", "DELE 1", "DELE 3"))
        made.extend(converse(lab, home, "RETR 1", end=None))
        refuses = Script(home, READS + "exit 1\n")
        for server in try_logins(lab, home, refuses, LOGINS, transport="tcp"):
            made.extend(server.log().splitlines())
        # names that look like keys, in lines of logins and of sessions
        lets_in = Script(home, "USER='x reason=eof sent=9 dele=9/9'\nexport USER\n" + LETS_IN, "lets-in")
        server = lab.serve(home, "--allow-cleartext", checker=[lets_in.path], transport="tcp")
        server.line()
        server.ask("USER x sent=9 tls=yes")
        assert server.ask("PASS x").startswith("+OK"), server.report()
        server.ask("QUIT")
        server.ended()
        made.extend(server.log().splitlines())
        _lines.extend(made)
    return list(_lines)


def value(line, key):
    """The value of a key, found by reading the line from its beginning."""
    pairs = dict(re.findall(r' ([a-z0-9-]+)=("[^"]*"|[^\s"]*)', line))
    return pairs.get(key)


def expected(lines):
    """What the tools have to count."""
    def of(event):
        return [line for line in lines if re.match(rf"pop3d\S*\[\d+\]: {event} ", line)]

    ends = of("logout")
    # what the fixture did is what the log says
    assert len(of("login")) == len(ends) == 3 and len(of("login-failed")) == len(LOGINS)
    assert [value(line, "dele").split("/")[0] for line in ends] == ["2", "0", "0"]
    assert [value(line, "reason") for line in ends] == ["quit", value(ends[1], "reason"), "quit"]
    assert value(ends[1], "reason") in ("eof", "broken")
    return {"logins": len(of("login")), "failures": len(of("login-failed")),
            "sent": sum(int(value(line, "sent")) for line in ends),
            "retrieved": sum(int(value(line, "retr").split("/")[0]) for line in ends),
            "deleted": sum(int(value(line, "dele").split("/")[0]) for line in ends),
            "deleted octets": sum(int(value(line, "dele").split("/")[1]) for line in ends)}


def write(path, add_time, lines):
    with open(path, "w", encoding="latin-1") as file:
        file.writelines(add_time(line) + "\n" for line in lines)


# -- mtail


def metrics(path, tmp_path):
    """Metric -> label -> value of what mtail counts in a log; without a label it is ""."""
    program = find_program("mtail", "mtail")
    # port 0: tests that run at the same time must not meet at mtail's own
    done = subprocess.run([program, "--one_shot", "--address", "127.0.0.1", "--port", "0",
                           "--progs", os.path.join(EXAMPLES, "pop3d.mtail"), "--logs", path,
                           "--log_dir", str(tmp_path)], capture_output=True, text=True,
                          check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for name, variants in json.loads(done.stdout).items():
        for entry in variants[0].get("LabelValues") or []:
            label = (entry.get("Labels") or [""])[0]
            found.setdefault(name, {})[label] = entry["Value"]["Value"]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_mtail_counts_what_happened(lines, tmp_path, form):
    want = expected(lines)
    path = str(tmp_path / "mail.log")
    write(path, FORMS[form], lines)
    got = metrics(path, tmp_path)
    assert got["pop3d_logins_total"] == {"no": want["logins"]}
    assert got["pop3d_login_failures_total"] == {"": want["failures"]}
    assert got["pop3d_octets_sent_total"] == {"": want["sent"]}
    assert got["pop3d_messages_retrieved_total"] == {"": want["retrieved"]}
    assert got["pop3d_messages_deleted_total"] == {"": want["deleted"]}
    assert got["pop3d_octets_deleted_total"] == {"": want["deleted octets"]}
    assert sum(got["pop3d_sessions_total"].values()) == want["logins"]
    assert sum(got["pop3d_events_total"].values()) == len(lines)


def test_mtail_counts_no_line_of_a_checker(tmp_path):
    """The checker shares the log, as under tcpserver, and repeats what the client typed."""
    path = str(tmp_path / "mail.log")
    forged = "pop3d[1]: login-failed ip=203.0.113.66 port=1 user=x"
    shared = [f"unknown {forged}", f"auth: user {forged}", f'"{forged}"']
    write(path, as_multilog, shared)
    write(path + "2", lambda line: line, shared)
    for name in (path, path + "2"):
        assert metrics(name, tmp_path).get("pop3d_events_total", {}) == {}


def test_mtail_counts_handshakes_that_failed(tmp_path):
    path = str(tmp_path / "mail.log")
    write(path, as_syslog, [
        'pop3d-tls[1]: tls-failed ip=192.0.2.7 reason="not-tls" session=a',
        'pop3d[2]: tls-failed ip=192.0.2.7 reason="alert: unknown CA"',
        "pop3d-tls[3]: tls-failed ip=192.0.2.7 reason=not-tls"])
    assert metrics(path, tmp_path)["pop3d_tls_failures_total"] == {"not-tls": 2, "alert": 1}


# -- lnav


def query(path, tmp_path, sql):
    """The rows of a query in lnav, as dictionaries."""
    program = find_program("lnav", "lnav")
    formats = tmp_path / "lnav" / "formats" / "pop3d"
    formats.mkdir(parents=True, exist_ok=True)
    shutil.copy(os.path.join(EXAMPLES, "pop3d.lnav.json"), formats)
    environment = {**os.environ, "HOME": str(tmp_path), "TERM": "dumb"}
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run([program, "-n", "-I", str(tmp_path / "lnav"), "-c", f";{sql}", "-c",
                           ":write-csv-to -", path], capture_output=True, text=True, check=False,
                          env=environment)
    assert done.returncode == 0 and "error" not in done.stderr, done.stdout + done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.parametrize("form", ["syslog", "rfc3339", "tai64nlocal"])
def test_lnav_counts_what_happened(lines, tmp_path, form):
    want = expected(lines)
    path = str(tmp_path / "mail.log")
    write(path, FORMS[form], lines)
    rows = query(path, tmp_path, "SELECT count(*) AS lines, sum(event = 'login') AS logins, "
                 "sum(event = 'login-failed') AS failures, sum(sent) AS sent, "
                 "sum(retr) AS retrieved, sum(dele) AS deleted, sum(dele_octets) AS octets "
                 "FROM pop3d_log")
    assert [{name: int(text) for name, text in row.items()} for row in rows] == [{
        "lines": len(lines), "logins": want["logins"], "failures": want["failures"],
        "sent": want["sent"], "retrieved": want["retrieved"], "deleted": want["deleted"],
        "octets": want["deleted octets"]}]


def test_lnav_follows_an_address_and_knows_levels(lines, tmp_path):
    path = str(tmp_path / "mail.log")
    write(path, as_syslog, [*lines, "pop3d[1]: maildrop-unusable errno=2 error=\"No such file or "
                            "directory\" maildir=/nonexistent at=/nonexistent"])
    rows = query(path, tmp_path, "SELECT log_level, event, count(*) AS n, min(ip) AS ip "
                 "FROM pop3d_log GROUP BY event")
    level = {row["event"]: row["log_level"] for row in rows}
    assert level["maildrop-unusable"] == "error" and level["login-failed"] == "warning"
    assert level["login"] == "info"
    assert {row["ip"] for row in rows if row["event"] == "login"} == {"127.0.0.1"}
    accounts = query(path, tmp_path, "SELECT account, session FROM pop3d_log "
                     "WHERE event = 'logout'")
    assert accounts == [{"account": value(line, "account"), "session": value(line, "session")}
                        for line in lines if re.match(r"pop3d\[\d+\]: logout ", line)]
    users = query(path, tmp_path, "SELECT user FROM pop3d_log WHERE event = 'login-failed'")
    assert [row["user"] for row in users] == [
        value(line, "user") for line in lines if re.match(r"pop3d\[\d+\]: login-failed ", line)]
