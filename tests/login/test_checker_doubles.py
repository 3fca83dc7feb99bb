"""Stand-ins for published checkers, with their habits: field order, statuses, last argument.

The programs themselves are in no package of Debian 12. Each double does what the source of its model
does between descriptor 3 and exec, and nothing else.
"""
import base64
import hashlib
import hmac
import os

import pytest

from harness import MAIL_GID, MAIL_UID, ROOT, Maildir
from launch import TREE, Script
from machine import machine  # a fixture, pylint: disable=unused-import
from machine import blocks

REFUSED, MISCONFIGURED, TEMPORARY = "-ERR [AUTH]", "-ERR [SYS/PERM]", "-ERR [SYS/TEMP]"
LOGIN, PASSWORD = "kermit", "bananas"

# What all of them begin with. vchkpw reads no more than 156 octets.
READS = f"""
import hashlib, hmac, os, sys
octets = b""
while len(octets) < 156 and (piece := os.read(3, 156 - len(octets))):
    octets += piece
os.close(3)
login, second, third = (octets.split(b"\\0") + [b"", b""])[:3]
login = login.decode("latin-1")
password = b"{PASSWORD}"

def become(home):
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid({MAIL_GID})
        os.setuid({MAIL_UID})
    os.chdir(home)
    os.environ.update(USER=login, HOME=home, SHELL="/bin/sh")
"""

VCHKPW = READS + """
digest = hmac.new(password, third, hashlib.md5).hexdigest().encode()
if not login.replace("@", "").replace(".", "").isalnum():
    sys.exit(20)
if login == "passwduser":
    sys.exit(21)
if login == "shadowuser":
    sys.exit(23)
if login != "kermit" or second not in (password, digest):
    sys.exit(3)
become("@HOME@")
os.execv(sys.argv[1], sys.argv[1:])
"""

# Reads the challenge before the response, as indimail does.
CHALLENGE_FIRST = READS + """
if second != password and hmac.new(password, second, hashlib.md5).hexdigest().encode() != third:
    sys.exit(1)
become("@HOME@")
os.execv(sys.argv[1], sys.argv[1:])
"""

# The virtual user's Maildir replaces the last argument, whatever that is.
CHECKVPW = READS + """
if login != "kermit" or second != password:
    sys.exit(1)
become("@HOME@")
os.environ["MAILDIR"] = "/nonexistent"
os.execv(sys.argv[1], [*sys.argv[1:-1], "@HOME@/users/kermit"])
"""

# Makes the Maildir that the last argument names, if there is none; 2 and 4 are its refusals.
AUTH_POP = READS + """
if login != "kermit":
    sys.exit(4)
if second != password:
    sys.exit(2)
become("@HOME@")
for part in ("", "/new", "/cur", "/tmp"):
    if not os.path.isdir(sys.argv[-1] + part):
        os.mkdir(sys.argv[-1] + part, 0o700)
os.execv(sys.argv[1], sys.argv[1:])
"""

# Remains the parent of the session, and ends as it ends.
FORKING = READS + """
if login != "kermit" or second != password:
    sys.exit(1)
child = os.fork()
if child == 0:
    become("@HOME@")
    os.execv(sys.argv[1], sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
"""

FIRST_ONLY = READS + """
if login != "kermit" or second != password:
    sys.exit(1)
become("@HOME@")
os.execv(sys.argv[1], sys.argv[1:2])
"""

DOUBLES = {"vchkpw": VCHKPW, "challenge-first": CHALLENGE_FIRST, "checkvpw": CHECKVPW,
           "auth_pop": AUTH_POP, "forking": FORKING, "first-only": FIRST_ONLY}
SERVE = ["vchkpw", "challenge-first", "auth_pop", "forking"]


def start(lab, home, name, *options, **how):
    if "checker" not in how:
        how["checker"] = [Script(home, DOUBLES[name], name=name, python=True).path]
    server = lab.serve(home, *options, **how)
    assert server.line().startswith("+OK "), server.report()
    return server


def log_in(server, login=LOGIN, password=PASSWORD):
    server.ask(f"USER {login}")
    return server.ask(f"PASS {password}")


def cram(server, login=LOGIN, password=PASSWORD):
    challenge = base64.b64decode(server.ask("AUTH CRAM-MD5").removeprefix("+ "))
    digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
    return server.ask(base64.b64encode(f"{login} {digest}".encode()).decode())


@pytest.mark.parametrize("name", SERVE)
@pytest.mark.parametrize("transport", ["socketpair", "tcp"])
def test_a_session_under_each_of_them(lab, home, name, transport):
    home.add_seeds()
    server = start(lab, home, name, transport=transport)
    assert log_in(server, password="wrong").startswith(
        REFUSED if name != "auth_pop" else MISCONFIGURED), server.report()
    assert log_in(server) == "+OK 4 messages (2007 octets)", server.report()
    assert server.ask("DELE 1").startswith("+OK")
    assert "3 messages left" in server.quit(), server.report()
    assert sorted(os.listdir(home.path)) == ["Maildir"]


def test_the_language_of_the_client_survives_each_of_them(lab, home):
    """It used to be the last argument, which some of them drop or make a directory of."""
    home.add_seeds()
    of_kermit(home)
    for name in (*SERVE, "checkvpw"):
        server = start(lab, home, name)
        assert server.ask("LANG de").startswith("+OK de"), server.report()
        log_in(server)
        assert "Nachricht" in server.ask("RETR 99"), server.report()
        server.quit()
    assert sorted(os.listdir(home.path)) == ["Maildir", "users"]


def of_kermit(home):
    """The Maildir that checkvpw's double chooses."""
    os.mkdir(os.path.join(home.path, "users"))
    return Maildir(os.path.join(home.path, "users", "kermit"))


def test_checkvpw_chooses_the_maildir_by_the_last_argument(lab, home):
    home.add_seeds()
    of_kermit(home).add("1.a", b"Subject: x\n\nother\n")
    server = start(lab, home, "checkvpw")
    assert log_in(server) == "+OK 1 message (21 octets)", server.report()
    server.quit()


def test_auth_pop_makes_a_maildir_and_nothing_else(lab, home):
    os.rename(os.path.join(home.path, "Maildir"), home.path + ".away")
    if ROOT:
        os.chown(home.path, MAIL_UID, MAIL_GID)
    server = start(lab, home, "auth_pop")
    assert log_in(server) == "+OK 0 messages (0 octets)", server.report()
    server.quit()
    assert os.listdir(home.path) == ["Maildir"]


@pytest.mark.parametrize("login, status", [("unknown", 3), ("bad!", 20), ("passwduser", 21),
                                           ("shadowuser", 23)])
def test_every_refusal_of_vchkpw_is_one(lab, home, login, status):
    """What counts as temporary for some logins alone shows who has a mailbox."""
    server = start(lab, home, "vchkpw")
    assert log_in(server, login).startswith(REFUSED), (status, server.report())
    server.quit()


def test_other_statuses_are_refusals_where_the_administrator_says_so(lab, home):
    server = start(lab, home, "auth_pop", "--refused-status", "2", "--refused-status", "4")
    assert log_in(server, "unknown").startswith(REFUSED), server.report()
    assert log_in(server, password="wrong").startswith(REFUSED), server.report()
    assert log_in(server).startswith("+OK"), server.report()
    server.quit()
    server = start(lab, home, "auth_pop", checker=["sh", "-c", "exit 4"])
    assert log_in(server).startswith(TEMPORARY), server.report()
    server.quit()


@pytest.mark.parametrize("status", ["0", "256", "-1", "x", ""])
def test_what_is_no_exit_status_is_a_wrong_option(lab, home, status):
    server = lab.start([lab.pop3d, "--refused-status", status])
    assert server.rest() == b""
    assert server.ended() == 100


@pytest.mark.parametrize("name, works", [("vchkpw", True), ("challenge-first", False)])
def test_the_order_of_the_fields_of_cram_md5(lab, home, name, works):
    """doc/CHECKPASSWORD names the checkers of both orders."""
    home.add_seeds()
    server = start(lab, home, name, "--sasl", "cram-md5")
    assert cram(server).startswith("+OK 4" if works else REFUSED), server.report()
    server.quit()


def test_a_long_login_is_refused_by_vchkpw_and_harms_nobody(lab, home):
    server = start(lab, home, "vchkpw")
    assert log_in(server, "k" * 200).startswith(REFUSED), server.report()
    home.add_seeds()
    assert log_in(server) == "+OK 4 messages (2007 octets)", server.report()
    server.quit()


@pytest.mark.parametrize("fork", [False, True])
def test_one_that_execs_its_first_argument_only_starts_no_second_front(lab, home, fork):
    text = FIRST_ONLY
    if fork:
        text = text.replace('become("@HOME@")', "if os.fork():\n    os._exit(os.waitstatus_to_"
                            'exitcode(os.wait()[1]))\nbecome("@HOME@")')
    server = start(lab, home, "first-only", checker=[Script(home, text, python=True).path])
    assert log_in(server).startswith(MISCONFIGURED), server.report()
    assert server.ask("QUIT").startswith("+OK")
    assert server.rest() == b"", server.report()
    server.ended()
    assert "checker-dropped-arguments" in server.log(), server.report()


# -- PAM with modules that read files, for users that are not in /etc/passwd


def session(machine, login, password):
    """The replies to a login and QUIT, by pop3d-checkpw --system."""
    commands = f"USER {login}\r\nPASS {password}\r\nQUIT\r\n".encode()
    done = machine.run("pop3d", "--fail-delay", "0", "--", "/usr/local/sbin/pop3d-checkpw",
                       "--system", text=commands)
    return done.stdout.decode().split("\r\n")[2], done.stderr.decode()


def test_pam_with_a_file_of_users_without_account(machine):
    """pam_pwdfile knows the password; libnss-extrausers gives them uid and home."""
    if not os.path.exists("/usr/share/doc/libpam-pwdfile") or \
            not os.path.exists("/usr/share/doc/libnss-extrausers"):
        pytest.skip("libpam-pwdfile and libnss-extrausers are not installed (./bootstrap deps)")
    machine.follow(blocks("A mailbox by hand")[0], directory=TREE)
    hashed = machine.run("/usr/local/sbin/pop3d-checkpw", "--hash", text=b"bananas\n")
    pam, nss = (next(text for text in blocks("Users without an account on the host",
                                             "CHECKPASSWORD") if word in text)
                for word in ("pam_pwdfile", "extrausers"))
    machine.write("/etc/pam.d/pop3", pam)
    machine.write("/etc/pop3d/users", f"kermit:{hashed.stdout.decode()}", 0o600)
    reply, log = session(machine, "kermit", "bananas")
    assert reply.startswith(MISCONFIGURED) and "checkpw-no-account user=kermit" in log, (reply, log)
    reply, _ = session(machine, "kermit", "wrong")
    assert reply.startswith(REFUSED), reply

    machine.follow(nss)
    reply, log = session(machine, "kermit", "bananas")
    assert reply == "+OK 4 messages (2007 octets)", (reply, log)
    for login, password in (("kermit", "wrong"), ("nobody-there", "bananas")):
        reply, _ = session(machine, login, password)
        assert reply.startswith(REFUSED), reply
