"""A greeter under the control of an attacker: what it can send to the monitor, and what it gains.

tests/support/hostile-greeter.c is pop3d with another greeter.
"""
import os
import re
import time

import pytest

import harness
import jail
from harness import ROOT, retry_until
from launch import LETS_IN, READS, Script

SEED = 20261122
MESSAGES = 100000
PROCESSES = 2
CONNECTIONS = 14000  # For each process. A connection has almost four messages on average.
CREDENTIALS_OCTETS = 512
LENGTHS = 2001
TRIES = 3
GRACE = 5  # Seconds after the login time-out until the monitor ends a greeter that stays.


@pytest.fixture(scope="session")
def hostile(programs):
    return jail.build_doubles(programs)["hostile-greeter"]


@pytest.fixture(params=["root", "user"] if ROOT else ["user"])
def uid(request):
    return None if request.param == "root" else harness.MAIL_UID


# -- a storm of messages


def check_credentials(octets):
    """What a checker can be given: "login NUL password NUL timestamp NUL", bounded."""
    assert len(octets) <= CREDENTIALS_OCTETS, octets
    assert octets.endswith(b"\0") and octets.count(b"\0") == 3, octets
    login, password, timestamp, _ = octets.split(b"\0")
    assert login and password, octets
    assert not set(b"\r\n") & set(login + password), octets
    assert re.fullmatch(rb"<[!-;=?-~]+@[!-;=?-~]+>", timestamp), octets


def start_storm(lab, home, hostile, number):
    record = f"{home.path}.record{number}"
    with open(record, "wb"):
        pass
    os.chmod(record, 0o666)
    checker = [jail.compile_program(lab, "record-checkpw"), record]
    server = jail.start_program(
        lab, hostile, home, "--pass-env", "CONNECTION", "--apop", "--login-timeout", "20",
        checker=checker, env={"HOSTILE": f"storm {SEED + number} {CONNECTIONS}"})
    return server, record


def test_any_message_gets_nothing_run_but_three_checkers(lab, home, hostile):
    begin = time.monotonic()
    storms = [start_storm(lab, home, hostile, number) for number in range(PROCESSES)]
    sent = taken = permitted = runs = 0
    for server, record in storms:
        assert server.process.wait(120) == 0, server.report()
        log = os.pread(server.log_file.fileno(), 1 << 30, 0).decode("latin-1")
        found = re.search(r"^storm (.*)$", log, re.MULTILINE)
        assert found, log[-2000:]
        counts = {name: int(value) for name, value in
                  (pair.split("=") for pair in found[1].split())}
        assert counts["connections"] == CONNECTIONS
        assert counts["lengths"] == LENGTHS, counts  # Every length from 0 to 2000 was sent.
        for name in ("too-many", "slow", "died", "left-behind"):
            assert counts[name] == 0, f"seed {SEED}: {counts}"
        sent += counts["sent"]
        permitted += counts["permitted"]
        taken += counts["permitted"] + log.count("greeter-misbehaves")
        per_connection = {}
        with open(record, encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if not fields:
                    continue
                runs += 1
                if fields[-1] != ".":  # It was killed while it wrote.
                    continue
                connection, octets, _ = fields
                check_credentials(bytes.fromhex(octets))
                per_connection[connection] = per_connection.get(connection, 0) + 1
        assert per_connection and max(per_connection.values()) == TRIES
    print(f"\nseeds {SEED} to {SEED + PROCESSES - 1}: {sent} messages in "
          f"{PROCESSES * CONNECTIONS} connections, {taken} judged, {permitted} permitted, "
          f"{runs} checkers run, {time.monotonic() - begin:.1f} s")
    assert sent >= MESSAGES, "more connections are needed for that many messages"
    assert runs <= permitted


# -- plots, from inside the greeter's own jail


def start_plot(lab, home, hostile, uid, plot, *options, checker=None):
    return jail.start_program(lab, hostile, home, "--login-timeout", "1", *options, uid=uid,
                              checker=checker, transport="tcp", env={"HOSTILE": plot})


def seconds_to_end(server, most):
    """Waits for the end of all processes, while the client stays. Returns how long that took."""
    begin = time.monotonic()
    ended = retry_until(lambda: not server.processes(), most)
    assert ended, f"still there after {most} s: {server.processes()}\n{server.report()}"
    return time.monotonic() - begin


def test_a_greeter_that_does_not_end_is_ended(lab, home, hostile):
    plots = ["ignore-deadline", "close-and-stay", "send-nothing-and-stay"]
    uids = [None, harness.MAIL_UID] if ROOT else [harness.MAIL_UID]
    servers = [start_plot(lab, home, hostile, uid, plot) for plot in plots for uid in uids]
    for server in servers:
        seconds_to_end(server, 1 + GRACE + 2)


@pytest.mark.parametrize("plot", ["stay-when-granted", "read-on-when-granted"])
def test_a_greeter_that_stays_when_somebody_is_let_in_is_ended(lab, home, uid, hostile, plot):
    """Otherwise the greeter would hear and speak for the user whose session it is."""
    home.add_seeds()
    server = start_plot(lab, home, hostile, uid, plot)
    assert server.line() == "+OK 4 messages (2007 octets)", server.report()
    left = retry_until(lambda: len(server.processes()) == 2, GRACE)
    assert left, f"monitor, greeter and session: {server.processes()}\n{server.report()}"
    assert server.ask("STAT") == "+OK 4 2007", server.report()
    assert server.quit().startswith("+OK"), server.report()


@pytest.mark.parametrize("plot", ["talk-while-checked", "flood-while-checked"])
def test_a_greeter_that_talks_while_a_checker_runs_ends_everything(lab, home, uid, hostile, plot):
    checker = Script(home, READS + "echo >>@NOTES@/runs\nsleep 1000\n")
    server = start_plot(lab, home, hostile, uid, plot, "--login-timeout", "60",
                        checker=[checker.path])
    checker.wait_for("runs")
    seconds_to_end(server, 3)
    assert checker.note("runs") == b"\n", server.report()


def test_a_greeter_cannot_cut_the_delay_short(lab, home, uid, hostile):
    checker = Script(home, READS + "echo >>@NOTES@/runs\nexit 1\n")
    server = start_plot(lab, home, hostile, uid, "talk-in-delay", "--fail-delay", "2",
                        "--login-timeout", "60", checker=[checker.path])
    checker.wait_for("runs")
    begin = time.monotonic()
    again = retry_until(lambda: checker.note("runs") != b"\n" or not server.processes(), 4)
    assert checker.note("runs") == b"\n" or time.monotonic() - begin > 1.5, \
        f"a second try {time.monotonic() - begin:.1f} s after the first\n{server.report()}"
    assert again, server.report()


def test_a_greeter_gets_three_tries(lab, home, uid, hostile):
    checker = Script(home, READS + "echo >>@NOTES@/runs\nexit 1\n")
    server = start_plot(lab, home, hostile, uid, "four-tries", "--login-timeout", "60",
                        checker=[checker.path])
    seconds_to_end(server, 5)
    assert checker.note("runs") == b"\n" * TRIES, server.report()
    assert "greeter-misbehaves" in server.log(), server.report()


def test_a_checker_that_lets_in_does_so_once(lab, home, uid, hostile):
    """The fourth request comes from a greeter whose first request was granted."""
    checker = Script(home, "echo >>@NOTES@/runs\n" + LETS_IN)
    home.add_seeds()
    server = start_plot(lab, home, hostile, uid, "four-tries", checker=[checker.path])
    assert server.line() == "+OK 4 messages (2007 octets)", server.report()
    retry_until(lambda: len(server.processes()) == 2, GRACE)
    server.quit()
    assert checker.note("runs") == b"\n", server.report()
