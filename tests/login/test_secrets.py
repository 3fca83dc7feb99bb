"""Passwords: after use they are in no process's memory, command line, environment or log."""
import base64
import hashlib
import os
import re
import ssl

import pytest

import harness
import jail
from harness import ROOT, processes_of, retry_until
from launch import LETS_IN, READS, Script
from test_checkpassword import places_with
from tls_lab import TlsServer, clear_until
from tls_lab import own, pki  # noqa: F401 (fixtures) pylint: disable=unused-import
from tls_lab import pop3d as tls_pop3d

SECRET = "Zq7-never-anywhere-K3x"
WINDOW = 10  # Octets. A part of the password with this length counts as found.
NEEDS_ROOT = pytest.mark.skipif(
    not ROOT or jail.SANITIZED,
    reason="only root may read the memory of the processes, and sanitizers have terabytes of it")


def readable_parts(pid):
    """Start and length of every mapping that can be read."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            addresses, permissions = line.split()[:2]
            if permissions.startswith("r") and "[vvar" not in line and "[vsyscall]" not in line:
                start, end = (int(part, 16) for part in addresses.split("-"))
                yield start, end - start, line.rstrip()


def found_in(pid, secret):
    """Where a process has the secret, or a part of it."""
    secret = os.fsencode(secret)
    windows = {secret[i:i + WINDOW] for i in range(len(secret) - WINDOW + 1)}
    places = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, octets, line in readable_parts(pid):
            memory.seek(start)
            content = b""
            while len(content) < octets and (piece := memory.read(octets - len(content))):
                content += piece
            assert len(content) == octets, f"{len(content)} of {octets} octets read of {line}"
            hits = [content.find(window) for window in windows if window in content]
            if hits:
                at = min(hits)
                places.append(f"{line}: {content[max(at - 16, 0):at + 40]!r}")
    return places


def check_memory(server, secret):
    """No living process of the connection has it."""
    pids = server.processes()
    assert pids, server.report()
    found = {f"{name} {pid}": places for pid, (_, name) in pids.items()
             if (places := found_in(pid, secret))}
    assert not found, f"{found}\n{server.report()}"


def check_nowhere_else(server, secret):
    assert places_with(os.fsencode(secret)) == []
    assert secret not in server.log(), server.report()


@pytest.fixture
def user(lab):
    """A user whose password occurs nowhere else in this machine's memory."""
    home = harness.Home(lab, password=SECRET)
    home.add_seeds()
    return home


def serve(lab, home, *options, **how):
    server = lab.serve(home, *options, **how)
    assert server.line().startswith("+OK "), server.report()
    return server


def reply_to(server, octets, replies=1):
    """Sends octets in one piece. Returns the last reply."""
    server.send(octets)
    for _ in range(replies):
        last = server.line()
    assert last is not None, server.report()
    return last


TRANSPORTS = ["socketpair", "pipes"]
LOGIN = f"USER kermit\r\nPASS {SECRET}\r\n".encode()
TIMES = {"one-by-one": lambda server: [reply_to(server, line + b"\r\n")
                                       for line in LOGIN.splitlines()][-1],
         "in-one-piece": lambda server: reply_to(server, LOGIN, 2),
         "with-more-after": lambda server: reply_to(server, LOGIN + b"STAT\r\nNOOP\r\n" * 50, 2)}
DEBUG = [[], ["--debug"]]
DEBUG_NAMES = ["plain", "debug"]


# -- does the search find what is there?


@NEEDS_ROOT
def test_the_checker_that_runs_has_the_password_and_nobody_else(lab, user):
    """The search works: it finds the password where it must be."""
    checker = Script(user, "import os, time\n"
                           "held = os.read(3, 512)\n"
                           "open('@NOTES@/ready', 'w').close()\n"
                           "time.sleep(100)\n", python=True)
    server = serve(lab, user, checker=[checker.path])
    server.send(LOGIN)
    checker.wait_for("ready")
    found = {name: bool(found_in(pid, SECRET))
             for pid, (_, name) in server.processes().items()}
    assert len(found) == 2, found
    assert found.pop("pop3d") is False, server.report()
    assert list(found.values()) == [True], found
    check_nowhere_else(server, SECRET)


@NEEDS_ROOT
def test_a_checker_that_never_reads_gets_no_copy_into_anybody(lab, user):
    checker = Script(user, "echo >@NOTES@/ready\nexec sleep 100\n")
    server = serve(lab, user, checker=[checker.path])
    server.send(LOGIN)
    checker.wait_for("ready")
    check_memory(server, SECRET)


# -- after a login


@NEEDS_ROOT
@pytest.mark.parametrize("options", DEBUG, ids=DEBUG_NAMES)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("time", TIMES)
def test_no_process_of_a_session_has_the_password(lab, user, transport, time, options):
    server = serve(lab, user, *options, transport=transport)
    assert TIMES[time](server) == "+OK 4 messages (2007 octets)", server.report()
    assert retry_until(lambda: len(server.processes()) == 2), server.report()
    check_memory(server, SECRET)
    check_nowhere_else(server, SECRET)


# -- after a failure


@NEEDS_ROOT
@pytest.mark.parametrize("options", DEBUG, ids=DEBUG_NAMES)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("time", TIMES)
def test_no_process_has_the_password_that_was_refused(lab, home, transport, time, options):
    server = serve(lab, home, *options, transport=transport)
    if time == "with-more-after":
        reply = reply_to(server, LOGIN + b"CAPA\r\n", 2)
        server.body()
    else:
        reply = TIMES[time](server)
    assert reply.startswith("-ERR [AUTH]"), server.report()
    check_memory(server, SECRET)
    check_nowhere_else(server, SECRET)
    assert "login-failed" in server.log(), server.report()


@NEEDS_ROOT
def test_no_process_has_a_password_whose_checker_failed(lab, home):
    server = serve(lab, home, checker=["/nonexistent/checker"])
    assert reply_to(server, LOGIN, 2).startswith("-ERR [SYS/PERM]"), server.report()
    check_memory(server, SECRET)
    check_nowhere_else(server, SECRET)


def long_line(octets):
    """A PASS with such a long line, with the secret at its beginning, in its middle and at its end."""
    filling = (octets - len("PASS ") - 3 * len(SECRET) - 2) // 2
    return ("PASS " + SECRET + "x" * filling + SECRET + "y" * filling + SECRET).encode()


# Lines that carry a password and run no checker; the lines before them; the answer.
NOT_TAKEN = {
    "too-long": (b"USER kermit", long_line(300), b"-ERR"),
    "far-too-long": (b"USER kermit", long_line(100000), b"-ERR"),
    "as-long-as-may-be": (b"USER kermit", long_line(253), b"-ERR [AUTH]"),
    "without-user": (b"CAPA", f"PASS {SECRET}".encode(), b"-ERR"),
    "with-nul": (b"USER kermit", f"PASS {SECRET}\0{SECRET}".encode(), b"-ERR"),
    "with-cr": (b"USER kermit", f"PASS {SECRET}\r{SECRET}".encode(), b"-ERR"),
    "mistyped": (b"USER kermit", f"PAS {SECRET}".encode(), b"-ERR"),
    "by-itself": (b"USER kermit", SECRET.encode(), b"-ERR"),
    "apop-not-offered": (b"CAPA", f"APOP kermit {SECRET}".encode(), b"-ERR"),
    "auth-unknown": (b"CAPA", f"AUTH {SECRET}".encode(), b"-ERR"),
}


@NEEDS_ROOT
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_no_process_has_a_password_that_was_not_taken(lab, home, transport, kind):
    before, line, wanted = NOT_TAKEN[kind]
    for in_one_piece in (False, True):
        server = serve(lab, home, "--debug", transport=transport)
        if not in_one_piece:
            server.send(before + b"\r\n")
            server.line()
            if before == b"CAPA":
                server.body()
            server.send(line + b"\r\n")
        else:
            server.send(before + b"\r\n" + line + b"\r\n")
            server.line()
            if before == b"CAPA":
                server.body()
        reply = server.line()
        assert reply is not None and reply.encode().startswith(wanted), server.report()
        check_memory(server, SECRET)
        check_nowhere_else(server, SECRET)
        jail.finish(lab, server)


@NEEDS_ROOT
@pytest.mark.parametrize("options", [["--require-tls"], ["--require-tls", "--apop", "--debug"]],
                         ids=["require-tls", "require-tls-debug"])
def test_no_process_has_a_password_that_policy_refused(lab, home, options):
    server = serve(lab, home, *options, transport="tcp")
    for line in LOGIN.splitlines():
        assert reply_to(server, line + b"\r\n").startswith("-ERR [AUTH]"), server.report()
    check_memory(server, SECRET)
    check_nowhere_else(server, SECRET)


# -- APOP: the digest is good only once, but the secret could be guessed from it


def digest_of(server, secret):
    stamp = re.search(rb"<[^>]*>", bytes(server.got))[0]
    return hashlib.md5(stamp + secret.encode(), usedforsecurity=False).hexdigest()


@NEEDS_ROOT
@pytest.mark.parametrize("password", [SECRET, "wrong"], ids=["right", "wrong"])
def test_no_process_has_an_apop_digest(lab, user, password):
    server = serve(lab, user, "--apop", "--debug", checker=harness.apop_checker(user))
    digest = digest_of(server, password)
    reply = server.ask(f"APOP kermit {digest}")
    assert reply.startswith("+OK" if password == SECRET else "-ERR [AUTH]"), server.report()
    if password == SECRET:
        assert retry_until(lambda: len(server.processes()) == 2), server.report()
    check_memory(server, digest)
    check_nowhere_else(server, digest)


# -- SASL: the password in base64


@NEEDS_ROOT
@pytest.mark.parametrize("exchange", ["PLAIN-at-once", "PLAIN", "LOGIN"])
@pytest.mark.parametrize("good", [True, False], ids=["right", "wrong"])
def test_no_process_has_a_password_that_came_by_sasl(lab, user, exchange, good):
    if not good:
        user.password = "another"
        user.write_table()
    server = serve(lab, user, "--debug")
    plain = base64.b64encode(f"\0kermit\0{SECRET}".encode()).decode()
    in_base64 = base64.b64encode(SECRET.encode()).decode()
    if exchange == "PLAIN-at-once":
        reply = server.ask(f"AUTH PLAIN {plain}")
    else:
        steps = {"PLAIN": [plain],
                 "LOGIN": [base64.b64encode(b"kermit").decode(), in_base64]}[exchange]
        reply = server.ask(f"AUTH {exchange}")
        for step in steps:
            assert reply.startswith("+ "), server.report()
            reply = server.ask(step)
    assert reply.startswith("+OK" if good else "-ERR [AUTH]"), server.report()
    assert retry_until(lambda: len(server.processes()) == 2), server.report()
    for secret in (SECRET, plain, in_base64):
        check_memory(server, secret)
        check_nowhere_else(server, secret)


# -- what the client says in a session


@NEEDS_ROOT
def test_no_process_has_a_password_that_came_again_in_the_session(lab, user):
    server = serve(lab, user, "--debug")
    assert TIMES["one-by-one"](server).startswith("+OK"), server.report()
    assert retry_until(lambda: len(server.processes()) == 2), server.report()
    for line in LOGIN.splitlines():
        assert reply_to(server, line + b"\r\n").startswith("-ERR"), server.report()
    check_memory(server, SECRET)
    check_nowhere_else(server, SECRET)


# -- logs, which others may read


@pytest.mark.parametrize("options", DEBUG, ids=DEBUG_NAMES)
def test_no_log_line_has_a_password(lab, user, options):
    server = serve(lab, user, *options)
    for _, line, _ in NOT_TAKEN.values():
        server.send(line + b"\r\n")
    server.send(b"USER nobody\r\nPASS " + SECRET.encode() + b"\r\n")
    server.rest()
    server.ended()
    log = server.log()
    server = serve(lab, user, *options)
    assert TIMES["one-by-one"](server).startswith("+OK"), server.report()
    for line in (f"PASS {SECRET}", f"APOP kermit {SECRET}", f"AUTH PLAIN {SECRET}",
                 f"PAS {SECRET}", SECRET):
        assert server.ask(line).startswith("-ERR"), server.report()
    server.quit()
    log += server.log()
    pieces = [SECRET[i:i + WINDOW] for i in range(len(SECRET) - WINDOW + 1)]
    assert not [line for line in log.splitlines() if any(piece in line for piece in pieces)]
    if options:
        assert "protocol client=PASS" in log, log


def test_debug_shows_no_message_contents(lab, user):
    server = serve(lab, user, "--debug")
    assert TIMES["one-by-one"](server).startswith("+OK"), server.report()
    body = server.ask_multi("RETR 2")[1] + server.ask_multi("TOP 1 5")[1]
    server.quit()
    long_lines = [line for line in body.decode("latin-1").split("\r\n") if len(line) > 20]
    assert long_lines and not [line for line in long_lines if line in server.log()]
    assert "protocol client=RETR arguments=2" in server.log(), server.report()


@NEEDS_ROOT
def test_the_credentials_leave_nothing_with_a_session_that_did_not_read_them(lab, user):
    """A checker can leave descriptor 3 unread, and the session must not inherit it."""
    checker = Script(user, LETS_IN.removeprefix(READS))
    server = serve(lab, user, checker=[checker.path])
    assert TIMES["one-by-one"](server).startswith("+OK"), server.report()
    assert retry_until(lambda: len(server.processes()) == 2), server.report()
    check_memory(server, SECRET)
    session = max(server.processes())
    assert not [target for target in jail.descriptors(session).values()
                if target.startswith("pipe:")], jail.descriptors(session)


# -- under TLS


class TlsConnection:
    """All processes of a connection to pop3d-tls, for check_memory."""

    def __init__(self, server):
        self.server, self.report, self.log = server, server.report, server.log

    def processes(self):
        return processes_of(self.server.child().pid)


TLS_WAYS = {
    "pass": ["USER kermit", f"PASS {SECRET}"],
    "plain": ["AUTH PLAIN " + base64.b64encode(f"\0kermit\0{SECRET}".encode()).decode()],
}


@NEEDS_ROOT
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("way", TLS_WAYS)
@pytest.mark.parametrize("good", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("start", ["at-once", "stls"])
def test_no_process_has_a_password_that_came_over_tls(lab, user, pki, own, version, way, good,
                                                      start):
    """Neither the buffers of the engine nor those of the TLS library keep it."""
    if not good:
        user = harness.Home(lab, password="another")
    options = [*own, "--starttls"] if start == "stls" else own
    server = TlsServer(lab, options, tls_pop3d(lab, user))
    context = pki.anywhere()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    raw = server.raw()
    if start == "stls":
        clear_until(raw, b"\r\n")
        raw.sendall(b"STLS\r\n")
        clear_until(raw, b"\r\n")
    client = server.connect(context, raw=raw)
    if start == "at-once":
        assert client.line().startswith("+OK"), server.report()
    for line in TLS_WAYS[way]:
        reply = client.ask(line)
    assert reply.startswith("+OK" if good else "-ERR [AUTH]"), (reply, server.report())
    secrets = [SECRET] if way == "pass" else [SECRET, TLS_WAYS[way][0].split()[-1]]
    for secret in secrets:
        check_memory(TlsConnection(server), secret)
    client.close()


# Name of the ciphers, and the options of pop3d-tls for them. Options make it take all algorithms.
CIPHERS = {
    "1.3-AES-256-GCM": ("TLSv1.3", []),
    "1.3-AES-128-GCM": ("TLSv1.3", ["--ciphersuites", "TLS_AES_128_GCM_SHA256"]),
    "1.3-AES-256-GCM-all": ("TLSv1.3", ["--ciphersuites", "TLS_AES_256_GCM_SHA384"]),
    "1.3-CHACHA20": ("TLSv1.3", ["--ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
    "1.2-AES-256-GCM": ("TLSv1.2", []),
    "1.2-AES-128-GCM": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
    "1.2-CHACHA20": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
    "1.2-AES-256-CCM": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-AES256-CCM"]),
    "1.2-ARIA-256-GCM": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-ARIA256-GCM-SHA384"]),
    "1.2-AES-128-CBC": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-AES128-SHA256"]),
    "1.2-AES-256-CBC": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-AES256-SHA"]),
    "1.2-CAMELLIA-CBC": ("TLSv1.2", ["--ciphers", "ECDHE-ECDSA-CAMELLIA128-SHA256"]),
}


def engine_has(server, secret):
    return [place for pid in processes_of(server.child().pid) for place in found_in(pid, secret)]


@NEEDS_ROOT
@pytest.mark.parametrize("cipher", CIPHERS)
def test_no_cipher_keeps_the_end_of_what_it_decrypted(lab, pki, own, cipher):
    """Some of the library's ciphers work on an incomplete block in their contexts."""
    version, options = CIPHERS[cipher]
    # nothing is executed after the answer: the memory of a process that becomes another cannot be read
    reader = "head -n 1 >/dev/null; echo done; read -r rest"
    server = TlsServer(lab, [*own, *options], ["sh", "-c", reader])
    context = pki.anywhere()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    context.set_ciphers("ALL:@SECLEVEL=2")
    for octets in range(WINDOW, len(SECRET) + 1):
        client = server.connect(context)
        line = SECRET[:octets]
        assert client.ask(line) == "done", server.report()
        assert engine_has(server, line) == []
        client.close()
        server.ended()
