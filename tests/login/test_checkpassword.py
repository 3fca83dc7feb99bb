"""The interface of checkpassword programs: what they are given, and what their exit statuses mean."""
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import harness
import jail
from harness import HOST, MAIL_GID, MAIL_UID, ROOT, retry_until
from launch import (LETS_IN, READS, Script, checkpw, environment_of, passed_on, status_of,
                    tree_of)

REFUSED, MISCONFIGURED, TEMPORARY = "-ERR [AUTH]", "-ERR [SYS/PERM]", "-ERR [SYS/TEMP]"


@pytest.fixture(params=["root", "user"] if ROOT else ["user"])
def uid(request):
    """The user that the server runs as."""
    return None if request.param == "root" else MAIL_UID


def start(lab, home, command, *options, **how):
    """A server with this checker, after its greeting."""
    server = lab.serve(home, *options, checker=command, **how)
    greeting = server.line()
    assert greeting is not None and greeting.startswith("+OK "), server.report()
    return server


def log_in(server, login, password):
    """The reply to PASS."""
    reply = server.ask(f"USER {login}")
    assert reply == "+OK password required", server.report()
    return server.ask(f"PASS {password}")


def expect(server, got, wanted):
    assert got is not None and got.startswith(wanted), f"expected {wanted}\n{server.report()}"


def ask(server, command, wanted):
    expect(server, server.ask(command), wanted)


def log_line(server, *parts):
    """Asserts that one line of the log has all the parts. Returns the line."""
    def find():
        return [line for line in server.log().splitlines() if all(part in line for part in parts)]
    found = retry_until(find, 5)
    assert found, f"no log line with {parts}\n{server.report()}"
    return found[0]


def serves(server, home):
    """Plays a session to its regular end."""
    expect(server, log_in(server, home.login, home.password), "+OK 4 messages (2007 octets)")
    ask(server, "STAT", "+OK 4 2007")
    expect(server, server.quit(), "+OK ")
    assert server.process.returncode == 0, server.report()


# -- how it ends


def verdict_of(status):
    if status in (1, 3, 20, 21, 23):
        return REFUSED
    return MISCONFIGURED if status in (2, 100, 126, 127) else TEMPORARY


def test_every_exit_status_has_its_reply_and_log_line(lab, home):
    # The login is the status, so three statuses can be tried on a connection.
    checker = Script(home, "exit $(tr '\\0' ' ' <&3 | cut -d ' ' -f 1)\n")
    wrong = []
    for first in range(0, 256, 3):
        server = start(lab, home, [checker.path])
        statuses = range(first, min(first + 3, 256))
        for status in statuses:
            reply = log_in(server, str(status), "x")
            if reply is None or not reply.startswith(verdict_of(status)):
                wrong.append((status, verdict_of(status), reply))
        server.close()
        server.ended()
        for status in statuses:
            if verdict_of(status) == REFUSED:
                log_line(server, f"user={status}")
            else:
                log_line(server, checker.path, f"status={status} ")
        server.stop()
    assert not wrong, f"(status, expected, got): {wrong}"


def not_executable(home):
    path = home.script("plain", "#!/bin/sh\nexit 1\n")
    os.chmod(path, 0o644)
    return path


def a_directory(home):
    os.mkdir(home.path + ".directory")
    return home.path + ".directory"


NOT_STARTED = {
    "missing": (lambda home: "/nonexistent/checker", "No such file or directory"),
    "not-executable": (not_executable, "Permission denied"),
    "directory": (a_directory, "Permission denied"),
    "no-interpreter-line": (lambda home: home.script("bare", "exit 1\n"), "Exec format error"),
    "missing-interpreter": (lambda home: home.script("lost", "#!/nonexistent/sh\n"),
                            "No such file or directory"),
}


@pytest.mark.parametrize("kind", NOT_STARTED)
def test_what_cannot_be_run_is_misconfigured_and_logged(lab, home, uid, kind):
    make, error = NOT_STARTED[kind]
    program = make(home)
    server = start(lab, home, [program], uid=uid)
    expect(server, log_in(server, "kermit", "x"), MISCONFIGURED)
    log_line(server, program, error)
    ask(server, "QUIT", "+OK")
    server.ended()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGPIPE])
def test_a_checker_that_a_signal_killed_is_temporary_trouble(lab, home, uid, number):
    checker = Script(home, READS + f"kill -{int(number)} $$\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), TEMPORARY)
    log_line(server, checker.path, f"signal={int(number)}")
    server.close()
    server.ended()


def test_a_checker_that_exits_0_without_a_session_is_temporary_trouble(lab, home, uid):
    checker = Script(home, READS + "exit 0\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), TEMPORARY)
    log_line(server, checker.path, "status=0")


def test_the_verdict_does_not_wait_for_what_the_checker_left_behind(lab, home, uid):
    checker = Script(home, READS + "sleep 4 &\nexit 1\n")
    for stderr in (None, "client"):
        server = start(lab, home, [checker.path], uid=uid, stderr=stderr)
        begin = time.monotonic()
        expect(server, log_in(server, "kermit", "x"), REFUSED)
        assert time.monotonic() - begin < 3, server.report()
        server.close()


# -- what it does with its descriptors


def test_a_checker_that_never_reads_descriptor_3_is_judged_alike(lab, home, uid):
    server = start(lab, home, [Script(home, "exit 1\n").path], uid=uid)
    expect(server, log_in(server, "kermit", "x" * 248), REFUSED)
    server.close()
    assert server.ended() == 0, server.report()


def test_a_session_may_be_run_without_reading_descriptor_3(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, [Script(home, "@SESSION@\n").path], uid=uid)
    serves(server, home)


CLOSES = "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-\n"


def test_a_checker_that_closes_all_above_2_does_no_harm(lab, home, uid):
    home.add_seeds()
    checker = Script(home, CLOSES + "@SESSION@\n")
    servers = []
    for transport in ("tcp", "socketpair", "pipes"):
        for stderr in (None, "client"):
            server = start(lab, home, [checker.path], "--login-timeout", "2", uid=uid,
                           transport=transport, stderr=stderr)
            expect(server, log_in(server, home.login, home.password),
                   "+OK 4 messages (2007 octets)")
            servers.append(server)
    time.sleep(3)  # The login time-out is over, and nothing was killed.
    for server in servers:
        ask(server, "STAT", "+OK 4 2007")
        expect(server, server.ask_multi("RETR 2")[0], "+OK 508 octets")
        expect(server, server.quit(), "+OK ")
        assert server.process.returncode == 0, server.report()


def test_a_checker_that_closes_all_above_2_may_still_refuse(lab, home, uid):
    server = start(lab, home, [Script(home, CLOSES + "exit 1\n").path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), REFUSED)


HANGS = {
    "with-children": "sleep 1000 &\n(sleep 1000; :) &\nsleep 1000\n",
    "deaf-to-signals": "trap '' HUP INT TERM\nsleep 1000 &\nsleep 1000\n",
    "without-descriptors": CLOSES + "exec 0<&- 1>&- 2>&-\nsleep 1000\n",
}


@pytest.mark.parametrize("kind", HANGS)
def test_a_checker_that_hangs_is_killed_at_the_login_timeout(lab, home, uid, kind):
    checker = Script(home, HANGS[kind])
    server = start(lab, home, [checker.path], "--login-timeout", "1", uid=uid)
    begin = time.monotonic()
    server.ask("USER kermit")
    server.send(b"PASS x\r\n")
    assert server.rest() == b"", server.report()
    assert time.monotonic() - begin < 4, server.report()
    assert server.ended() != 0, server.report()  # ended() also finds no process.
    log_line(server, checker.path, "login-timeout")


@pytest.mark.parametrize("text", ["yes 'a warning'", "tr '\\0' x </dev/zero"])
def test_standard_error_never_reaches_the_client(lab, home, uid, text):
    home.add_seeds()
    noise = f"{text} | head -c 1000000 >&2\n"
    refuses = Script(home, READS + noise + "exit 1\n", "refuses")
    server = start(lab, home, [refuses.path], uid=uid, stderr="client", transport="tcp")
    expect(server, log_in(server, "kermit", "x"), REFUSED)
    ask(server, "QUIT", "+OK")
    assert server.rest() == b"", server.report()
    lets_in = Script(home, READS + noise + "@SESSION@\n", "lets-in")
    server = start(lab, home, [lets_in.path], uid=uid, stderr="client", transport="tcp")
    serves(server, home)


def test_standard_error_that_is_a_log_is_passed_on(lab, home, uid):
    checker = Script(home, READS + "echo 'a warning' >&2\nexit 1\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), REFUSED)
    log_line(server, "a warning")


def test_standard_output_is_the_clients(lab, home, uid):
    """As with qmail-popup: if a checker writes to standard output, the client gets it."""
    checker = Script(home, READS + "printf 'hello\\r\\n'\nexit 1\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), "hello")
    expect(server, server.line(), REFUSED)


class Syslog:
    """A /dev/log that only the programs inside the wrapper see."""

    def __init__(self, directory):
        self.lines = []
        self.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        'mount --bind "$0" /dev && : >/dev/null && exec "$@"', directory]
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            os.mknod(os.path.join(directory, name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            os.chmod(os.path.join(directory, name), 0o666)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(directory, "log"))
        os.chmod(os.path.join(directory, "log"), 0o666)
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        while line := self.socket.recv(65536):
            self.lines.append(line.decode("latin-1"))

    def find(self, *parts):
        """Asserts that there is a line with all the parts."""
        found = retry_until(lambda: any(all(part in line for part in parts)
                                        for line in list(self.lines)), 5)
        assert found, f"no line with {parts} in {self.lines}"

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())


@pytest.fixture
def syslog(lab):
    if not ROOT:
        pytest.skip("needs root for a /dev of its own")
    directory = os.path.join(lab.directory, "dev")
    os.mkdir(directory, 0o755)
    log = Syslog(directory)
    try:
        tried = subprocess.run([*log.wrapper, "true"], check=False, capture_output=True)
        if tried.returncode != 0:
            pytest.skip(f"no /dev of its own to be had here: {tried.stderr.decode().strip()}")
        yield log
    finally:
        log.close()
        shutil.rmtree(directory)


def test_standard_error_under_inetd_is_logged_and_bounded(lab, home, syslog):
    noise = "echo 'the first \"line\"' >&2\nyes 'one more line' | head -c 1000000 >&2\n"
    checker = Script(home, READS + noise + "exit 100\n")
    server = start(lab, home, [checker.path], stderr="client", transport="tcp",
                   wrapper=syslog.wrapper)
    expect(server, log_in(server, "kermit", "x"), MISCONFIGURED)
    ask(server, "QUIT", "+OK")
    server.ended()
    syslog.find("the first")
    syslog.find(checker.path, "status=100")
    syslog.find("reason=quit")
    assert all("pop3d[" in line and line.count("\n") <= 1 for line in syslog.lines), syslog.lines
    assert sum(map(len, syslog.lines)) < 65536, f"{len(syslog.lines)} lines"


def test_logins_and_failures_under_inetd_go_to_syslog(lab, home, syslog):
    home.add_seeds()
    server = start(lab, home, checkpw(lab, home), stderr="client", transport="tcp",
                   wrapper=syslog.wrapper)
    expect(server, log_in(server, "kermit", "wrong"), REFUSED)
    serves(server, home)
    syslog.find("login-failed", "ip=127.0.0.1", "user=kermit")
    syslog.find(" login ip=127.0.0.1", "user=kermit")


# -- which program it is


def test_a_checker_that_forks_may_stay_the_parent_of_the_session(lab, home, uid):
    home.add_seeds()
    checker = Script(home, READS + "(\n@SESSION@\n)\nstatus=$?\n"
                                   "echo $status >@NOTES@/after\nexit $status\n")
    server = start(lab, home, [checker.path], "--login-timeout", "2", uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 4 messages (2007 octets)")
    time.sleep(2.5)
    ask(server, "STAT", "+OK 4 2007")
    assert checker.note("after") is None, server.report()
    expect(server, server.quit(), "+OK ")
    assert server.process.returncode == 0, server.report()
    assert checker.note("after") == b"0\n", server.report()


def test_a_session_whose_client_vanished_lets_a_forking_checker_end(lab, home, uid):
    checker = Script(home, READS + "(\n@SESSION@\n)\necho >@NOTES@/after\nexit 0\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 0 messages")
    server.close()
    server.ended()
    assert checker.note("after") == b"\n", server.report()


SET_UID = """#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	FILE *note = fopen(argv[argc > 1 ? 1 : 0], "w");

	if (note == NULL)
		return 111;
	fprintf(note, "%d %d", (int)getuid(), (int)geteuid());
	return fclose(note) == 0 ? 1 : 111;
}
"""


def test_a_set_uid_checker_gets_its_rights(lab, home):
    """Neither no_new_privs nor a sandbox may bind the process that runs it."""
    if not ROOT:
        pytest.skip("needs root to make a program set-uid")
    if os.statvfs(lab.directory).f_flag & os.ST_NOSUID:
        pytest.skip(f"{lab.directory} is on a file system mounted nosuid")
    program, note = home.path + ".set-uid", home.path + ".note"
    source = home.script("set-uid.c", SET_UID)
    subprocess.run([os.environ.get("CC", "cc"), "-o", program, source], check=True)
    os.chmod(program, 0o4755)
    server = start(lab, home, [program, note], uid=MAIL_UID)
    expect(server, log_in(server, "kermit", "x"), REFUSED)
    with open(note, encoding="ascii") as file:
        assert file.read() == f"{MAIL_UID} 0", "real and effective uid of the checker"


def test_without_a_checker_pop3d_checkpw_beside_the_program_is_run(lab, home, uid):
    if os.path.exists("/etc/pop3d/passwd"):
        pytest.skip("this machine has an /etc/pop3d/passwd")
    server = lab.start([lab.pop3d, "--hostname", HOST, "--fail-delay", "0"], uid=uid)
    server.line()
    expect(server, log_in(server, "kermit", "x"), "-ERR [SYS/")
    log_line(server, os.path.join(os.path.dirname(lab.pop3d), "pop3d-checkpw"), "status=")


def test_exec_runs_another_session_program(lab, home, uid):
    session = home.script("session", """#!/bin/sh
printf '+OK stand-in %s in %s as %s\\r\\n' "$*" "$(pwd)" "$(id -u)"
while read -r line; do
	case $line in
	STAT*) printf '+OK 7 77\\r\\n' ;;
	QUIT*) printf '+OK bye\\r\\n'; exit 5 ;;
	*) printf -- '-ERR what?\\r\\n' ;;
	esac
done
""")
    checker = Script(home, LETS_IN)
    server = start(lab, home, [checker.path], "--exec", f"{session} one  two",
                   "--login-timeout", "2", uid=uid, transport="tcp")
    # All in one piece: the commands after PASS must reach the other program.
    server.send(f"USER kermit\r\nPASS {home.password}\r\nSTAT\r\nNOOP\r\n".encode())
    replies = [server.line() for _ in range(4)]
    mail_uid = MAIL_UID if ROOT else os.getuid()
    assert replies == ["+OK password required",
                       f"+OK stand-in one two in {home.path} as {mail_uid}",
                       "+OK 7 77", "-ERR what?"], server.report()
    time.sleep(2.5)
    ask(server, "STAT", "+OK 7 77")
    ask(server, "QUIT", "+OK bye")
    assert server.rest() == b"", server.report()
    assert server.ended() == 5, server.report()


def test_exec_of_a_missing_program_is_misconfigured_and_logged(lab, home, uid):
    server = start(lab, home, [Script(home, LETS_IN).path], "--exec", "/nonexistent/session",
                   uid=uid)
    expect(server, log_in(server, home.login, home.password), MISCONFIGURED)
    log_line(server, "/nonexistent/session", "No such file or directory")


# -- the maildrop it names


@pytest.mark.parametrize("setting", ["@HOME@/Other", "Other"])
def test_maildir_in_the_environment_beats_the_default(lab, home, uid, setting):
    home.add_seeds()
    harness.Maildir(os.path.join(home.path, "Other")).add("1.a", b"Subject: x\n\nother\n")
    checker = Script(home, READS + f"MAILDIR={setting}\nexport MAILDIR\n@SESSION@\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 1 message (21 octets)")
    server.quit()
    server = start(lab, home, [checker.path], "--maildir", "Maildir", uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 4 messages (2007 octets)")
    server.quit()


def test_a_checker_may_change_the_last_argument_which_is_a_maildir(lab, home, uid):
    """checkvpw does this. Other checkers make a directory of that name."""
    home.add_seeds()
    other = harness.Maildir(os.path.join(home.path, "Other"))
    other.add("1.a", b"Subject: x\n\nother\n")
    change = ('for last do :; done\nmkdir -p "$last"\nset -- "$@" -\n'
              'n=$(($# - 2)); while [ $n -gt 0 ]; do set -- "$@" "$1"; shift; n=$((n - 1)); done\n'
              f'shift 2; set -- "$@" "{other.path.decode()}"\n')
    checker = Script(home, READS + change + "MAILDIR=/nonexistent; export MAILDIR\n@SESSION@\n")
    server = start(lab, home, [checker.path], uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 1 message (21 octets)")
    server.quit()
    assert sorted(os.listdir(home.path)) == ["Maildir", "Other"]


def test_no_other_argument_looks_like_a_maildir(lab, home):
    """Whatever options there are: some checkers look for the word."""
    text = subprocess.run([lab.pop3d, "--help"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True).stdout
    switches = re.findall(r"^  --([a-z-]+)  (?!.*pop3d-admin)", text, re.MULTILINE)
    switches = ["--" + name for name in switches
                if name not in ("help", "version", "syslog", "proxy-protocol", "require-tls",
                                "session", "import-uids")]
    assert "--create-maildir" in switches and "--lock" in switches
    checker = Script(home, 'printf "%s\\n" "$@" >@NOTES@/arguments\nexit 1\n')
    server = start(lab, home, [checker.path], *switches)
    assert log_in(server, "kermit", "x").startswith("-ERR [AUTH]"), server.report()
    server.ask("QUIT")
    server.ended()
    arguments = checker.note("arguments").decode().splitlines()
    assert arguments[-1] == "Maildir" and len(arguments) > 8
    assert not [each for each in arguments[1:-1] if "maildir" in each.lower()], arguments


def test_the_servers_own_maildir_variable_is_not_the_checkers(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, [Script(home, LETS_IN).path], uid=uid,
                   env={"MAILDIR": "/nonexistent", "HOME": "/nonexistent"})
    serves(server, home)


# -- what is on descriptor 3


def credentials(checker):
    """The three fields. Asserts that there is nothing else."""
    octets = checker.wait_for("credentials", lambda octets: octets.count(b"\0") >= 3)
    assert octets.endswith(b"\0") and octets.count(b"\0") == 3, octets
    assert len(octets) <= 512, octets
    return octets[:-1].split(b"\0")


def test_descriptor_3_has_login_password_and_a_random_short_timestamp(lab, home, uid):
    stamps = set()
    for _ in range(3):
        checker = Script(home, READS + "exit 1\n", f"checker{len(stamps)}")
        server = start(lab, home, [checker.path], uid=uid)
        # PASS takes the whole rest of the line.
        expect(server, log_in(server, "kermit@example.org", " two  blanks\t. "), REFUSED)
        login, password, stamp = credentials(checker)
        assert (login, password) == (b"kermit@example.org", b" two  blanks\t. ")
        assert 8 <= len(stamp) <= 80, stamp
        assert re.fullmatch(rb"[\x21-\x7e]+", stamp), stamp
        stamps.add(stamp)
    assert len(stamps) == 3, stamps


def test_apop_puts_digest_and_banner_timestamp_on_descriptor_3(lab, home, uid):
    checker = Script(home, "cat /proc/$$/environ >@NOTES@/environ\n" + READS + "exit 1\n")
    server = lab.serve(home, "--apop", checker=[checker.path], uid=uid)
    banner = re.fullmatch(r"\+OK \S+ POP3 server ready (<[\x21-\x7e]+@[\x21-\x7e]+>)",
                          server.line() or "")
    assert banner, server.report()
    digest = hashlib.md5(banner[1].encode() + b"secret", usedforsecurity=False).hexdigest()
    ask(server, f"APOP kermit {digest}", REFUSED)
    assert credentials(checker) == [b"kermit", digest.encode(), banner[1].encode()]
    assert environment_of(checker.note("environ"))["AUTH_MECHANISM"] == "APOP"


def test_apop_is_off_unless_asked_for(lab, home, uid):
    checker = Script(home, READS + "exit 1\n")
    server = lab.serve(home, checker=[checker.path], uid=uid)
    assert "<" not in server.line(), server.report()
    ask(server, "APOP kermit " + "0" * 32, "-ERR")
    assert checker.note("credentials") is None, server.report()


def test_512_octets_are_passed_on_and_513_are_refused_before_anything_runs(lab, home, uid):
    first = Script(home, READS + "exit 1\n", "first")
    server = start(lab, home, [first.path], uid=uid)
    log_in(server, "kermit", "x")
    stamp = credentials(first)[2]
    room = 512 - 3 - len(stamp)
    assert room - 248 >= 1, f"the timestamp leaves {room} octets"
    for octets, name in ((room, "fits"), (room + 1, "too-long")):
        checker = Script(home, READS + "exit 1\n", name)
        server = start(lab, home, [checker.path], uid=uid)
        login, password = "l" * 248, "p" * (octets - 248)
        if octets - 248 > 248:
            pytest.skip("two command lines cannot hold that much")
        expect(server, log_in(server, login, password), REFUSED)
        if name == "fits":
            assert len(checker.note("credentials")) == 512
            assert credentials(checker)[:2] == [login.encode(), password.encode()]
        else:
            assert checker.note("credentials") is None, server.report()


def test_an_empty_password_is_refused_before_anything_runs(lab, home, uid):
    checker = Script(home, READS + "exit 1\n")
    server = start(lab, home, [checker.path], uid=uid)
    for command in ("PASS", "PASS "):
        ask(server, "USER kermit", "+OK")
        ask(server, command, "-ERR")
    assert checker.note("credentials") is None, server.report()
    expect(server, log_in(server, "kermit", " "), REFUSED)
    assert credentials(checker)[1] == b" "


@pytest.mark.parametrize("octet", [b"\0", b"\r"])
def test_nul_and_cr_reach_no_checker(lab, home, uid, octet):
    checker = Script(home, READS + "exit 1\n")
    for lines in ([b"USER ker" + octet + b"mit", b"PASS x"],
                  [b"USER kermit", b"PASS x" + octet + b"y"]):
        server = start(lab, home, [checker.path], uid=uid)
        replies = [server.ask(line) for line in lines]
        assert replies[-1].startswith("-ERR"), server.report()
        server.close()
        server.ended()
        assert checker.note("credentials") is None, server.report()


# -- what is in its environment


NOTES_ENVIRONMENT = "cat /proc/$$/environ >@NOTES@/environ\n" + READS + "exit 1\n"


def noted_environment(lab, home, checker, *options, **how):
    server = start(lab, home, [checker.path], *options, **how)
    expect(server, log_in(server, "kermit", "x"), REFUSED)
    noted = environment_of(checker.note("environ"))
    for name in passed_on():
        noted.pop(name, None)
    return server, noted


def test_the_environment_is_built_and_nothing_leaks_into_it(lab, home, uid):
    checker = Script(home, NOTES_ENVIRONMENT)
    given = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LANG": "C", "LC_ALL": "C"}
    leaks = {"SECRET": "1", "HOME": "/root", "USER": "root", "SHELL": "/bin/bash", "IFS": "x",
             "ENV": "/tmp/x", "LD_LIBRARY_PATH": "/tmp", "SSLCTLFD": "5", "LISTEN_FDS": "1",
             "MAILDIR": "/tmp", "REMOTE_HOST": "127.0.0.9", "TCPREMOTEIP": "127.0.0.9",
             "TCPREMOTEPORT": "1", "TCPREMOTEHOST": "forged", "TCPREMOTEINFO": "forged",
             "AUTHORIZED": "1", "LCFAKE": "1"}
    server, noted = noted_environment(lab, home, checker, uid=uid, transport="tcp",
                                      env={**given, **leaks})
    with socket.socket(fileno=os.dup(server.out_fd)) as ours:
        local, remote = ours.getsockname(), ours.getpeername()
    assert re.fullmatch(r"[0-9a-f]{8}", noted.pop("POP3D_SESSION")), noted
    assert noted.pop("POP3D_LOGIN") == "kermit", noted
    assert noted == {**given, "PROTO": "TCP", "SERVICE": "pop3", "AUTH_MECHANISM": "USER",
                     "TCPREMOTEIP": local[0], "TCPREMOTEPORT": str(local[1]),
                     "TCPLOCALIP": remote[0], "TCPLOCALPORT": str(remote[1])}


def test_pass_env_passes_a_variable_on_and_no_other(lab, home, uid):
    checker = Script(home, NOTES_ENVIRONMENT)
    noted = noted_environment(lab, home, checker, "--pass-env", "WANTED", "--pass-env", "UNSET",
                              uid=uid, env={"WANTED": "a=b c", "WANTED2": "x"})[1]
    assert noted["WANTED"] == "a=b c"
    assert not {"WANTED2", "UNSET"} & noted.keys(), noted


def test_off_a_socket_the_environment_names_the_client(lab, home, uid):
    """As with a TLS wrapper that speaks through pipes."""
    for given, wanted in (
            ({"REMOTE_HOST": "::ffff:192.0.2.7"}, {"PROTO": "TCP", "TCPREMOTEIP": "192.0.2.7"}),
            ({"TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "4711", "TCPLOCALIP": "192.0.2.1",
              "TCPLOCALPORT": "995"},
             {"PROTO": "TCP", "TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "4711",
              "TCPLOCALIP": "192.0.2.1", "TCPLOCALPORT": "995"}),
            ({"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "99"},
             {"PROTO": "TCP6", "TCPREMOTEIP": "2001:db8::1", "TCPREMOTEPORT": "99"}),
            ({"REMOTE_HOST": "x\ny", "REMOTE_PORT": "99999"}, {})):
        checker = Script(home, NOTES_ENVIRONMENT, f"checker{len(os.listdir(lab.directory))}")
        # A client on another host that is not known to use TLS.
        noted = noted_environment(lab, home, checker, "--allow-cleartext", uid=uid,
                                  transport="pipes", env=given)[1]
        del noted["PATH"], noted["SERVICE"], noted["AUTH_MECHANISM"]
        del noted["POP3D_LOGIN"], noted["POP3D_SESSION"]
        assert noted == wanted, f"given {given}"


def test_there_is_always_a_path(lab, home):
    checker = Script(home, NOTES_ENVIRONMENT)
    noted = noted_environment(lab, home, checker, wrapper=["/usr/bin/env", "-u", "PATH"])[1]
    assert "/usr/bin" in noted.get("PATH", "").split(":"), noted


# -- secrets


def places_with(secret):
    """Command lines and environments on this machine that contain the octets."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if secret in file.read():
                        found.append(f"/proc/{pid}/{name}")
            except OSError:
                pass
    return found


def test_the_password_is_in_no_command_line_and_no_environment(lab, home, uid):
    home.add_seeds()
    secret = "only-here-" + os.urandom(8).hex()
    checker = Script(home, READS + "while [ ! -e @NOTES@/go ]; do sleep 0.05; done\n@SESSION@\n")
    server = start(lab, home, [checker.path], uid=uid)
    server.ask("USER kermit")
    server.send(f"PASS {secret}\r\n".encode())
    assert credentials(checker)[1] == secret.encode()
    assert places_with(secret.encode()) == []
    with open(os.path.join(checker.notes, "go"), "wb"):
        pass
    expect(server, server.line(), "+OK 4 messages")
    assert places_with(secret.encode()) == []
    server.quit()
    assert secret not in server.log()


# -- several tries


def test_a_wrong_password_and_then_the_right_one(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, checkpw(lab, home) if uid is None or not ROOT
                   else [lab.checker, home.table], uid=uid)
    expect(server, log_in(server, home.login, "wrong"), "-ERR [AUTH] login failed")
    expect(server, log_in(server, "nobody", home.password), "-ERR [AUTH] login failed")
    serves(server, home)


def test_three_failures_end_the_connection(lab, home, uid):
    for exit_status in (1, 111):
        checker = Script(home, f"echo >>@NOTES@/runs\nexit {exit_status}\n",
                         f"checker{exit_status}")
        server = start(lab, home, [checker.path], uid=uid)
        server.send(b"".join(b"USER a\r\nPASS b%d\r\n" % i for i in range(5)) + b"QUIT\r\n")
        replies = server.rest().decode().splitlines()
        verdict = verdict_of(exit_status)
        assert [reply[:len(verdict)] for reply in replies[1::2]] == [verdict] * 3, server.report()
        assert len(replies) == 6, server.report()
        server.ended()
        assert checker.note("runs") == b"\n" * 3


def test_a_failure_is_answered_after_a_growing_delay(lab, home):
    server = start(lab, home, [Script(home, "exit 1\n").path], "--fail-delay", "1")
    for seconds in (1, 2):
        begin = time.monotonic()
        expect(server, log_in(server, "kermit", f"x{seconds}"), REFUSED)
        taken = time.monotonic() - begin
        assert seconds - 0.05 <= taken < seconds + 2, f"{taken} s instead of {seconds}"


def test_a_login_cannot_forge_a_log_line(lab, home, uid):
    server = start(lab, home, [Script(home, "exit 1\n").path], uid=uid, transport="tcp")
    expect(server, log_in(server, "x ip=192.0.2.9 user=y", "z"), REFUSED)
    line = log_line(server, "login-failed", "ip=127.0.0.1")
    assert re.sub(r'"[^"]*"', '""', line).count(" ip=") == 1, line


# -- what it inherits


DESCRIPTORS = """import os
def target(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return None
found = {n: t for n in map(int, os.listdir("/proc/self/fd")) if (t := target(n))}
with open("@NOTES@/descriptors", "w") as note:
    note.write(repr(found))
with open("/proc/self/status") as status, open("@NOTES@/status", "w") as note:
    note.write(status.read())
os._exit(1)
"""

# What superservers leave set, and worse.
LEFT_BEHIND = """import os, signal, sys
os.umask(0)
for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM,
               signal.SIGALRM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
for number in (*range(3, 40), 200, 1000):
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), number)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_a_superserver_left_behind_reaches_no_checker(lab, home, uid):
    checker = Script(home, DESCRIPTORS, python=True)
    wrapper = ["/usr/bin/python3", "-IS", "-c", LEFT_BEHIND]
    for stderr in (None, "client"):
        server = start(lab, home, [checker.path], uid=uid, stderr=stderr, wrapper=wrapper)
        expect(server, log_in(server, "kermit", "x"), REFUSED)
        found = eval(checker.note("descriptors"))  # pylint: disable=eval-used
        assert set(found) == {0, 1, 2, 3, 7}, f"{found}\n{server.report()}"
        assert found[0].startswith("socket:") and found[0] == found[1], found
        assert found[3].startswith("pipe:") and found[7].startswith("pipe:"), found
        if stderr == "client":
            assert found[2].startswith("pipe:"), found
        status = dict(line.split(":\t", 1) for line in checker.note("status").decode().splitlines()
                      if ":\t" in line)
        assert status["SigBlk"] == "0" * 16, status
        # Python itself ignores SIGPIPE and SIGXFSZ. Signals from 32 on belong to the C library.
        assert int(status["SigIgn"], 16) & 0x7fffffff & ~(1 << 12 | 1 << 24) == 0, status
        assert int(status["Umask"], 8) & 0o022 == 0o022, status


def test_a_login_works_whatever_a_superserver_left_behind(lab, home, uid):
    home.add_seeds()
    wrapper = ["/usr/bin/python3", "-IS", "-c", LEFT_BEHIND]
    server = start(lab, home, [Script(home, LETS_IN).path], uid=uid, wrapper=wrapper)
    serves(server, home)


def test_the_session_holds_nothing_but_the_connection_and_its_maildrop(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, [Script(home, LETS_IN).path], uid=uid, transport="tcp",
                   stderr="client")
    expect(server, log_in(server, home.login, home.password), "+OK 4 messages")
    ask(server, "NOOP", "+OK")
    # The greeter is told that it is over at about the time when the session begins.
    assert retry_until(lambda: len(tree_of(server.process.pid)) == 2, 5), server.report()
    session = tree_of(server.process.pid)[1]
    status = status_of(session)
    wanted = str(MAIL_UID if ROOT else os.getuid())
    assert status["Uid"].split() == [wanted] * 4, status
    assert status["Gid"].split() == [str(MAIL_GID)] * 4, status
    held = jail.descriptors(session)
    # Besides these there is the way to syslog, because standard error is the client's.
    with open("/proc/net/unix", encoding="ascii") as table:
        local_sockets = {f"socket:[{line.split()[6]}]" for line in list(table)[1:]}
    foreign = {number: target for number, target in held.items() if number > 2
               and not target.startswith(os.path.join(home.path, "Maildir"))
               and target not in local_sockets}
    assert not foreign, held
    server.quit()


# -- a session that could not say that it runs


def test_the_monitor_is_confined_though_the_checker_closed_the_status_descriptor(lab, home, uid):
    home.add_seeds()
    server = start(lab, home, [Script(home, READS + CLOSES + "@SESSION@\n").path], uid=uid)
    expect(server, log_in(server, home.login, home.password), "+OK 4 messages")
    monitor = server.process.pid
    confined = retry_until(lambda: status_of(monitor)["NoNewPrivs"] == "1", 5)
    assert confined, server.report()
    assert retry_until(lambda: len(tree_of(monitor)) == 2, 5), server.report()
    assert "login ip=" in server.log(), server.report()


def test_the_mark_of_one_session_is_not_taken_for_another_on_the_same_file(lab, home, uid):
    """A script runs two sessions one after another, into one pipe."""
    home.add_seeds()
    closer = Script(home, READS + CLOSES + "@SESSION@\n")
    reader, writer = os.pipe()
    for script, password in ((closer, home.password),
                             (Script(home, "exit 1\n", name="refuser"), "wrong")):
        commands = f"USER {home.login}\r\nPASS {password}\r\nQUIT\r\n".encode()
        arguments = [lab.pop3d, "--hostname", harness.HOST, "--fail-delay", "0",
                     "--", script.path]
        subprocess.run(arguments, input=commands, stdout=writer, stderr=subprocess.DEVNULL,
                       env=lab.environment(), user=uid, check=False, timeout=20)
    os.close(writer)
    with os.fdopen(reader, "rb") as came:
        replies = came.read().split(b"\r\n")
    assert replies[2] == b"+OK 4 messages (2007 octets)", replies
    assert replies[6:8] == [b"-ERR [AUTH] login failed",
                            f"+OK {harness.HOST} POP3 server signing off".encode()], replies


# -- a checker that runs its first argument only


def test_a_checker_that_drops_the_arguments_starts_no_second_front(lab, home, uid):
    """Published checkers do: exec "$1". After PASS another greeting came, with tries of its own."""
    server = start(lab, home, [Script(home, 'exec "$1"\n').path], uid=uid)
    expect(server, log_in(server, "kermit", "x"), MISCONFIGURED)
    ask(server, "QUIT", "+OK")
    assert server.rest() == b"", server.report()
    server.ended()
    log_line(server, "configuration problem=checker-dropped-arguments", "help=")
