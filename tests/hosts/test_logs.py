"""What gets into a log, and what does not: misleading names, checkers that write, fail2ban."""
import calendar
import concurrent.futures
import os
import re
import shutil
import socket
import stat
import subprocess
import time

import pytest

import harness
import jail
from harness import MAIL_GID, MAIL_UID, ROOT, retry_until
from launch import LETS_IN, READS, TREE, Script, find_program
from test_checkpassword import log_in, start, syslog  # noqa: F401 (syslog is a fixture)

# A line of the log: an event, then key=value. A value is one word, or quoted and escaped.
VALUE = r'(?:"(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*"|[!#-<>-\[\]-~]*)'
EVENT = re.compile(rf"pop3d\[\d+\]: [a-z0-9-]+(?: [a-z0-9-]+={VALUE})*\Z")
RELAYED_LINES = 50


def check_lines(text):
    """Every line is one of pop3d's, and says only what it seems to say."""
    lines = text.split("\n")
    assert lines.pop() == "", repr(text[-200:])
    assert lines
    wrong = [line for line in lines if not EVENT.match(line)]
    assert not wrong, wrong
    return lines


# -- names of files

MISLEADING = {
    "newline": b"1.a\npop3d[1]: login-failed ip=203.0.113.66 port=1 user=x",
    "crlf-reply": b"2.b\r\n-ERR pwned\r\n.\r\n",
    "escape": b"3.c\x1b[2J\x1b]0;owned\x07",
    "blanks": b"4.d ip=203.0.113.66 user=root",
    "quotes": b'5.e" ip=203.0.113.66 x="',
    "eight-bit": b"6.f\xff\xfe\x80\xc3\xa4",
    "backslash": b"7.g\\x22\\n",
    "long": b"8." + b"h\n" * 126,
    "controls": b"9." + bytes(o for o in range(1, 32)) + b"\x7f",
    "percent": b"10.%s%n%n%s%d",
    "lying-size": b"11.a\nb,W=5:2,",
}


def fill_with_misleading(home):
    for number, name in enumerate(MISLEADING.values()):
        path = home.maildir.add(name, b"Subject: %d\n\nbody\n" % number, sub="cur")
        if b",W=" not in name:
            os.chmod(path, 0)  # A process that tries to read it logs its name.


def walk(server, count):
    """Every command that can show or log a name. Returns everything that was answered."""
    for command in ("LIST", "UIDL"):
        server.ask_multi(command)
    # the last first: a session logs a bounded number of unreadable messages
    for number in range(count, 0, -1):
        for command in (f"LIST {number}", f"UIDL {number}"):
            assert server.ask(command).startswith("+OK"), server.report()
        for command in (f"RETR {number}", f"TOP {number} 5"):
            if server.ask(command).startswith("+OK"):
                server.body()
        assert server.ask(f"DELE {number}").startswith("+OK"), server.report()
    return bytes(server.got)


def check_replies(octets):
    for line in octets.split(b"\r\n")[:-1]:
        assert re.fullmatch(rb"[ -~\x80-\xff]*", line), line
        assert not line.startswith(b"-ERR pwned"), line


@pytest.mark.parametrize("sink", ["stderr", "syslog"])
def test_a_file_name_injects_nothing_into_replies_and_logs(lab, home, request, sink):
    how = {}
    if sink == "syslog":
        log = request.getfixturevalue("syslog")
        how = {"stderr": "client", "wrapper": log.wrapper}
    fill_with_misleading(home)
    server = lab.serve(home, "--debug", transport="tcp", **how)
    server.line()
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith(f"+OK {len(MISLEADING)} messages"), \
        server.report()
    check_replies(walk(server, len(MISLEADING)))
    # An update that cannot remove them logs as well.
    os.chmod(home.maildir.at("cur"), 0o500)
    server.ask("QUIT")
    server.rest()
    server.ended()
    os.chmod(home.maildir.at("cur"), 0o700)
    if sink == "stderr":
        lines = check_lines(server.log())
    else:
        retry_until(lambda: any("logout" in line for line in log.lines), 5)
        datagrams = [re.sub(r"^<\d+>", "", line).rstrip("\0\n")
                     for line in log.lines]
        lines = check_lines("\n".join(datagrams) + "\n")
    assert any("message-unreadable" in line for line in lines), lines
    assert any("size-wrong" in line for line in lines), lines


# -- what joins the lines of a connection


def test_every_line_of_a_connection_has_its_session_and_the_login_as_typed(lab, home):
    """Also where the checker calls the user by another name."""
    home.add_seeds()
    checker = Script(home, "echo hello >&2\n" + LETS_IN.replace("@SESSION@", "export USER=account\n"
                                                               "@SESSION@"))
    server = start(lab, home, [checker.path], "--debug", transport="tcp")
    assert log_in(server, "kermit@example.org", "x").startswith("+OK"), server.report()
    server.ask("QUIT")
    server.ended()
    lines = [line for line in server.log().splitlines() if line != "hello"]
    check_lines("\n".join(lines) + "\n")
    ids = {re.search(r" session=([0-9a-f]{8})$", line)[1] for line in lines}
    assert len(ids) == 1, lines
    assert any(" logout ip=127.0.0.1 user=kermit@example.org account=account " in line
               for line in lines), lines


def test_a_login_is_logged_before_its_logout(lab, home):
    """The monitor logs the one, the session the other, which may have nothing to wait for."""
    home.add_seeds()

    def log_of_session(_):
        server = lab.serve(home, transport="tcp")
        server.send(b"USER kermit\r\nPASS geheim\r\nQUIT\r\n")
        server.rest()
        server.ended()
        return server.log()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for log in pool.map(log_of_session, range(160)):
            assert 0 < log.index(" login ") < log.index(" logout "), log


# -- names of users, directories, variables

LOGINS = [b"x ip=203.0.113.66 port=1 user=y", b'x" ip=203.0.113.66 "', b"x\x1b[2J", b"\x08\x08\x08",
          b"203.0.113.66", b"pop3d[1]: login-failed ip=203.0.113.66 port=1 user=x",
          b"x\\", b"x\\x22",
          b"\xe4\xf6\xfc", "müller".encode(), b"x" * 200, b"\x1b" * 200, b"%s%n", b"=", b'"', b" "]


def try_logins(lab, home, checker, logins, **how):
    """A failed login with each name, three in a connection. Returns the servers, ended."""
    servers = []
    for first in range(0, len(logins), 3):
        server = start(lab, home, [checker.path], "--allow-cleartext", **how)
        for login in logins[first:first + 3]:
            server.send(b"USER " + login + b"\r\nPASS x\r\n")
            assert server.line() == "+OK password required", server.report()
            assert server.line().startswith("-ERR [AUTH]"), server.report()
        server.ask("QUIT")
        server.ended()
        servers.append(server)
    return servers


@pytest.mark.parametrize("options", [[], ["--debug"]], ids=["plain", "debug"])
def test_a_login_name_cannot_leave_its_place_in_the_log(lab, home, options):
    checker = Script(home, READS + "exit 1\n")
    for login in LOGINS:
        server = start(lab, home, [checker.path], *options, transport="tcp")
        server.send(b"USER " + login + b"\r\nPASS x\r\n")
        server.line()
        assert server.line().startswith("-ERR [AUTH]"), server.report()
        server.ask("QUIT")
        server.ended()
        failed = [line for line in check_lines(server.log())
                  if line.split()[1] == "login-failed"]
        assert len(failed) == 1, server.report()
        assert re.search(r"^pop3d\[\d+\]: login-failed ip=127\.0\.0\.1 port=\d+ user=",
                         failed[0]), failed


def test_what_a_checker_sets_cannot_leave_its_place_in_the_log(lab, home):
    """A name and a directory from a database are no more trustworthy than the client's."""
    misleading = "x\npop3d[1]: login-failed ip=203.0.113.66 port=1 user=y\x1b"
    sets = f"USER='{misleading}' MAILDIR='{misleading}'\nexport USER MAILDIR\n"
    for maildir in (misleading, os.fsdecode(home.maildir.path)):
        text = READS + sets + f"MAILDIR='{maildir}'\n" + "@SESSION@\n"
        checker = Script(home, text, f"checker{len(maildir)}")
        server = start(lab, home, [checker.path], "--debug")
        log_in(server, "kermit", "x")
        server.ask("QUIT")
        server.ended()
        lines = check_lines(server.log())
        assert any("logout" in line and "user=" in line for line in lines), server.report()


# -- what a checker writes


def test_control_characters_of_a_checker_are_escaped(lab, home, syslog):  # noqa: F811
    if not ROOT:
        pytest.skip("needs root for a /dev of its own")
    says = "printf 'bad \\033[2J \\007 \\r \\t \\377 \"quoted\" \\\\ end\\nsecond\\n' >&2\nexit 1\n"
    server = start(lab, home, [Script(home, READS + says).path], stderr="client", transport="tcp",
                   wrapper=syslog.wrapper)
    log_in(server, "kermit", "x")
    server.close()
    server.ended()
    syslog.find('checker-says text="bad \\x1b[2J \\x07 \\x0d \\x09 \\xff \\x22quoted\\x22 '
                '\\x5c end"')
    syslog.find("checker-says text=second")


NOISES = {
    "lines": "yes 'one more line' | head -c 1048576 >&2\n",
    "one-line": "tr '\\0' x </dev/zero | head -c 1048576 >&2\n",
    "noughts": "head -c 1048576 /dev/zero >&2\n",
    "empty-lines": "yes '' | head -c 1048576 >&2\n",
    "left-behind": "(yes 'still here' | head -c 1048576 >&2) & ",
}


@pytest.mark.parametrize("noise", NOISES)
def test_a_megabyte_from_a_checker_is_few_lines(lab, home, syslog, noise):  # noqa: F811
    checker = Script(home, READS + NOISES[noise] + "exit 1\n")
    server = start(lab, home, [checker.path], stderr="client", transport="tcp",
                   wrapper=syslog.wrapper)
    peak_before = peak_memory(server.process.pid)
    assert log_in(server, "kermit", "x").startswith("-ERR [AUTH]"), server.report()
    assert peak_memory(server.process.pid) - peak_before < 200000, "octets"
    server.ask("QUIT")
    server.ended()
    says = [line for line in syslog.lines if "checker-says" in line]
    assert len(says) <= RELAYED_LINES + 1, len(says)
    assert max(map(len, syslog.lines)) < 1100
    if noise in ("lines", "one-line"):
        syslog.find("checker-says-too-much")


def peak_memory(pid):
    return int(jail.read_status(pid)["VmHWM"].split()[0]) * 1024


# -- a set-uid checker

SET_UID = """#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char octets[512];
	const uid_t becomes = geteuid();
	if (argc < 3 || read(3, octets, sizeof octets) < 1 || close(3) != 0)
		return 2;
	if (becomes == getuid())
		return 1; /* the set-uid bit did nothing */
	if (setresuid(becomes, becomes, becomes) != 0 || chdir(argv[1]) != 0)
		return 111;
	execv(argv[2], argv + 2);
	return 111;
}
"""


def test_a_set_uid_checker_gives_a_session_to_its_owner(lab, home):
    """If the superserver is not root, nothing that the checker inherits takes its rights."""
    if not ROOT:
        pytest.skip("needs root to make a program set-uid")
    if os.statvfs(lab.directory).f_flag & os.ST_NOSUID:
        pytest.skip(f"{lab.directory} is on a file system mounted nosuid")
    home.add_seeds()
    program = home.path + ".set-uid"
    source = home.script("set-uid.c", SET_UID)
    subprocess.run([os.environ.get("CC", "cc"), "-o", program, source], check=True)
    os.chown(program, MAIL_UID, MAIL_GID)
    os.chmod(program, 0o4755)
    assert stat.S_IMODE(os.stat(program).st_mode) == 0o4755
    server = start(lab, home, [program, home.path], uid=MAIL_UID + 1)
    assert log_in(server, "kermit", "x") == "+OK 4 messages (2007 octets)", server.report()
    assert retry_until(lambda: len(server.processes()) == 2), server.report()
    session = max(server.processes())
    assert jail.read_status(session)["Uid"].split() == [str(MAIL_UID)] * 4
    server.ask("DELE 1")
    assert server.quit().startswith("+OK"), server.report()
    assert len(home.maildir.names()) == 3


# -- fail2ban

FILTER = os.path.join(TREE, "fail2ban", "filter.d", "pop3d.conf")
FORGED = "203.0.113.66"
ADDRESSES = {"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.8": "192.0.2.8",
             "2001:db8::7": "2001:db8::7", "2001:DB8:0:0::0009": "2001:db8::9"}


_captured = []


def real_lines(lab, home):
    """Lines of failed logins as the server wrote them: every misleading name, every address."""
    if _captured:
        return _captured
    lines = _captured
    checker = Script(home, READS + "exit 1\n")
    for address in ADDRESSES:
        environment = {"TCPREMOTEIP": address, "TCPREMOTEPORT": "40222"}
        for server in try_logins(lab, home, checker, LOGINS, env=environment, transport="pipes"):
            lines += server.log().splitlines()
            jail.finish(lab, server)
    return lines


# Each form of a log: what precedes the program's own words.
def as_syslog(line):
    return time.strftime("%b %e %H:%M:%S mail.example ", time.localtime()) + line


def as_rfc3339(line):
    return time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00 mail ", time.gmtime()) + line


def as_multilog(line):
    return f"@{(1 << 62) + 10 + calendar.timegm(time.gmtime()):016x}0b2c1f3c {line}"


# How a line begins, what the filter must be told, options of fail2ban-regex.
FORMS = {"syslog": (as_syslog, "syslog", []), "rfc3339": (as_rfc3339, "syslog", []),
         "multilog": (as_multilog, "stderr", []),
         "without-times": (lambda line: line, "stderr", ["-d", "{NONE}"])}


def regex(path, *options, log="syslog", mode="normal"):
    """The result of fail2ban-regex, in words: with -o ip the addresses that it finds."""
    program = find_program("fail2ban-regex", "fail2ban")
    done = subprocess.run([program, *options, path, f"{FILTER}[log={log}, mode={mode}]"],
                          capture_output=True, text=True, check=False)
    return done.stdout.split() if "-o" in options else done.stdout


@pytest.mark.parametrize("form", FORMS)
def test_fail2ban_finds_the_true_address_of_every_failure(lab, home, tmp_path, form):
    add_time, log, options = FORMS[form]
    find_program("fail2ban-regex", "fail2ban")
    lines = real_lines(lab, home)
    path = str(tmp_path / "log")
    with open(path, "w", encoding="latin-1") as file:
        file.writelines(add_time(line) + "\n" for line in lines)
    found = regex(path, *options, "-o", "ip", log=log)
    assert len(found) == len(LOGINS) * len(ADDRESSES)
    assert {address: found.count(address) for address in set(found)} == \
        {address: len(LOGINS) for address in ADDRESSES.values()}
    said = regex(path, *options, log=log)
    print(f"\n{form}: " + ", ".join(re.findall(r"^(?:Failregex|Lines): .*", said, re.MULTILINE)),
          sorted(set(found)))


def test_fail2ban_takes_no_line_of_a_checker_for_one_of_ours(tmp_path):
    """In a log that they share, as under tcpserver, whatever login name the checker repeats."""
    path = str(tmp_path / "log")
    forged = f"pop3d[1]: login-failed ip={FORGED} port=1 user=x"
    with open(path, "w", encoding="ascii") as file:
        for line in (f"unknown {forged}", f"auth: user {forged}", f"x {forged}",
                     f'"{forged}"', f"{forged} is unknown"):
            file.write(as_multilog(line) + "\n")
    assert regex(path, "-o", "ip", log="stderr") == []


def test_fail2ban_finds_nothing_in_a_good_session(lab, home, tmp_path):
    home.add_seeds()
    server = lab.serve(home, "--debug", "--allow-cleartext", transport="pipes",
                       env={"TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "40222"})
    server.line()
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    server.quit()
    path = tmp_path / "log"
    path.write_text("".join(as_syslog(line) + "\n" for line in server.log().splitlines()))
    for mode in ("normal", "aggressive"):
        assert regex(str(path), "-o", "ip", mode=mode) == []


def test_fail2ban_in_its_aggressive_mode_finds_nonsense(lab, home, tmp_path):
    environment = {"TCPREMOTEIP": "192.0.2.7", "TCPREMOTEPORT": "40222"}
    path = tmp_path / "log"
    talk = {"bad-commands": (["--allow-cleartext"], b"GET / HTTP/1.1\r\n" * 10),
            "timeout": (["--login-timeout", "1"], b""),
            "clear-text-refused": ([], b"USER x\r\nQUIT\r\n")}
    for reason, (options, octets) in talk.items():
        server = lab.serve(home, *options, transport="pipes", env=environment)
        server.send(octets)
        server.rest()
        server.ended()
        path.write_text("".join(as_syslog(line) + "\n" for line in server.log().splitlines()))
        assert regex(str(path), "-o", "ip", mode="aggressive") == ["192.0.2.7"], \
            f"{reason}\n{server.report()}"
        assert regex(str(path), "-o", "ip") == []


class Fail2ban:
    """fail2ban-server with the shipped filter and jail, in its own directory, banning nobody."""

    def __init__(self, directory, log_path):
        self.directory = str(directory)
        installed = os.path.join(self.directory, "etc")
        shutil.copytree("/etc/fail2ban", installed)
        shutil.rmtree(os.path.join(installed, "jail.d"))
        shutil.copytree(os.path.join(TREE, "fail2ban", "jail.d"), os.path.join(installed, "jail.d"))
        shutil.copy(FILTER, os.path.join(installed, "filter.d"))
        # The shipped jail, with another log and without a firewall to tell.
        with open(os.path.join(installed, "jail.local"), "w", encoding="ascii") as file:
            file.write(f"[pop3d]\nlogpath = {log_path}\nbackend = polling\naction =\n")
        with open(os.path.join(installed, "fail2ban.local"), "w", encoding="ascii") as file:
            file.write(f"[Definition]\ndbfile = None\nlogtarget = {self.directory}/log\n")
        self.options = ["-c", installed, "-s", os.path.join(self.directory, "socket"),
                        "-p", os.path.join(self.directory, "pid")]
        self.process = subprocess.Popen([find_program("fail2ban-server", "fail2ban"), "-f",
                                         *self.options, "start"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self, *command):
        program = find_program("fail2ban-client", "fail2ban")
        done = subprocess.run([program, *self.options, *command], capture_output=True, text=True,
                              check=False)
        return done.stdout

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
            return file.read()

    def banned(self):
        return set(self.client("get", "pop3d", "banip").split())

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_fail2ban_bans_the_true_address_with_the_shipped_jail(lab, home, tmp_path):
    find_program("fail2ban-server", "fail2ban")
    lines = real_lines(lab, home)
    path = tmp_path / "mail.log"
    path.write_text("")
    (tmp_path / "fail2ban").mkdir()
    server = Fail2ban(tmp_path / "fail2ban", path)
    try:
        up = retry_until(lambda: "pop3d" in server.client("status"), 20, 0.2)
        assert up, server.client("status") + server.log()
        with open(path, "a", encoding="latin-1") as file:
            file.writelines(as_syslog(line) + "\n" for line in lines)
        wanted = set(ADDRESSES.values())
        retry_until(lambda: server.banned() >= wanted, 15, 0.3)
        assert server.banned() == wanted, server.log()
    finally:
        server.close()
