"""Command lines and replies in general, options, and what a session finds at its start."""
import os
import random
import re
import shutil
import subprocess

import pytest

import harness
from harness import HOST, MAIL_UID, ROOT, logged_in

TRANSPORTS = ["socketpair", "pipes", "tcp"]


def whole_conversation(server, octets):
    """Sends all of it. Returns everything that the server sent."""
    server.send(octets)
    server.shutdown()
    server.exchange(b"", lambda: False)
    server.ended()
    return bytes(server.got)


# -- command lines

def padded(octets, end):
    """A valid command line of that many octets: RETR 00...01."""
    return b"RETR " + b"1".rjust(octets - 5 - len(end), b"0") + end


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("octets,good", [(254, True), (255, True), (256, False), (257, False),
                                         (4095, False), (4096, False), (4097, False),
                                         (8192, False), (100000, False)])
def test_command_line_may_have_255_octets(lab, home, octets, good, end, transport):
    home.maildir.add("1.a", b"text\n")
    server = logged_in(lab, home, transport=transport)
    server.send(padded(octets, end) + b"NOOP\r\n")
    if good:
        assert server.line() == "+OK 6 octets"
        assert server.body() == b"text\r\n"
    else:
        assert server.line().startswith("-ERR")
    assert server.line() == "+OK"
    assert server.ask("STAT") == "+OK 1 6"
    assert server.quit().startswith("+OK")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("octets,good", [(254, True), (255, True), (256, False), (257, False),
                                         (5000, False), (100000, False)])
def test_command_line_may_have_255_octets_before_the_login(lab, home, octets, good, transport):
    server = lab.serve(home, transport=transport)
    server.line()
    server.send(b"USER " + b"u" * (octets - 7) + b"\r\n")
    assert server.line().startswith("+OK" if good else "-ERR")
    assert server.ask("USER kermit") == "+OK password required"
    assert server.ask("PASS geheim") == "+OK 0 messages (0 octets)"
    assert server.quit().startswith("+OK")


@pytest.mark.parametrize("piece", [1, 100, 255, 256])
def test_long_line_in_pieces_gets_one_reply(lab, home, piece):
    server = logged_in(lab, home)
    line = b"x" * 2000 + b"\r\n"
    for start in range(0, len(line), piece):
        server.send(line[start:start + piece])
    assert server.line().startswith("-ERR")
    assert server.ask("STAT") == "+OK 0 0"


@pytest.mark.parametrize("line", [b"NO\0OP", b"NOOP\0", b"\0", b"\0NOOP", b"STAT\0 1", b"LIST \0",
                                  b"LIST 1\0" + b"x" * 200, b"\0" * 253])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nul_in_a_command_line_is_an_error(lab, home, line, transport):
    home.maildir.add("1.a", b"text\n")
    server = logged_in(lab, home, transport=transport)
    assert server.ask(line).startswith("-ERR")
    assert server.ask("NOOP") == "+OK"


@pytest.mark.parametrize("line", [b"USER ker\0mit", b"USER kermit\0", b"PASS geheim\0x", b"\0"])
def test_nul_before_the_login_is_an_error(lab, home, line):
    server = lab.serve(home)
    server.line()
    assert server.ask("USER kermit") == "+OK password required"
    assert server.ask(line).startswith("-ERR")
    assert server.ask("STAT").startswith("-ERR"), "somebody was let in"


# -- replies

def test_a_thousand_pipelined_commands_get_a_thousand_replies_in_order(lab, home):
    for number in range(1, 11):
        home.maildir.add(f"{number}.a", b"x" * number)
    chance = random.Random(1000)
    commands, expected = [], []
    for _ in range(1000):
        number = chance.randrange(0, 12)
        commands.append(f"LIST {number}\r\n")
        expected.append(f"+OK {number} {number + 2}" if 1 <= number <= 10 else "-ERR")
    server = logged_in(lab, home)
    replies = whole_conversation(server, "".join(commands).encode()).split(b"\r\n")[1:]
    assert replies.pop() == b""
    assert [r.decode() if r.startswith(b"+OK") else "-ERR" for r in replies] == expected


def test_a_pipelined_session_from_user_to_quit_loses_nothing(lab, home):
    home.add_seeds()
    server = lab.serve(home, transport="tcp")
    stream = (b"USER kermit\r\nPASS geheim\r\n" + b"RETR 2\r\nSTAT\r\n" * 300 +
              b"DELE 1\r\nQUIT\r\n")
    got = whole_conversation(server, stream)
    assert got.count(b"+OK 508 octets\r\n") == 300
    assert got.count(b"+OK 4 2007\r\n") == 300
    assert got.endswith(f"signing off (3 messages left)\r\n".encode())
    assert len(home.maildir.names("cur")) == 3


def test_every_kind_of_command_gets_one_reply(lab, home):
    """Random commands, each followed by LIST 5, whose answer shows where the next reply begins."""
    for number in range(1, 6):
        home.maildir.add(f"{number}.a", b"A: b\n\nx\n")
    chance = random.Random(7)
    words = ["STAT", "NOOP", "RSET", "LAST", "LIST 9", "DELE 1", "DELE 2", "DELE", "TOP 1",
             "RETR 77", "UIDL 1", "UIDL 9", "USER x", "PASS y", "APOP x y", "XYZZY", "", "RETR",
             "LIST x", "QUIT 1", "x" * 300, "A\0B", "CAPA x", "\xff\xfe"]
    server = logged_in(lab, home)
    for _ in range(500):
        command = chance.choice(words)
        reply = server.ask(command)
        assert reply.startswith(("+OK", "-ERR ")), (command, reply)
        assert server.ask("LIST 5") == "+OK 5 11", command


def test_reply_lines_end_in_crlf_and_have_512_octets_at_most(lab, home):
    home.maildir.add("n" * 70, b"A: b\n\nx\n")
    host = "h" * 64
    server = lab.serve(home, "--hostname", host, transport="tcp")
    commands = ["CAPA", "USER " + "u" * 248, "PASS " + "p" * 248, "%s%s%n" * 40, "x" * 253,
                "USER kermit", "PASS geheim", "CAPA", "UIDL", "LIST", "x" * 253, "RETR " + "9" * 240,
                "TOP 1 0 " + "x" * 240, "LIST " + "9" * 247, "RSET", "QUIT"]
    got = whole_conversation(server, "".join(c + "\r\n" for c in commands).encode())
    lines = got.split(b"\r\n")
    assert lines.pop() == b""
    assert not [line for line in lines if b"\n" in line or b"\r" in line or len(line) > 510]
    assert sum(line.startswith((b"+OK", b"-ERR")) for line in lines) == len(commands) + 1


@pytest.mark.parametrize("octets", [0, 1, 100, 4000])
def test_pipelined_batch_is_answered_in_few_writes(lab, home, octets):
    """Every read of a packet pipe returns one write of the server, of at most 4096 octets."""
    home.maildir.add("1.a", b"x" * octets)
    server = logged_in(lab, home, transport="packets")
    before, taken = server.reads, server.taken
    server.send(b"NOOP\r\n" * 100 + b"LIST\r\nUIDL\r\n" * 10 + b"RETR 1\r\n" + b"NOOP\r\n" * 50)
    for _ in range(100):
        assert server.line() == "+OK"
    for _ in range(20):
        server.line()
        server.body()
    server.line()
    server.body()
    for _ in range(50):
        assert server.line() == "+OK"
    pages = (server.taken - taken) // 4096 + 1
    assert server.reads - before <= pages + 1


def test_small_message_goes_out_in_one_write(lab, home):
    home.maildir.add("1.a", b"A: b\n\ntext\n")
    server = logged_in(lab, home, transport="packets")
    for command in ("RETR 1", "TOP 1 0", "LIST", "UIDL", "CAPA"):
        before = server.reads
        server.ask_multi(command)
        assert server.reads - before == 1, command


def test_greeting_has_a_timestamp_only_with_apop(lab, home):
    assert lab.serve(home).line() == f"+OK {HOST} POP3 server ready"
    stamps = [lab.serve(home, "--apop").line() for _ in range(5)]
    pattern = re.compile(rf"\+OK {HOST} POP3 server ready <[!-;=?-~]+@{HOST}>")
    assert all(pattern.fullmatch(stamp) for stamp in stamps), stamps
    assert len(set(stamps)) == 5


def test_host_name_is_the_hosts_own_unless_given(lab, home):
    server = lab.start([lab.pop3d, "--", lab.checker, home.table])
    assert re.fullmatch(r"\+OK [!-~]+ POP3 server ready", server.line())


@pytest.mark.parametrize("name", ["(none)", "caliban"])
def test_host_without_a_name_is_localhost(lab, name):
    """The name of the kernel before anybody has set one."""
    command = ["unshare", "-u", "sh", "-c", 'echo "$0" >/proc/sys/kernel/hostname && exec "$@"', name]
    if not ROOT or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("needs root, and a namespace for names of hosts")
    done = subprocess.run([*command, lab.pop3d, "--", "false"], input=b"QUIT\r\n",
                          capture_output=True, check=True)
    host = "localhost" if name == "(none)" else name
    assert done.stdout.startswith(f"+OK {host} POP3".encode()), done


def test_serve_works_for_an_ordinary_user(lab, home):
    home.add_seeds()
    server = lab.login(home, uid=MAIL_UID)
    assert server.line() == "+OK 4 messages (2007 octets)"
    assert server.ask("DELE 1") == "+OK message 1 deleted"
    assert server.quit() == f"+OK {HOST} POP3 server signing off (3 messages left)"


# -- nothing but protocol on the connection

def test_log_lines_never_reach_a_client_whose_socket_is_standard_error(lab, home):
    home.maildir.add("1.a,W=5", b"a longer text\n")
    server = logged_in(lab, home, stderr="client")
    got = whole_conversation(server, b"RETR 1\r\nDELE 1\r\nQUIT\r\n").split(b"\r\n")
    assert got == [b"+OK 1 message (5 octets)", b"+OK 15 octets", b"a longer text", b".",
                   b"+OK message 1 deleted",
                   f"+OK {HOST} POP3 server signing off (maildrop empty)".encode(), b""]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_checkers_standard_error_never_reaches_the_client(lab, home, transport):
    script = home.script("noisy", "#!/bin/sh\necho checker says something >&2\n"
                         f"exec {lab.checker} {home.table} \"$@\"\n")
    server = lab.login(home, checker=[script], transport=transport, stderr="client")
    assert server.line() == "+OK 0 messages (0 octets)"
    assert server.quit().startswith("+OK")
    assert b"checker says" not in server.got


@pytest.mark.parametrize("options", [["--nosuch"], ["--idle-timeout"], ["--idle-timeout", "x"],
                                     ["--idle-timeout", "-1"], ["--fail-delay", "1x"],
                                     ["--greeter-user", "nobody"], ["--hostname", "a b"],
                                     ["--session", "a", "b"], ["-Z"]])
@pytest.mark.parametrize("stderr", [None, "client"])
def test_wrong_options_exit_100_and_say_nothing_to_the_client(lab, options, stderr):
    server = lab.start([lab.pop3d, *options], stderr=stderr)
    assert server.rest() == b""
    assert server.ended() == 100
    assert stderr == "client" or "usage" in server.log()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version(lab, option):
    done = subprocess.run([lab.pop3d, option], capture_output=True, text=True, check=True,
                          timeout=harness.TIMEOUT, env=lab.environment())
    assert "pop3d" in done.stdout and done.stderr == ""


# -- which Maildir

def three_maildirs(home):
    for number, name in enumerate(("explicit", "environment"), 2):
        box = harness.Maildir(os.path.join(home.path, name))
        for message in range(number):
            box.add(f"{message}.a", b"x\n")
    home.maildir.add("0.a", b"x\n")


@pytest.mark.parametrize("argument,variable,messages", [
    ("explicit", "environment", 2), ("explicit", None, 2), (None, "environment", 3),
    (None, None, 1), (None, "", 1)])
def test_maildir_of_session_is_argument_then_variable_then_default(
        lab, home, argument, variable, messages):
    three_maildirs(home)
    env = {} if variable is None else {"MAILDIR": variable}
    server = lab.session(home, maildir=argument, env=env)
    assert server.line().startswith(f"+OK {messages} message")


@pytest.mark.parametrize("option,variable,messages", [
    ("explicit", "environment", 2), ("explicit", None, 2), (None, "environment", 3), (None, None, 1)])
def test_maildir_of_serve_is_option_then_checkers_variable_then_default(
        lab, home, option, variable, messages):
    three_maildirs(home)
    home.write_table(maildir=variable)
    options = ["--maildir", option] if option else []
    server = lab.login(home, *options, env={"MAILDIR": "nowhere"})
    assert server.line().startswith(f"+OK {messages} message")


BROKEN = {
    "missing": lambda box: shutil.rmtree(box.path),
    "a_file": lambda box: (shutil.rmtree(box.path), open(box.path, "wb").close()),
    "new_missing": lambda box: os.rmdir(box.at("new")),
    "cur_missing": lambda box: os.rmdir(box.at("cur")),
    "new_a_file": lambda box: (os.rmdir(box.at("new")), open(box.at("new"), "wb").close()),
    "new_unreadable": lambda box: os.chmod(box.at("new"), 0),
    "cur_unreadable": lambda box: os.chmod(box.at("cur"), 0),
    "unreadable": lambda box: os.chmod(box.path, 0),
}
ERRNO = {"missing": 2, "a_file": 20, "new_missing": 2, "cur_missing": 2, "new_a_file": 20}


@pytest.mark.parametrize("form", ["session", "serve"])
@pytest.mark.parametrize("kind", BROKEN)
def test_unusable_maildir_is_refused_with_one_log_line_with_path_and_errno(lab, home, kind, form):
    """A new account may have no Maildir yet, which ends by itself. All else needs a hand."""
    BROKEN[kind](home.maildir)
    server = lab.session(home) if form == "session" else lab.login(home)
    code = "[SYS/TEMP]" if kind == "missing" else "[SYS/PERM]"
    assert server.line().startswith(f"-ERR {code} ")
    assert server.rest() == b""
    server.ended()
    errors = [line for line in server.log().splitlines() if "errno=" in line]
    assert len(errors) == 1, server.log()
    assert f"errno={ERRNO.get(kind, 13)} " in errors[0] and "Maildir" in errors[0]
    part = kind.partition("_")[0]
    assert part not in ("new", "cur") or part in errors[0].split("Maildir")[1]


@pytest.mark.skipif(not ROOT, reason="only root can try to run a session as root")
@pytest.mark.parametrize("form", ["session", "serve"])
def test_session_refuses_to_run_as_root_unless_allowed(lab, home, form):
    home.add_seeds()
    os.chown(home.path, 0, 0)

    def start(*options):
        if form == "session":
            return lab.session(home, *options, uid=None)
        return lab.login(home, *options)

    before = home.maildir.state()
    server = start()
    assert server.line().startswith("-ERR [SYS/PERM] ")
    assert server.rest() == b""
    assert "root" in server.log()
    assert home.maildir.state() == before
    assert start("--allow-root").line() == "+OK 4 messages (2007 octets)"
