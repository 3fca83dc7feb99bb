"""Clients that vanish, stall or flood, and processes that are killed: mail stays, no process does."""
import concurrent.futures
import os
import shutil
import signal
import socket
import struct
import time

import pytest

import harness
from harness import HOST, logged_in

TRANSPORTS = ["socketpair", "pipes", "tcp"]
SOON = 5  # Seconds after which everything must have ended.
SLACK = 300000  # Octets by which the memory of a process may grow, fewer than any line in these tests.
BIG = b"Subject: big\n\n" + b"0123456789 line of a big message\n" * 400000


def memory_peak(pid):
    """The largest resident set that a process ever had, in octets."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


# -- the end of input

PREFIX_SESSION = b"RETR 1\r\nDELE 1\r\nNOOP\r\nDELE 2\r\nQUIT\r\n"
PREFIX_LOGIN = b"USER kermit\r\nPASS geheim\r\n"


def end_after(lab, form, transport, octets, closing):
    """A client sends this much of a session and leaves. Returns whether mail was touched."""
    home = harness.Home(lab)
    try:
        home.add_seeds()
        before = home.maildir.state()
        server = lab.session(home, transport=transport) if form == "session" else \
            lab.serve(home, transport=transport)
        server.send(octets)
        if closing == "shutdown":
            server.shutdown()
            server.exchange(b"", lambda: False)
        elif closing == "reset":
            with socket.socket(fileno=os.dup(server.out_fd)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            server.close()
        else:
            server.close()
        server.ended()
        after = home.maildir.state()
        kept = {entry[1:3] for entry in before.values()} == {entry[1:3] for entry in after.values()}
        return after != before, not kept
    finally:
        shutil.rmtree(home.path)


def end_after_every_prefix(lab, form, transport, closing, step=1):
    whole = (PREFIX_LOGIN if form == "serve" else b"") + PREFIX_SESSION
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = {length: pool.submit(end_after, lab, form, transport, whole[:length], closing)
                for length in range(0, len(whole), step)}
        for length, run in runs.items():
            assert run.result() == (False, False), f"touched mail after {whole[:length]!r}"
    return whole


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("form", ["session", "serve"])
def test_end_of_input_after_any_prefix_deletes_nothing(lab, form, transport):
    whole = end_after_every_prefix(lab, form, transport, "shutdown")
    assert end_after(lab, form, transport, whole, "shutdown") == (True, True), "QUIT did nothing"
    assert end_after(lab, form, transport, whole[:-2] + b"\n", "shutdown") == (True, True)


@pytest.mark.parametrize("form,transport,closing", [
    ("session", "socketpair", "close"), ("session", "pipes", "close"), ("serve", "socketpair", "close"),
    ("session", "tcp", "reset"), ("serve", "tcp", "reset")])
def test_client_gone_after_any_prefix_deletes_nothing(lab, form, transport, closing):
    end_after_every_prefix(lab, form, transport, closing)


# -- clients that do not read

@pytest.mark.parametrize("transport", TRANSPORTS)
def test_client_that_stops_reading_is_dropped_after_the_idle_timeout(lab, home, transport):
    home.maildir.add("1.a", b"small\n")
    home.maildir.add("2.b", BIG)
    before = home.maildir.state()
    server = logged_in(lab, home, "--idle-timeout", "1", transport=transport)
    started = time.monotonic()
    server.send(b"DELE 1\r\nRETR 2\r\nQUIT\r\n")
    server.ended(SOON)
    assert time.monotonic() - started > 0.9
    assert home.maildir.state() == before


def test_client_that_stops_reading_after_the_login_is_dropped(lab, home):
    home.maildir.add("1.a", BIG)
    server = lab.login(home, "--idle-timeout", "1")
    server.line()
    before = home.maildir.state()
    server.send(b"RETR 1\r\n" * 5 + b"DELE 1\r\nQUIT\r\n")
    server.ended(SOON)
    assert home.maildir.state() == before


@pytest.mark.parametrize("transport,octets,pause", [("socketpair", 3000000, 0.15),
                                                    ("pipes", 300000, 0.6)])
def test_slow_client_that_reads_steadily_is_not_dropped(lab, home, transport, octets, pause):
    """Any progress counts: through a pipe of 64 KiB a full buffer takes longer than the time-out."""
    home.maildir.add("1.a", BIG[:octets])
    server = logged_in(lab, home, "--idle-timeout", "1", transport=transport)
    started = time.monotonic()
    server.send(b"RETR 1\r\n")
    while not server.got.endswith(b"\r\n.\r\n"):
        size = len(server.got)
        server.exchange(b"", lambda size=size: len(server.got) > size)
        assert not server.at_eof
        time.sleep(pause)
    assert time.monotonic() - started > 1.2, "the client read too fast for this test"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_client_gone_in_the_middle_of_retr_changes_nothing(lab, home, transport):
    home.maildir.add("1.a", BIG)
    home.maildir.add("2.b", b"small\n")
    before = home.maildir.state()
    server = logged_in(lab, home, transport=transport)
    server.send(b"DELE 2\r\nRETR 1\r\nQUIT\r\n")
    server.exchange(b"", lambda: len(server.got) > 100000)
    server.close()
    server.ended(SOON)
    assert home.maildir.state() == before


# -- time

def time_until_closed(server, octets=b"", every=0.1):
    """Sends the octets one by one until the server closes. Returns the seconds and the reply."""
    started = time.monotonic()
    octets = iter(octets)
    while not server.at_eof:
        piece = bytes([octet]) if (octet := next(octets, None)) is not None else b""
        if not server.broken:
            server.send(piece)
        deadline = time.monotonic() + every
        while not server.at_eof and time.monotonic() < deadline:
            try:
                server.exchange(b"", lambda: False, every)
            except AssertionError:
                pass
        assert time.monotonic() - started < 10, f"still connected\n{server.report()}"
    seconds = time.monotonic() - started
    server.ended(SOON)
    return seconds


SLOW = {"silent": b"", "only_user": b"USER kermit\r\n", "octet_by_octet": b"USER " + b"x" * 200,
        "command_after_command": b"CAPA\r\n" * 100}


@pytest.mark.parametrize("kind", SLOW)
def test_login_timeout_closes_without_a_reply(lab, home, kind):
    server = lab.serve(home, "--login-timeout", "1", transport="tcp")
    seconds = time_until_closed(server, SLOW[kind])
    assert 0.8 < seconds < 4
    replies = [line for line in server.got.split(b"\r\n") if line.startswith((b"+OK", b"-ERR"))]
    assert not [line for line in replies if line.startswith(b"-ERR")]
    assert len(replies) == 1 + bytes(server.sent).count(b"\n")
    assert server.got.endswith(b"\r\n")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["silent", "octet_by_octet"])
def test_idle_timeout_closes_without_a_reply_or_an_update(lab, home, transport, kind):
    home.add_seeds()
    before = home.maildir.state()
    server = logged_in(lab, home, "--idle-timeout", "1", transport=transport)
    assert server.ask("DELE 1") == "+OK message 1 deleted"
    seconds = time_until_closed(server, b"x" * 200 if kind == "octet_by_octet" else b"", 0.2)
    assert 0.8 < seconds < 4
    assert server.rest() == b""
    assert home.maildir.state() == before


def test_commands_reset_the_idle_timeout(lab, home):
    server = logged_in(lab, home, "--idle-timeout", "1")
    for _ in range(5):
        time.sleep(0.5)
        assert server.ask("NOOP") == "+OK"
    assert server.quit().startswith("+OK")


def test_login_timeout_does_not_count_in_the_session(lab, home):
    server = lab.login(home, "--login-timeout", "1")
    assert server.line().startswith("+OK")
    time.sleep(1.5)
    assert server.ask("NOOP") == "+OK"
    assert server.quit().startswith("+OK")


# -- floods

@pytest.mark.parametrize("transport", TRANSPORTS)
def test_line_of_ten_million_octets_costs_no_memory(lab, home, transport):
    server = logged_in(lab, home, transport=transport)
    server.ask("x" * 20000)
    before = memory_peak(server.process.pid)
    server.send(b"x" * 10000000 + b"\r\nNOOP\r\n")
    assert server.line().startswith("-ERR")
    assert server.line() == "+OK"
    assert memory_peak(server.process.pid) - before < SLACK
    assert server.quit().startswith("+OK")


@pytest.mark.parametrize("transport,octets", [("socketpair", 10000000), ("tcp", 10000000),
                                              ("pipes", 500000)])
def test_long_line_before_the_login_costs_no_memory(lab, home, transport, octets):
    server = lab.serve(home, transport=transport)
    server.line()
    server.ask("x" * 20000)
    server.ask_multi("CAPA")
    before = {pid: memory_peak(pid) for pid in server.processes()}
    assert len(before) == 2
    server.send(b"x" * octets + b"\r\nCAPA\r\n")
    assert server.line().startswith("-ERR")
    assert server.line().startswith("+OK")
    server.body()
    growth = {pid: memory_peak(pid) - peak for pid, peak in before.items()}
    assert max(growth.values()) < SLACK, growth
    assert server.ask("QUIT").startswith("+OK")


def test_endless_line_without_an_end_gets_no_reply(lab, home):
    server = logged_in(lab, home)
    server.send(b"x" * 1000000)
    server.shutdown()
    assert server.rest() == b""
    server.ended()


def test_bad_commands_in_a_session_cost_no_memory(lab, home):
    server = logged_in(lab, home)
    server.ask("XYZZY")
    before = memory_peak(server.process.pid)
    server.send(b"XYZZY plugh\r\n" * 20000)
    for _ in range(20000):
        assert server.line().startswith("-ERR")
    assert memory_peak(server.process.pid) - before < SLACK
    assert server.ask("NOOP") == "+OK"


def test_big_message_costs_no_memory(lab, home):
    home.maildir.add("1.a", BIG)
    server = logged_in(lab, home)
    server.ask_multi("TOP 1 0")
    before = memory_peak(server.process.pid)
    server.ask_multi("RETR 1")
    assert memory_peak(server.process.pid) - before < 1000000


# -- processes that are killed

def at_greeting(lab, home):
    server = lab.serve(home, transport="tcp")
    server.line()
    return server


def at_checker(lab, home):
    script = home.script("hang", "#!/bin/sh\nexec sleep 600\n")
    server = lab.login(home, checker=[script], transport="tcp")
    assert harness.retry_until(
        lambda: [name for _, name in server.processes().values()].count("sleep") == 1)
    return server


def at_transaction(lab, home):
    server = lab.login(home, transport="tcp")
    server.line()
    assert server.ask("DELE 1") == "+OK message 1 deleted"
    return server


def at_retr(lab, home):
    home.maildir.add("9999999999.big", BIG)
    server = at_transaction(lab, home)
    server.send(b"RETR 5\r\nQUIT\r\n")
    server.exchange(b"", lambda: len(server.got) > 10000)
    return server


STAGES = {"greeting": (at_greeting, ["monitor", "greeter"]),
          "checker": (at_checker, ["monitor", "greeter", "checker"]),
          "transaction": (at_transaction, ["monitor", "session"]),
          "retr": (at_retr, ["monitor", "session"])}
VICTIMS = [(stage, victim) for stage, (_, victims) in STAGES.items() for victim in victims]


def find_victim(server, stage, victim):
    """The process with that role. The processes of a stage start in the order of their list."""
    roles = STAGES[stage][1]
    assert harness.retry_until(lambda: len(server.processes()) == len(roles)), server.processes()
    return dict(zip(roles, sorted(server.processes())))[victim]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV],
                         ids=["term", "kill", "segv"])
@pytest.mark.parametrize("stage,victim", VICTIMS)
def test_killed_process_leaves_the_mail_and_no_other_process(lab, home, stage, victim, number):
    home.add_seeds()
    server = STAGES[stage][0](lab, home)
    before = home.maildir.state()
    os.kill(find_victim(server, stage, victim), number)
    if victim == "monitor" and number == signal.SIGTERM:
        server.ended(SOON)  # Even if the client stays.
    time.sleep(0.05)
    server.close()
    server.ended(SOON)
    assert home.maildir.state() == before


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM],
                         ids=["hup", "int", "term"])
def test_client_sees_the_end_when_the_server_is_told_to_stop(lab, home, stage, number):
    home.add_seeds()
    server = STAGES[stage][0](lab, home)
    before = home.maildir.state()
    os.kill(server.process.pid, number)
    server.exchange(b"", lambda: False, SOON)
    assert server.ended(SOON) != 0
    assert home.maildir.state() == before


# -- the lock

def test_lock_lets_one_session_in_at_a_time(lab, home):
    home.add_seeds()
    first = logged_in(lab, home, "--lock")
    second = lab.session(home, "--lock")
    assert second.line().startswith("-ERR [IN-USE] ")
    assert second.rest() == b""
    second.ended()
    assert first.ask("DELE 1") == "+OK message 1 deleted"
    first.quit()
    third = lab.session(home, "--lock")
    assert third.line() == "+OK 3 messages (1495 octets)"


def test_sessions_without_lock_are_not_locked_out(lab, home):
    first = logged_in(lab, home)
    second = logged_in(lab, home)
    assert first.ask("NOOP") == second.ask("NOOP") == "+OK"


@pytest.mark.parametrize("end", ["kill", "close"])
def test_lock_dies_with_its_session(lab, home, end):
    first = lab.login(home, "--lock")
    assert first.line().startswith("+OK")
    if end == "kill":
        session = max(first.processes())
        os.kill(session, signal.SIGKILL)
    else:
        first.close()
    first.ended(SOON)
    assert lab.login(home, "--lock").line() == "+OK 0 messages (0 octets)"


def test_in_use_is_said_only_to_who_has_the_password(lab, home):
    first = lab.login(home, "--lock")
    assert first.line().startswith("+OK")
    second = lab.serve(home, "--lock")
    second.line()
    second.ask("USER kermit")
    assert second.ask("PASS wrong") == "-ERR [AUTH] login failed"
    second.ask("USER kermit")
    assert second.ask("PASS geheim").startswith("-ERR [IN-USE] ")
    assert first.quit() == f"+OK {HOST} POP3 server signing off (maildrop empty)"
