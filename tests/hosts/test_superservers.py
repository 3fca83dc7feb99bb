"""Every superserver that doc/SETUP names really runs, on the loopback interface."""
import json
import os
import poplib
import re
import signal
import socket
import subprocess

import pytest

import harness
from harness import HOST, MAIL_GID, MAIL_UID, ROOT, TIMEOUT, retry_until
from launch import (LETS_IN, READS, SUPERSERVERS, Script, Tcpserver, Xinetd,
                    checker_options, checkpw, curl, environment_of, find_program, free_port,
                    listening_at, passed_on, replace_once, shipped, show, table_of)

SCAN = b"1 512\r\n2 508\r\n3 517\r\n4 470\r\n"
SECOND = "854538436.M1P582.caliban"
NOTES_ENVIRONMENT = "cat /proc/$$/environ >@NOTES@/environ\n"


@pytest.fixture
def launch(lab, home):
    """Starts superservers, and ends them with the test."""
    home.add_seeds()
    started = []

    def start(kind, command, *options, address="127.0.0.1"):
        arguments = [*checker_options(lab), *options, "--", *command]
        started.append(kind(lab, home, arguments, address))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(params=SUPERSERVERS, ids=lambda kind: kind.name)
def kind(request):
    return request.param


def wire_form(name):
    with open(os.path.join(harness.SEEDS, name), "rb") as file:
        return file.read().replace(b"\n", b"\r\n")


def pop3(server, home):
    """A session of poplib, logged in."""
    client = poplib.POP3(server.address, server.port, timeout=TIMEOUT)
    client.user(home.login)
    client.pass_(home.password)
    return client


# -- with the real password program


def test_curl_lists_and_fetches(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    assert curl(server, home) == SCAN
    assert curl(server, home, "2") == wire_form(SECOND)


def test_poplib_goes_through_a_session_to_the_update(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    client = pop3(server, home)
    assert client.getwelcome() == f"+OK {HOST} POP3 server ready".encode()
    assert client.stat() == (4, 2007)
    assert b"\r\n".join(client.retr(2)[1] + [b""]) == wire_form(SECOND)
    assert client.dele(1).startswith(b"+OK")
    assert client.quit().startswith(b"+OK")
    names = [name.decode() for name in home.maildir.names()]
    assert len(names) == 3, names
    assert f"cur/{SECOND}:2,S" in names, names


def test_a_wrong_password_is_refused(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    client = poplib.POP3(server.address, server.port, timeout=TIMEOUT)
    client.user(home.login)
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        client.pass_("wrong")
    client.user(home.login)
    assert client.pass_(home.password).startswith(b"+OK")
    client.quit()


def test_a_session_may_come_in_one_piece(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    commands = f"USER {home.login}\r\nPASS {home.password}\r\nSTAT\r\nNOOP\r\nQUIT\r\n"
    assert server.all_that_comes(commands.encode()) == (
        f"+OK {HOST} POP3 server ready\r\n+OK password required\r\n"
        "+OK 4 messages (2007 octets)\r\n+OK 4 2007\r\n+OK\r\n"
        f"+OK {HOST} POP3 server signing off (4 messages left)\r\n").encode()


def test_ten_sessions_at_a_time(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    clients = [pop3(server, home) for _ in range(10)]
    assert [client.stat() for client in clients] == [(4, 2007)] * 10
    for client in clients:
        client.quit()


# -- what a checker sees, and which part of it the client sees


@pytest.mark.parametrize(
    "kind, address",
    [(kind, address) for kind in SUPERSERVERS for address in ("127.0.0.1", "::1")
     if kind.ipv6 or ":" not in address],
    ids=lambda value: value if isinstance(value, str) else value.name)
def test_the_checker_is_told_both_addresses(home, launch, kind, address):
    if ":" in address and not loopback_has_ipv6():
        pytest.skip("no ::1 on this machine")
    checker = Script(home, NOTES_ENVIRONMENT + READS + "exit 1\n")
    server = launch(kind, [checker.path], address=address)
    client = poplib.POP3(server.address, server.port, timeout=TIMEOUT)
    port = client.sock.getsockname()[1]
    client.user("x")
    with pytest.raises(poplib.error_proto):
        client.pass_("y")
    noted = environment_of(checker.note("environ"))
    wanted = {"PROTO": "TCP6" if ":" in address else "TCP", "TCPREMOTEIP": address,
              "TCPREMOTEPORT": str(port), "TCPLOCALIP": address, "TCPLOCALPORT": str(server.port),
              "SERVICE": "pop3", "AUTH_MECHANISM": "USER"}
    assert {name: noted.get(name) for name in wanted} == wanted
    allowed = {*wanted, *passed_on(), "PATH", "TZ", "LANG", "POP3D_LOGIN", "POP3D_SESSION"}
    assert {name for name in noted if name not in allowed and not name.startswith("LC_")} == set()
    client.quit()


def loopback_has_ipv6():
    try:
        free_port("::1")
        return True
    except OSError:
        return False


def test_an_ipv4_client_of_an_ipv6_listener_is_shown_as_ipv4(home, launch):
    """With the IPv6 flag xinetd gives ::ffff:127.0.0.1, in REMOTE_HOST and in the socket."""
    assert "IPv6" in re.search(r"^\tflags\s*=(.*)$", shipped("xinetd.d", "pop3"), re.MULTILINE)[1]
    checker = Script(home, NOTES_ENVIRONMENT + READS + "exit 1\n")
    server = launch(Xinetd, [checker.path])
    if listening_at(server.port) & {"0100007F", "7F000001"}:
        pytest.skip("xinetd found no IPv6 on this machine")
    client = poplib.POP3("127.0.0.1", server.port, timeout=TIMEOUT)
    client.user("x")
    with pytest.raises(poplib.error_proto):
        client.pass_("y")
    noted = environment_of(checker.note("environ"))
    assert (noted["PROTO"], noted["TCPREMOTEIP"], noted["TCPLOCALIP"]) == (
        "TCP", "127.0.0.1", "127.0.0.1")


def test_nothing_but_protocol_reaches_the_client(home, launch, kind):
    checker = Script(home, "echo 'warning: a word to the administrator' >&2\n" + READS +
                     "ls /nonexistent >&2\n" +
                     'case $(tr "\\0" " " <@NOTES@/credentials) in\nwrong*) exit 111 ;;\nesac\n' +
                     "@SESSION@\n")
    server = launch(kind, [checker.path])
    assert server.all_that_comes(b"USER wrong\r\nPASS x\r\nUSER right\r\nPASS x\r\nQUIT\r\n"
                                 ).splitlines() == [
        f"+OK {HOST} POP3 server ready".encode(), b"+OK password required",
        b"-ERR [SYS/TEMP] login is not possible now, please try again later", b"+OK password required",
        b"+OK 4 messages (2007 octets)",
        f"+OK {HOST} POP3 server signing off (4 messages left)".encode()]


def test_a_missing_maildir_is_an_error_and_no_text_of_the_log(home, launch, kind):
    server = launch(kind, [Script(home, LETS_IN).path], "--maildir", "nowhere")
    came = server.all_that_comes(b"USER x\r\nPASS x\r\nQUIT\r\n").splitlines()
    assert all(re.match(rb"(\+OK|-ERR)( |$)", line) for line in came), came
    assert came[2].startswith(b"-ERR [SYS/"), came


@pytest.mark.parametrize("options", [["--no-such-option"], ["--idle-timeout", "soon"],
                                     ["--session", "a", "b"]])
def test_wrong_options_send_nothing_to_the_client(lab, home, launch, kind, options):
    server = launch(kind, ["true"], *options)
    assert server.all_that_comes() == b""
    # Exit status 100, as each of them writes it into its log.
    written = re.compile("status[= ](100|25600|6400|0x6400)|died with code 100")
    assert retry_until(lambda: written.search(server.log()), 5), server.log()


def test_a_session_ends_with_its_client(lab, home, launch, kind):
    server = launch(kind, checkpw(lab, home))
    before = {row["pid"] for row in table_of(server.process.pid)}
    waiting = socket.create_connection((server.address, server.port), TIMEOUT)
    client = pop3(server, home)
    assert len(table_of(server.process.pid)) > len(before)
    waiting.close()
    client.close()
    gone = retry_until(lambda: {row["pid"] for row in table_of(server.process.pid)} <= before, 10)
    assert gone, show(table_of(server.process.pid))


# -- the processes of a live session


def empty_root(pid):
    return os.listdir(os.path.join(f"/proc/{pid}", "root", "")) == []


def test_who_runs_as_whom_and_where(lab, home, launch, kind):
    if not ROOT:
        pytest.skip("needs root: an ordinary user's processes are all that user's")
    server = launch(kind, checkpw(lab, home))
    before = {row["pid"] for row in table_of(server.process.pid)}
    client = poplib.POP3(server.address, server.port, timeout=TIMEOUT)

    def processes():
        return [row for row in table_of(server.process.pid)
                if row["pid"] not in before and row["program"] == lab.pop3d]

    rows = processes()
    assert len(rows) == 2, show(rows)
    monitor, greeter = rows if rows[0]["pid"] == rows[1]["parent"] else rows[::-1]
    assert (monitor["uids"], monitor["root"]) == ({0}, "/"), show(rows)
    assert greeter["uids"] == {65534} and greeter["gids"] == {65534}, show(rows)
    assert greeter["groups"] == [] and greeter["root"] != "/", show(rows)
    assert empty_root(greeter["pid"]), show(rows)

    client.user(home.login)
    client.pass_(home.password)
    client.stat()
    assert retry_until(lambda: greeter["pid"] not in {row["pid"] for row in processes()}), \
        show(processes())
    rows = processes()
    assert len(rows) == 2, show(rows)
    session = rows[1] if rows[0]["pid"] == monitor["pid"] else rows[0]
    assert session["uids"] == {MAIL_UID} and session["gids"] == {MAIL_GID}, show(rows)
    assert set(session["groups"]) <= {str(MAIL_GID)}, show(rows)
    client.quit()


def test_the_greeter_user_can_be_named(home, launch):
    if not ROOT:
        pytest.skip("needs root to change the uid")
    server = launch(Tcpserver, ["true"], "--greeter-user", "4321:4322")
    with server.connect() as client:
        assert client.recv(512).startswith(b"+OK")
        greeters = [row for row in table_of(server.process.pid) if row["uids"] == {4321}]
        assert len(greeters) == 1, show(table_of(server.process.pid))
        assert greeters[0]["gids"] == {4322} and greeters[0]["groups"] == []


# -- systemd's units


@pytest.fixture
def units(lab, tmp_path):
    """The shipped units, with the path of the program under test."""
    text = replace_once(r"^ExecStart=-/usr/local/sbin/pop3d ", f"ExecStart=-{lab.pop3d} ",
                        shipped("systemd", "pop3d@.service"))
    (tmp_path / "pop3d@.service").write_text(text, encoding="utf-8")
    for name in ("pop3d.socket", "pop3s@.service", "pop3d-tickets.service"):
        (tmp_path / name).write_text(shipped("systemd", name), encoding="utf-8")
    return tmp_path


def analyze(*arguments):
    command = [find_program("systemd-analyze", "systemd"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    return done.returncode, (done.stdout + done.stderr).strip()


def test_systemd_analyze_verify_finds_nothing(units):
    for unit in ("pop3d.socket", "pop3d@.service"):
        status, text = analyze("verify", "--man=no", units / unit)
        if "Failed to" in text and "pop3d" not in text:
            pytest.skip(f"systemd-analyze does not work here: {text}")
        assert (status, text) == (0, ""), unit


@pytest.mark.parametrize("unit", ["pop3d@.service", "pop3s@.service", "pop3d-tickets.service"])
def test_the_service_is_well_confined(units, unit):
    status, text = analyze("security", "--offline=yes", "--threshold=20", units / unit)
    if "Failed to" in text and "pop3d" not in text:
        pytest.skip(f"systemd-analyze does not work here: {text}")
    assert status == 0, text


@pytest.mark.parametrize("unit", ["pop3d@.service", "pop3s@.service"])
def test_setup_says_why_a_unit_leaves_open_what_it_leaves_open(units, unit):
    """Everything that systemd-analyze still finds has a row in doc/SETUP."""
    status, text = analyze("security", "--offline=yes", "--json=short", units / unit)
    if status != 0 or not text.startswith("["):
        pytest.skip(f"systemd-analyze does not work here: {text}")
    found = [item["name"] for item in json.loads(text) if item["set"] is False]
    assert len(found) >= 10
    table = shipped("doc", "SETUP").partition("### What the units leave open\n")[2].partition("\n## ")[0]
    for name in found:
        # CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP): a row with CAP_SET...
        words = re.findall(r"CAP_[A-Z_]+|AF_\w+|@\w+", name) or [name.split("/")[0]]
        words = ["CAP_DAC_"] if "CAP_(DAC_" in name else words
        assert any(word.rstrip("_") in table for word in words), f"{name} has no row in doc/SETUP"


def test_the_units_capabilities_are_enough(lab, home):
    """A session, and the end of one that hangs, with only CapabilityBoundingSet=."""
    if not ROOT:
        pytest.skip("needs root to give capabilities up")
    unit = shipped("systemd", "pop3d@.service")
    names = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].split()
    kept = ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names)])
    wrapper = ["setpriv", "--no-new-privs", "--bounding-set", kept, "--inh-caps", "-all", "--"]
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("setpriv cannot give capabilities up here")
    home.add_seeds()
    arguments = [lab.pop3d, *checker_options(lab), "--login-timeout", "1", "--"]
    server = lab.start([*arguments, *checkpw(lab, home)], wrapper=wrapper, transport="tcp")
    server.line()
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}") == "+OK 4 messages (2007 octets)", server.report()
    assert server.ask("DELE 1").startswith("+OK"), server.report()
    assert server.quit() == f"+OK {HOST} POP3 server signing off (3 messages left)"

    become = f"setpriv --reuid {MAIL_UID} --regid {MAIL_GID} --clear-groups sleep 1000\n"
    hangs = Script(home, become)
    server = lab.start([*arguments, hangs.path], wrapper=wrapper, transport="tcp")
    server.line()
    server.ask("USER x")
    server.send(b"PASS x\r\n")
    assert server.rest() == b"", server.report()
    server.ended()  # No process of the mail user remains.


def permitted_calls(unit):
    """The system calls of SystemCallFilter=; a line that begins with ~ takes calls away."""
    permitted = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        calls = calls_of(line.removeprefix("~").split())
        permitted = permitted - calls if line.startswith("~") else permitted | calls
    return permitted


def calls_of(queue):
    """The system calls that these names and groups stand for."""
    calls = set()
    while queue:
        name = queue.pop()
        if not name.startswith("@"):
            calls.add(name)
            continue
        status, text = analyze("syscall-filter", name)
        if status != 0:
            pytest.skip(f"systemd-analyze does not work here: {text}")
        queue += [line.split()[0] for line in text.splitlines()[1:]
                  if line.strip() and not line.strip().startswith("#")]
    return calls


def test_the_units_system_calls_and_sockets_are_enough(lab, home, tmp_path):
    """Every call of a session with the real password program is in SystemCallFilter=."""
    unit = shipped("systemd", "pop3d@.service")
    permitted = permitted_calls(unit)
    strace = find_program("strace", "strace")
    home.add_seeds()
    trace = tmp_path / "trace"
    wrapper = [strace, "-f", "-qq", "-s", "0", "-e", "signal=none", "-o", str(trace)]
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    server = lab.start([lab.pop3d, *checker_options(lab), "--lock", "--", *checkpw(lab, home)],
                       wrapper=wrapper, transport="tcp", stderr="client")
    server.line()
    for login, password in (("nobody", "wrong"), (home.login, home.password)):
        server.ask(f"USER {login}")
        reply = server.ask(f"PASS {password}")
    assert reply == "+OK 4 messages (2007 octets)", server.report()
    server.ask_multi("RETR 2")
    server.ask("DELE 1")
    assert server.quit() == f"+OK {HOST} POP3 server signing off (3 messages left)"
    text = trace.read_text(encoding="latin-1")
    called = set(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))
    assert {"read", "execve", "setresuid", "chroot"} <= called or not ROOT, called
    assert called <= permitted, sorted(called - permitted)
    families = set(re.findall(r"^\d+ +socket(?:pair)?\((\w+)", text, re.MULTILINE))
    declared = re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE)[1].split()
    assert families <= {*declared, "AF_LOCAL"}, families


# -- without a superserver


def test_a_session_piped_in(lab, home):
    home.add_seeds()
    commands = f"USER {home.login}\nPASS {home.password}\nSTAT\nQUIT\n"
    done = subprocess.run(
        ["/bin/sh", "-c", 'commands=$1; shift; printf "$commands" | "$@"', "sh", commands,
         lab.pop3d, *checker_options(lab), "--", *checkpw(lab, home)],
        capture_output=True, timeout=TIMEOUT, env=lab.environment(), check=False)
    assert done.stdout.decode() == (
        f"+OK {HOST} POP3 server ready\r\n+OK password required\r\n"
        "+OK 4 messages (2007 octets)\r\n+OK 4 2007\r\n"
        f"+OK {HOST} POP3 server signing off (4 messages left)\r\n"), done
    assert done.returncode == 0, done
    assert b"user=kermit" in done.stderr, done


def test_a_session_from_a_file_into_a_file(lab, home, tmp_path):
    home.add_seeds()
    commands, replies = tmp_path / "commands", tmp_path / "replies"
    commands.write_text(f"USER {home.login}\r\nPASS {home.password}\r\nLIST\r\nQUIT\r\n",
                        encoding="ascii")
    with commands.open("rb") as given, replies.open("wb") as got:
        done = subprocess.run([lab.pop3d, *checker_options(lab), "--", *checkpw(lab, home)],
                              stdin=given, stdout=got, stderr=subprocess.PIPE, timeout=TIMEOUT,
                              env=lab.environment(), check=False)
    assert SCAN in replies.read_bytes(), (replies.read_bytes(), done.stderr)
    assert done.returncode == 0, done


def test_usage_is_shown_where_an_administrator_looks(lab):
    done = subprocess.run([lab.pop3d, "--no-such-option"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 100, done
    assert done.stdout == b"" and b"usage:" in done.stderr and b"no-such-option" in done.stderr


def test_a_signal_ends_monitor_and_session_and_deletes_nothing(lab, home):
    home.add_seeds()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        server = lab.login(home, transport="tcp")
        assert server.line() == "+OK 4 messages (2007 octets)", server.report()
        server.ask("DELE 1")
        server.process.send_signal(number)
        server.rest()
        assert server.ended() != 0, server.report()
        assert len(home.maildir.names()) == 4
