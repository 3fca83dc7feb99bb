"""Who may send a password in clear text, what the server says about it, and what guessing costs."""
import concurrent.futures
import hashlib
import os
import re
import socket
import subprocess
import time

import pytest

import harness
from harness import HOST, ROOT, TIMEOUT
from launch import Script, find_program

FAR = {"TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "4711", "TCPLOCALIP": "192.0.2.1",
       "TCPLOCALPORT": "110"}
FAR6 = {**FAR, "TCPREMOTEIP": "2001:db8::7", "TCPLOCALIP": "2001:db8::1"}
MAPPED = {**FAR, "TCPREMOTEIP": "::ffff:192.0.2.7"}
SAME = {**FAR, "TCPREMOTEIP": "192.0.2.1"}
LOOPBACK = {**FAR, "TCPREMOTEIP": "127.0.0.1"}
LOOPBACK6 = {**FAR6, "TCPREMOTEIP": "::1"}
TLS = {"SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "TLS_AES_256_GCM_SHA384"}
CIPHER_ONLY = {"SSL_CIPHER": "TLS_AES_256_GCM_SHA384"}

TAKEN, TLS_FIRST, TLS_OR_APOP = "taken", "tls first", "tls first, or apop"

# Name -> environment, options, and what happens to a password in clear text.
CASES = {
    "far": (FAR, [], TLS_FIRST),
    "far-ipv6": (FAR6, [], TLS_FIRST),
    "far-mapped": (MAPPED, [], TLS_FIRST),
    "far-apop": (FAR, ["--apop"], TLS_OR_APOP),
    "far-allowed": (FAR, ["--allow-cleartext"], TAKEN),
    "far-ipv6-allowed": (FAR6, ["--allow-cleartext"], TAKEN),
    "far-tls": ({**FAR, **TLS}, [], TAKEN),
    "far-tls-cipher": ({**FAR, **CIPHER_ONLY}, [], TAKEN),
    "far-tls-empty": ({**FAR, "SSL_PROTOCOL": ""}, [], TLS_FIRST),
    "far-required": (FAR, ["--require-tls"], TLS_FIRST),
    "far-required-and-allowed": (FAR, ["--require-tls", "--allow-cleartext"], TLS_FIRST),
    "far-required-tls": ({**FAR, **TLS}, ["--require-tls"], TAKEN),
    "far-required-apop": (FAR, ["--require-tls", "--apop"], TLS_FIRST),
    "same-host": (SAME, [], TAKEN),
    "loopback": (LOOPBACK, [], TAKEN),
    "loopback-ipv6": (LOOPBACK6, [], TAKEN),
    "loopback-required": (LOOPBACK, ["--require-tls"], TLS_FIRST),
    "loopback-required-tls": ({**LOOPBACK, **TLS}, ["--require-tls"], TAKEN),
    "loopback-required-apop": (LOOPBACK, ["--require-tls", "--apop"], TLS_FIRST),
    "pipe": ({}, [], TAKEN),
    # no address that could be read is not the address of this host
    "far-scope": ({"TCPREMOTEIP": "fe80::1%eth0"}, [], TLS_FIRST),
    "far-brackets": ({"TCPREMOTEIP": "[2001:db8::7]"}, [], TLS_FIRST),
    "far-name": ({"REMOTE_HOST": "client.example"}, [], TLS_FIRST),
    "far-name-allowed": ({"REMOTE_HOST": "client.example"}, ["--allow-cleartext"], TAKEN),
    "far-socat": ({"SOCAT_PEERADDR": "192.0.2.7", "SOCAT_PEERPORT": "4711"}, [], TLS_FIRST),
    "far-ncat": ({"NCAT_REMOTE_ADDR": "192.0.2.7"}, [], TLS_FIRST),
    "far-busybox": ({"TCPREMOTEADDR": "192.0.2.7:4711"}, [], TLS_FIRST),
    "loopback-brackets": ({"SOCAT_PEERADDR": "[::1]"}, [], TAKEN),
    "pipe-required": ({}, ["--require-tls"], TLS_FIRST),
}


def capabilities(server):
    return server.ask_multi("CAPA")[1].decode().split("\r\n")[:-1]


def offers_clear_text(lines):
    """The ways to log in of the list that show an eavesdropper the password."""
    sasl = [word for line in lines if line.startswith("SASL") for word in line.split()[1:]]
    return [line for line in lines if line == "USER"] + \
        [word for word in sasl if word in ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")]


def says_what_to_do(reply, outcome):
    assert reply.startswith("-ERR "), reply
    assert "TLS" in reply, reply
    assert ("APOP" in reply) is (outcome == TLS_OR_APOP), reply


def try_login(server, home, outcome):
    """CAPA, then USER and PASS as CAPA promises, then CAPA again."""
    before = capabilities(server)
    assert (offers_clear_text(before) != []) is (outcome == TAKEN), server.report()
    reply = server.ask(f"USER {home.login}")
    if outcome != TAKEN:
        says_what_to_do(reply, outcome)
        says_what_to_do(server.ask(f"PASS {home.password}"), outcome)
        assert capabilities(server) == before, server.report()
        return
    assert reply == "+OK password required", server.report()
    assert server.ask(f"PASS {home.password}").startswith("+OK 4 messages"), server.report()
    # RFC 2449 section 5: what was announced stays announced.
    assert set(before) <= set(capabilities(server)), server.report()


@pytest.mark.parametrize("case", CASES)
def test_clear_text_is_taken_where_nobody_can_listen(lab, home, case):
    environment, options, outcome = CASES[case]
    home.add_seeds()
    server = lab.serve(home, *options, transport="pipes", env=environment)
    assert server.line().startswith(f"+OK {HOST} POP3 server ready"), server.report()
    try_login(server, home, outcome)
    if outcome == TAKEN:
        server.ask("QUIT")
        server.ended()
        tls = "yes" if {"SSL_PROTOCOL", "SSL_CIPHER"} & set(environment) else "no"
        assert f" tls={tls}" in server.log(), server.report()


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[2] != TAKEN])
def test_no_checker_runs_for_a_refused_password(lab, home, case):
    """Neither for USER and PASS nor for a SASL mechanism that shows the password."""
    environment, options, _ = CASES[case]
    checker = Script(home, "echo >@NOTES@/ran\nexit 1\n")
    server = lab.serve(home, *options, transport="pipes", env=environment, checker=[checker.path])
    server.line()
    for line in ("USER kermit", "PASS geheim", "AUTH PLAIN AGtlcm1pdABnZWhlaW0=", "AUTH LOGIN"):
        assert server.ask(line).startswith("-ERR"), server.report()
    server.ask("QUIT")
    server.ended()
    assert checker.note("ran") is None, server.report()


@pytest.mark.parametrize("case, works", [("far-apop", True), ("far-required-apop", False),
                                         ("loopback-required-apop", False)])
def test_apop_is_good_in_clear_unless_tls_is_required(lab, home, case, works):
    environment, options, _ = CASES[case]
    home.add_seeds()
    server = lab.serve(home, *options, transport="pipes", env=environment,
                       checker=harness.apop_checker(home))
    greeting = server.line()
    stamp = greeting[greeting.index("<"):]
    digest = hashlib.md5((stamp + home.password).encode(), usedforsecurity=False).hexdigest()
    reply = server.ask(f"APOP {home.login} {digest}")
    if works:
        assert reply.startswith("+OK"), server.report()
    else:
        says_what_to_do(reply, TLS_FIRST)


def test_a_client_that_is_named_counts_where_the_socket_is_a_wrappers(lab, home):
    """The socket is that of a wrapper on this host, whose client is elsewhere."""
    home.add_seeds()
    for environment, outcome in ((FAR, TLS_FIRST), ({"REMOTE_HOST": "client.example"}, TLS_FIRST),
                                 (LOOPBACK, TAKEN)):
        server = lab.serve(home, transport="tcp", env=environment)
        server.line()
        try_login(server, home, outcome)


@pytest.mark.parametrize("named, taken", [(None, False), ("127.0.0.1", True), ("192.0.2.7", False)])
def test_an_unnamed_socket_is_not_of_this_host(lab, named, taken):
    """socat, ncat and others start programs with such a socket: the client can be anywhere."""
    ours, theirs = socket.socketpair()
    environment = {**lab.environment(), **({"TCPREMOTEIP": named} if named else {})}
    with ours, theirs, subprocess.Popen([lab.pop3d], stdin=theirs, stdout=theirs,
                                        stderr=subprocess.DEVNULL, env=environment):
        theirs.close()
        ours.sendall(b"USER kermit\r\nQUIT\r\n")
        with ours.makefile("rb") as replies:
            lines = replies.read().decode().splitlines()
    assert lines[1].startswith("+OK" if taken else "-ERR [AUTH] no login in clear text"), lines


@pytest.mark.parametrize("address, family", [("127.0.0.1", 4), ("[::1]", 6)])
def test_behind_socat_the_client_is_known(lab, home, tmp_path, address, family):
    home.add_seeds()
    port = free_port()
    log = tmp_path / "log"
    with open(log, "wb") as out, subprocess.Popen(
            [find_program("socat", "socat"), f"TCP{family}-LISTEN:{port},bind={address},reuseaddr",
             f"EXEC:{lab.pop3d} -- {lab.checker} {home.table}"], env=lab.environment(),
            stderr=out) as socat:
        client = harness.retry_until(lambda: connect(address.strip("[]"), port))
        if client is None:
            socat.kill()
            pytest.skip(f"no {address} on this machine")
        with client, client.makefile("rb") as replies:
            client.sendall(f"USER {home.login}\r\nPASS {home.password}\r\nQUIT\r\n".encode())
            lines = replies.read().decode().splitlines()
    assert lines[2].startswith("+OK 4 messages"), lines
    assert re.search(rf"login ip={re.escape(address.strip('[]'))} port=\d+ ", log.read_text())


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def connect(address, port):
    try:
        return socket.create_connection((address, port))
    except OSError:
        return None


# -- a real network, of namespaces


class Network:
    """Two network namespaces with a pair of Ethernet devices between them."""

    def __init__(self, ip):
        self.ip = ip
        self.names = [f"pop3d-test-{os.getpid()}-{end}" for end in ("a", "b")]
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def run(self, *arguments):
        done = subprocess.run([self.ip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no network namespaces here: ip {' '.join(arguments)}: {done.stderr}")

    def _make(self):
        for name in self.names:
            self.run("netns", "add", name)
        self.run("-n", self.names[0], "link", "add", "veth0", "type", "veth", "peer", "name",
                 "veth0", "netns", self.names[1])
        for name, last in zip(self.names, "12"):
            for address in (f"192.0.2.{last}/24", f"2001:db8::{last}/64"):
                more = ["nodad"] if ":" in address else []
                self.run("-n", name, "address", "add", address, "dev", "veth0", *more)
            self.run("-n", name, "link", "set", "veth0", "up")
            self.run("-n", name, "link", "set", "lo", "up")

    def inside(self, number):
        return [self.ip, "netns", "exec", self.names[number]]

    def close(self):
        for name in self.names:
            subprocess.run([self.ip, "netns", "delete", name], check=False, capture_output=True)


# accepts one connection and becomes the server on it
LISTENER = """import os, socket, sys
address, port = sys.argv[1], int(sys.argv[2])
listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address
                                else socket.AF_INET)
print("ready", flush=True)
connection = listener.accept()[0]
os.dup2(connection.fileno(), 0)
os.dup2(connection.fileno(), 1)
os.execv(sys.argv[3], sys.argv[3:])
"""
CLIENT = """import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as client:
    client.sendall(b"CAPA\\r\\nUSER kermit\\r\\nPASS geheim\\r\\nQUIT\\r\\n")
    while piece := client.recv(4096):
        sys.stdout.buffer.write(piece)
"""


@pytest.fixture(scope="module")
def network():
    if not ROOT:
        pytest.skip("needs root for network namespaces")
    network = Network(find_program("ip", "iproute2"))
    yield network
    network.close()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("options, client, outcome", [
    ([], 1, TLS_FIRST), (["--allow-cleartext"], 1, TAKEN), ([], 0, TAKEN),
    (["--require-tls"], 0, TLS_FIRST)], ids=["far", "far-allowed", "same-host", "required"])
def test_who_is_far_is_seen_from_the_socket(lab, home, network, address, options, client, outcome):
    """Client 1 is another host. Client 0 is this host, by its own address in the network."""
    home.add_seeds()
    python = ["python3", "-IS", "-c"]
    server = subprocess.Popen(
        [*network.inside(0), *python, LISTENER, address, "1110", lab.pop3d, "--hostname", HOST,
         "--fail-delay", "0", *options, "--", lab.checker, home.table],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**lab.environment(), **LOOPBACK})
    try:
        assert server.stdout.readline() == b"ready\n", server.stderr.read()
        done = subprocess.run([*network.inside(client), *python, CLIENT, address, "1110"],
                              capture_output=True, timeout=TIMEOUT, check=False)
        log = server.communicate(timeout=TIMEOUT)[1].decode()
    finally:
        server.kill()
        server.wait()
    lines = done.stdout.decode().split("\r\n")
    assert ("USER" in lines) is (outcome == TAKEN), (lines, log, done.stderr)
    taken = [line for line in lines if line.startswith("+OK 4 messages")]
    assert bool(taken) is (outcome == TAKEN), (lines, log)
    far = {"192.0.2.1": "192.0.2.2", "2001:db8::1": "2001:db8::2"}[address]
    assert f"ip={far if client else address} " in log, log


@pytest.mark.parametrize("command, options", [("USER {}", []), ("APOP {} " + 32 * "0", [
    "--apop", "--require-tls"])])
@pytest.mark.parametrize("login, logged", [("kermit", "kermit"), ("a b\"=", '"a b\\x22="')])
def test_a_login_that_is_refused_in_clear_is_named_in_the_log(lab, command, options, login, logged):
    if command.startswith("APOP") and " " in login:
        login, logged = "a\"=", '"a\\x22="'
    done = subprocess.run([lab.pop3d, *options, "--", "false"], env={**os.environ, **FAR},
                          input=f"{command.format(login)}\r\nPASS x\r\nQUIT\r\n".encode(),
                          capture_output=True, timeout=TIMEOUT, check=False)
    assert b"-ERR [AUTH] no login in clear text" in done.stdout
    assert (f"end ip=192.0.2.7 stage=login reason=clear-text-refused tries=0 user={logged} "
            "session=") in done.stderr.decode(), done.stderr


def test_names_in_the_log_are_bounded(lab):
    """An eleventh bad command ends the connection, and a fourth name is not taken."""
    commands = "".join(f"USER u{number}\r\n" for number in range(9)) + "QUIT\r\n"
    done = subprocess.run([lab.pop3d, "--", "false"], env={**os.environ, **FAR},
                          input=commands.encode(), capture_output=True, timeout=TIMEOUT, check=False)
    assert done.stderr.count(b"\n") == 1 and b" user=u2 " in done.stderr, done.stderr


# -- guessing is slow


SLOW, FAST = 0.3, 0.0  # Seconds that the checker takes for a known and for an unknown user.
SLACK = 0.15           # Seconds.
DELAYS = [1, 2, 3]


def guess(lab, home, checker, login):
    """Three guesses: how long each took, and how much CPU all processes used."""
    server = lab.serve(home, "--fail-delay", str(DELAYS[0]), checker=[checker.path])
    server.line()
    taken = []
    for number in range(len(DELAYS)):
        server.ask(f"USER {login}")
        begin = time.monotonic()
        server.send(b"PASS wrong%d\r\n" % number)
        reply = server.line()
        taken.append(time.monotonic() - begin)
        assert reply == "-ERR [AUTH] login failed", server.report()
    assert server.rest() == b"", server.report()
    return taken


def test_an_unknown_user_and_a_wrong_password_are_answered_alike(lab, home):
    """The same words after the same time, although the checker takes longer for one of them."""
    checker = Script(home, 'case $(tr "\\0" " " <&3) in\n'
                           f"known*) sleep {SLOW} ;;\nesac\nexit 1\n")
    logins = ["known", "unknown"] * 3
    with concurrent.futures.ThreadPoolExecutor(len(logins)) as pool:
        times = list(pool.map(lambda login: guess(lab, home, checker, login), logins))
    for taken in times:
        for delay, seconds in zip(DELAYS, taken):
            assert delay - 0.01 <= seconds < delay + SLACK + 1, times
    for i in range(len(DELAYS)):
        known = min(taken[i] for taken in times[0::2])
        unknown = min(taken[i] for taken in times[1::2])
        assert abs(known - unknown) < SLACK < SLOW, times


def ticks_of(server):
    """CPU that all processes of a connection used, in ticks of 10 ms, and how often they ran."""
    ticks = switches = 0
    for pid in server.processes():
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            switches += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return ticks, switches


def test_a_delay_costs_no_cpu(lab, home):
    server = lab.serve(home, "--fail-delay", "2")
    server.line()
    server.ask("USER kermit")
    server.send(b"PASS wrong\r\n")
    assert harness.retry_until(lambda: len(server.processes()) == 2 and
                               "login-failed" in server.log()), server.report()
    before = ticks_of(server)
    time.sleep(1)
    assert server.got.count(b"-ERR") == 0, server.report()
    after = ticks_of(server)
    assert after[0] - before[0] <= 1 and after[1] - before[1] <= 2, (before, after)
    assert server.line() == "-ERR [AUTH] login failed", server.report()


def test_a_delay_ends_with_the_login_timeout(lab, home):
    server = lab.serve(home, "--fail-delay", "60", "--login-timeout", "1")
    server.line()
    begin = time.monotonic()
    server.ask("USER kermit")
    server.send(b"PASS wrong\r\n")
    server.rest()
    server.ended()
    assert 0.9 < time.monotonic() - begin < 3, server.report()


def test_a_client_that_leaves_during_a_delay_leaves_nothing_behind(lab, home):
    """A client cannot skip the delay by leaving: the processes end with the delay."""
    server = lab.serve(home, "--fail-delay", "1")
    server.line()
    server.ask("USER kermit")
    server.send(b"PASS wrong\r\n")
    server.close()
    server.ended(5)


def test_no_delay_for_who_is_let_in(lab, home):
    home.add_seeds()
    server = lab.serve(home, "--fail-delay", "60")
    server.line()
    begin = time.monotonic()
    server.ask("USER kermit")
    assert server.ask("PASS geheim").startswith("+OK"), server.report()
    assert time.monotonic() - begin < 5


def test_checkers_that_fail_are_delayed_as_well(lab, home):
    """Otherwise their failures would show which users get as far as that."""
    checker = Script(home, "exit 111\n")
    server = lab.serve(home, "--fail-delay", "1", checker=[checker.path])
    server.line()
    server.ask("USER kermit")
    begin = time.monotonic()
    assert server.ask("PASS x").startswith("-ERR [SYS/TEMP]"), server.report()
    assert time.monotonic() - begin > 0.95


def test_a_socket_is_needed_for_none_of_this(lab, home):
    """The third failure ends the connection, whatever it consists of."""
    for transport in ("socketpair", "pipes", "tcp"):
        server = lab.serve(home, transport=transport)
        server.line()
        for number in range(3):
            server.ask("USER kermit")
            assert server.ask(f"PASS wrong{number}").startswith("-ERR [AUTH]"), server.report()
        assert server.rest() == b"", server.report()
        server.ended()
