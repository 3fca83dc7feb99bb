"""Options for administrators: what is made, folded, logged and refused."""
import os
import pty
import shutil
import subprocess
import time

from launch import LETS_IN, READS, Script
from test_checkpassword import log_in, start


def test_a_user_without_a_maildir_is_told_that_there_is_none_yet(lab, home):
    server = lab.session(home, maildir="Missing")
    assert server.line() == "-ERR [SYS/TEMP] there is no mailbox yet", server.report()
    server.ended()
    assert not os.path.exists(os.path.join(home.path, "Missing"))
    assert "maildrop-unusable errno=2" in server.log()


def test_a_maildir_is_made_where_that_is_wished(lab, home):
    for _ in range(2):
        server = lab.session(home, "--create-maildir", maildir="Missing")
        assert server.line().startswith("+OK 0 messages"), server.report()
        server.ask("QUIT")
        server.ended()
    made = os.path.join(home.path, "Missing")
    assert {"tmp", "new", "cur"} <= set(os.listdir(made))
    assert os.stat(made).st_mode & 0o777 == 0o700
    shutil.rmtree(made)
    # the directory around it is not made
    server = lab.session(home, "--create-maildir", maildir="a/b")
    assert server.line().startswith("-ERR [SYS/"), server.report()
    server.ended()


def test_deletions_are_logged_where_that_is_wished(lab, home):
    home.add_seeds()
    server = lab.session(home, "--log-deletions")
    server.line()
    uid = server.ask("UIDL 2").split()[2]
    size = server.ask("LIST 2").split()[2]
    server.ask("DELE 2")
    server.ask("QUIT")
    server.ended()
    lines = [line for line in server.log().splitlines() if "deletion" in line]
    assert len(lines) == 1 and f" deletion message=2 uid={uid} size={size}" in lines[0], lines


def test_a_login_is_folded_where_that_is_wished(lab, home):
    checker = Script(home, LETS_IN)
    for options, expected in ([], b"KerMit"), (["--fold-login"], b"kermit"):
        server = start(lab, home, [checker.path], *options)
        assert log_in(server, "KerMit", "Secret").startswith("+OK"), server.report()
        server.ask("QUIT")
        server.ended()
        assert checker.note("credentials").startswith(expected + b"\0Secret\0")


def test_a_slow_checker_ends_at_a_multiple_of_the_delay(lab, home):
    checker = Script(home, READS + "sleep 1.2\nexit 1\n")
    server = start(lab, home, [checker.path], "--fail-delay", "1")
    begin = time.monotonic()
    assert log_in(server, "kermit", "x").startswith("-ERR [AUTH]"), server.report()
    assert 2 <= time.monotonic() - begin < 2.8
    server.ask("QUIT")
    server.ended()


def test_debug_logs_the_reply_to_list_and_uidl_of_one_message(lab, home):
    home.add_seeds()
    server = lab.session(home, "--debug")
    server.line()
    replies = [server.ask(command) for command in ("LIST 1", "UIDL 1")]
    server.ask("QUIT")
    server.ended()
    for reply in replies:
        assert f'protocol server="{reply}"' in server.log(), server.log()


def test_wrong_use_is_explained_to_a_person_who_pages_it(lab):
    """pop3d --bogus 2>&1 | less: standard output is standard error, and the input a terminal."""
    ours, theirs = pty.openpty()
    for program in ("pop3d", "pop3d-tls"):
        path = os.path.join(os.path.dirname(lab.pop3d), program)
        if not os.path.exists(path):
            continue
        done = subprocess.run([path, "--bogus"], stdin=theirs, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=20)
        assert done.returncode == 100 and b"usage: " in done.stdout, done
    os.close(ours)
    os.close(theirs)
